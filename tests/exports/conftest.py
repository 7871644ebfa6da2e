"""Organisations with rows, and exports made of them without a worker."""

from __future__ import annotations

import csv
import datetime
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from hsejobs.services.artifacts.store import open_store
from hsejobs.services.exports.entities import ENTITIES
from hsejobs.services.exports.make import CONTENT_TYPES, Made, Wish, make_export
from hsejobs.services.platform.rows import Tenant

AT = datetime.datetime(2026, 2, 1, 8, tzinfo=datetime.UTC)
FAR = 9_999_999_999_999


class Exports:
    """Makes exports of one database into one folder."""

    def __init__(self, engine: Engine, home: Path) -> None:
        self.engine = engine
        self.store = open_store(None, home)
        self.told: list[float] = []

    def make(
        self,
        form: str,
        entities: Sequence[str] = tuple(ENTITIES),
        organization: str = "org-123",
        check: Callable[[], None] = lambda: None,
    ) -> tuple[Made, bytes]:
        """An export and its bytes."""
        wish = Wish(tuple(entities), form, AT)
        made = make_export(
            wish,
            Tenant(self.engine, organization),
            lambda: self.store.write(
                organization,
                "one",
                name=wish.file_name,
                content_type=CONTENT_TYPES[form],
                expires_at=FAR,
            ),
            check=check,
            progress=lambda percent, _: self.told.append(percent),
        )
        _, pieces = self.store.open(organization, "one")
        return made, b"".join(pieces)

    def json(self, *more: Any) -> dict[str, Any]:
        """An export as JSON, read."""
        found: dict[str, Any] = json.loads(self.make("json", *more)[1])
        return found

    def csv(self, *more: Any) -> dict[str, list[dict[str, str]]]:
        """An export as CSV, read: the rows of each file."""
        return read_zip(self.make("csv", *more)[1])


def read_zip(data: bytes) -> dict[str, list[dict[str, str]]]:
    """The rows of each CSV file of a zip whose checksums hold."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {
            name.removesuffix(".csv"): list(
                csv.DictReader(io.StringIO(archive.read(name).decode(), newline=""))
            )
            for name in archive.namelist()
        }


@pytest.fixture
def exports(platform_engine: Engine, tmp_path: Path) -> Exports:
    """Exports of an empty database."""
    return Exports(platform_engine, tmp_path)
