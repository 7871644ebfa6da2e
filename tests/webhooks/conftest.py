"""What the tests of webhooks share."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsejobs.services.webhooks import transport
from tests.services.conftest import certificate as certificate  # the fixture itself


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names lead to; only the resolver is replaced."""
    known: dict[str, list[str]] = {}

    def resolve(host: str, port: int) -> list[str]:
        if host not in known:
            raise OSError(-2, "Name or service not known")
        return known[host]

    monkeypatch.setattr(transport, "resolve", resolve)
    return known


@pytest.fixture
def trusted(certificate: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """The server's side of TLS for localhost; the client trusts it."""
    path: Path = certificate.path  # type: ignore[attr-defined]
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    transport.ssl_context.cache_clear()
    yield certificate.context()  # type: ignore[attr-defined]
    transport.ssl_context.cache_clear()
