"""Organizations with rows, and exports made of them without a worker."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy import Engine

from hsejobs.services.artifacts.store import open_store
from tasks.data_exports.entities import ENTITIES
from tasks.data_exports.make import CONTENT_TYPES, ExportResult, ExportSpec, make_export
from tasks.shared.platform.rows import PlatformTenant

AT = datetime.datetime(2026, 2, 1, 8, tzinfo=datetime.UTC)
FAR = 9_999_999_999_999


class Exports:
    """Makes exports of one database into one folder."""

    def __init__(self, engine: Engine, home: Path) -> None:
        self.engine = engine
        self.home, self.store = home, open_store(None, home)
        self.told: list[float] = []

    def make(
        self,
        form: str,
        entities: Sequence[str] = tuple(ENTITIES),
        organization: str = "org-123",
        check: Callable[[], None] = lambda: None,
        resume: dict[str, Any] | None = None,
        checkpoint: Callable[[dict[str, Any]], None] | None = None,
    ) -> tuple[ExportResult, bytes]:
        """An export and its bytes."""
        spec = ExportSpec(tuple(entities), form, AT)
        made = make_export(
            spec,
            PlatformTenant(self.engine, organization),
            lambda **more: self.store.write(
                organization,
                "one",
                name=spec.file_name,
                content_type=CONTENT_TYPES[form],
                expires_at=FAR,
                **more,
            ),
            home=self.home,
            check=check,
            progress=lambda percent, _: self.told.append(percent),
            open_scratch=lambda **more: self.store.scratch(
                organization, "one", expires_at=FAR, **more
            ),
            resume=resume,
            checkpoint=checkpoint,
        )
        _, pieces = self.store.open(organization, "one")
        return made, b"".join(pieces)

    def json(self, *more: Any) -> dict[str, Any]:
        """An export as JSON, read."""
        found: dict[str, Any] = json.loads(self.make("json", *more)[1])
        return found

    def sheets(self, *more: Any) -> dict[str, list[dict[str, Any]]]:
        """An export as a workbook, read: the rows of each sheet but the notes."""
        found = read_workbook(self.make("xlsx", *more)[1])
        assert list(found)[-1] == "notes"
        del found["notes"]
        return found

    def csv(self, *more: Any) -> dict[str, list[dict[str, str]]]:
        """An export as CSV, read: the rows of each file."""
        return read_zip(self.make("csv", *more)[1])


def read_workbook(data: bytes) -> dict[str, list[dict[str, Any]]]:
    """The rows of each sheet of a workbook; times as text, as in JSON."""
    found: dict[str, list[dict[str, Any]]] = {}
    for sheet in openpyxl.load_workbook(io.BytesIO(data)):
        header, *rows = sheet.iter_rows(values_only=True)
        assert sheet.freeze_panes == "A2"
        assert sheet.auto_filter.ref == sheet.dimensions
        found[sheet.title] = [
            {
                str(key): f"{value:%Y-%m-%dT%H:%M:%SZ}"
                if isinstance(value, datetime.datetime)
                else value
                for key, value in zip(header, row, strict=True)
            }
            for row in rows
        ]
    return found


def read_zip(data: bytes) -> dict[str, list[dict[str, str]]]:
    """The rows of each CSV file of a zip that is what its manifest says."""
    found: dict[str, list[dict[str, str]]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        assert archive.namelist() == [*(one["name"] for one in manifest["files"]), "manifest.json"]
        for one in manifest["files"]:
            content = archive.read(one["name"])
            assert content.startswith(b"\xef\xbb\xbf")
            assert one["name"] == f"{one['entity']}.csv"
            assert one["sha256"] == hashlib.sha256(content).hexdigest()
            assert one["bytes"] == len(content)
            text = content.decode("utf-8-sig")
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
            assert one["rows"] == len(rows)
            found[one["entity"]] = rows
    return found


@pytest.fixture
def exports(platform_engine: Engine, tmp_path: Path) -> Exports:
    """Exports of an empty database."""
    return Exports(platform_engine, tmp_path)
