"""A store on a folder and on S3, and access to the files in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hsejobs.services.artifacts.store import Store, open_store
from tests.support.s3 import BUCKET, S3, S3Server

DAY_MS = 86_400_000


@pytest.fixture(scope="session")
def _s3() -> Iterator[S3]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(_s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The S3 server, its bucket empty; the environment leads to it."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in _s3.env.items():
        monkeypatch.setenv(name, value)
    _s3.empty()
    return _s3


@dataclass
class Place:
    """Where a test's artifacts are."""

    url: str | None
    store: Store

    def files(self) -> list[str]:
        return [entry.name for entry in self.store.shelf.entries()]

    def save(
        self,
        organization_id: str = "org-1",
        artifact_id: str = "a",
        content: bytes = b"content",
        expires_at: int = 10**13 - 1,
    ) -> None:
        with self.store.write(
            organization_id,
            artifact_id,
            name="report.pdf",
            content_type="application/pdf",
            expires_at=expires_at,
        ) as out:
            out.write(content)

    def read(self, organization_id: str = "org-1", artifact_id: str = "a") -> bytes:
        return b"".join(self.store.open(organization_id, artifact_id)[1])


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty store, once on each kind of place."""
    url = None
    if request.param == "s3":
        request.getfixturevalue("s3")
        url = f"s3://{BUCKET}/some/folder"
    store = open_store(url, tmp_path)
    assert isinstance(store, Store)
    return Place(url, store)
