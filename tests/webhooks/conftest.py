"""Fixtures that the webhook tests share."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.services.webhooks import transport
from hsejobs.store.circuits import Circuits
from tasks.shared.platform.database import close_databases
from tests.services.conftest import certificate as certificate  # the fixture itself
from tests.support.consumers import power_off, start_consumer
from tests.webhooks import worker


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses that names resolve to; only the resolver is replaced."""
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


class Consumer:
    """A real ``huey_consumer`` in its own session."""

    def __init__(self, queue: str, *options: str, log: Path, **env: str) -> None:
        self.log = log
        self.process = start_consumer(f"tests.webhooks.worker.{queue}", *options, log=log, env=env)

    def kill_all(self) -> None:
        """Kills the consumer and its workers, as a power failure would."""
        power_off(self.process)


@pytest.fixture
def fresh(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process's own connections and registrations, on the empty Redis."""
    monkeypatch.setenv("QUEUE_LEASE_MS", "1500")
    monkeypatch.setenv("WEBHOOK_ALLOW_PRIVATE", "1")
    reset_runtime()
    for huey in (worker.webhooks, worker.email):
        huey._registered = None
    yield
    runtime().redis.close()
    close_databases()
    reset_runtime()


@pytest.fixture
def consumer(fresh: None, tmp_path: Path) -> Iterator[Callable[..., Consumer]]:
    """Starts consumers; kills those that still run at the end."""
    started: list[Consumer] = []

    def start(*options: str, queue: str = "webhooks", **env: str) -> Consumer:
        one = Consumer(queue, *options, log=tmp_path / "consumer.log", **env)
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill_all()


@pytest.fixture
def circuits(fresh: None) -> Circuits:
    """The circuits as every worker sees them."""
    return Circuits(runtime().redis, runtime().prefix)
