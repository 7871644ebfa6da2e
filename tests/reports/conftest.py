"""Organizations with rows, and reports made of them without a worker."""

from __future__ import annotations

import csv
import datetime
import io
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from hsejobs.services.artifacts.store import open_store
from tasks.reports.filters import parse_filters
from tasks.reports.make import CONTENT_TYPES, ReportResult, ReportSpec, make_report
from tasks.shared.platform.rows import PlatformTenant
from tests.exports.conftest import read_workbook
from tests.support import skip_or_fail

AT = datetime.datetime(2026, 2, 1, 8, tzinfo=datetime.UTC)
FAR = 9_999_999_999_999


class Reports:
    """Makes reports as of the first of February 2026."""

    def __init__(self, engine: Engine, home: Path) -> None:
        self.engine, self.home = engine, home
        self.store = open_store(None, home)
        self.told: list[float] = []

    def make(
        self,
        kind: str,
        form: str,
        filters: Mapping[str, Any] | None = None,
        organization: str = "org-123",
        check: Callable[[], None] = lambda: None,
        resume: dict[str, Any] | None = None,
        checkpoint: Callable[[dict[str, Any]], None] | None = None,
    ) -> tuple[ReportResult, bytes]:
        """A report and its bytes."""
        spec = ReportSpec(kind, form, parse_filters(kind, filters or {}), AT)
        made = make_report(
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

    def json(self, kind: str, *more: Any) -> dict[str, Any]:
        """A report as JSON, read."""
        found: dict[str, Any] = json.loads(self.make(kind, "json", *more)[1])
        return found

    def csv(self, kind: str, *more: Any) -> list[dict[str, str]]:
        """A report as CSV, read."""
        data = self.make(kind, "csv", *more)[1]
        assert data.startswith(b"\xef\xbb\xbf")
        text = data.decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def sheets(self, kind: str, *more: Any) -> dict[str, list[dict[str, Any]]]:
        """A report as a workbook, read: the rows of each sheet."""
        return read_workbook(self.make(kind, "xlsx", *more)[1])

    def pages(self, kind: str, *more: Any) -> tuple[ReportResult, list[str]]:
        """A report as PDF, and the text of each page."""
        made, data = self.make(kind, "pdf", *more)
        return made, text_of(data, self.home)


def text_of(pdf: bytes, folder: Path) -> list[str]:
    """The text of each page of a PDF, as poppler finds it."""
    program = shutil.which("pdftotext")
    if program is None:
        skip_or_fail("pdftotext is missing: apt-get install poppler-utils")
    file = folder / "read.pdf"
    file.write_bytes(pdf)
    done = subprocess.run(
        [program, "-layout", "-enc", "UTF-8", str(file), "-"], capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout.decode().split("\f")[:-1]


@pytest.fixture
def reports(platform_engine: Engine, tmp_path: Path) -> Reports:
    """Reports of an empty database."""
    return Reports(platform_engine, tmp_path)
