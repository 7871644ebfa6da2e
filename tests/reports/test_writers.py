"""JSON and CSV: one document, escaped cells, bounded pieces."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from hsejobs.errors import LeaseLost, Unrecoverable
from hsejobs.services.cells import cell
from hsejobs.services.platform.sample import fill
from hsejobs.services.platform.schema import INCIDENTS, ORGANIZATIONS
from hsejobs.services.reports.writers import COMPLIANCE_CSV
from tests.reports.conftest import Reports

NOW = "2026-01-15T08:00:00Z"
RISKY = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\xa0=1", "＝1", "＋1")  # noqa: RUF001


@pytest.mark.parametrize("text", RISKY)
def test_formulas_are_escaped(text: str) -> None:
    assert cell(text) == "'" + text


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(-5, -5), (1.5, 1.5), (None, ""), (True, "yes"), (False, "no"), ("a=b", "a=b"), ("", "")],
)
def test_other_cells_stay(value: object, wanted: object) -> None:
    assert cell(value) == wanted


@given(st.text(max_size=20))
def test_no_cell_begins_like_a_formula(text: str) -> None:
    found = cell(text)
    assert not found.lstrip(" \xa0").startswith(("=", "+", "-", "@", "\t", "\r"))
    assert found in (text, "'" + text)


def incidents(engine: Engine, *titles: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(ORGANIZATIONS).values(
                id="org-1", name="Works", name_key="works", tier="free",
                admin_email="a@b.example", created_at=NOW,
            )
        )  # fmt: skip
        connection.execute(
            insert(INCIDENTS),
            [
                {
                    "organization_id": "org-1", "id": f"i-{number}", "station_id": "s",
                    "title": title, "description": title, "kind": "Fire", "severity": "Low",
                    "status": "Open", "reported_by": title, "lost_days": 0, "occurred_at": NOW,
                    "closed_at": None, "created_at": NOW,
                }
                for number, title in enumerate(titles)
            ],
        )  # fmt: skip


def test_csv_holds_any_text(reports: Reports) -> None:
    texts = [*RISKY, 'a "quoted", one', "two\r\nlines", "消防", "\U0001f525", "x" * 200]
    incidents(reports.engine, *texts)
    found = {row["id"]: row for row in reports.csv("incidents", None, "org-1")}
    for number, text in enumerate(texts):
        row = found[f"i-{number}"]
        wanted = "'" + text if text in RISKY else text
        assert row["title"] == row["description"] == row["reportedBy"] == wanted
        assert row["closedAt"] == ""
    as_json = {row["id"]: row for row in reports.json("incidents", None, "org-1")["rows"]}
    assert [as_json[f"i-{number}"]["title"] for number in range(len(texts))] == texts
    assert as_json["i-0"]["closedAt"] is None


@pytest.mark.parametrize("kind", ["audits", "incidents", "work-permits", "compliance"])
def test_an_empty_report_is_whole(reports: Reports, kind: str) -> None:
    with reports.engine.begin() as connection:
        connection.execute(
            insert(ORGANIZATIONS).values(
                id="org-1", name="Works", name_key="works", tier="free",
                admin_email="a@b.example", created_at=NOW,
            )
        )  # fmt: skip
    made, data = reports.make(kind, "json", {"startDate": "2026-01-01"}, "org-1")
    found = json.loads(data)
    assert found["report"] == {
        "type": kind,
        "organizationId": "org-1",
        "organization": "Works",
        "generatedAt": "2026-02-01T08:00:00Z",
        "filters": {"startDate": "2026-01-01T00:00:00Z"},
    }
    assert found["months"] == found["stations"] == []
    assert found.get("rows", found.get("openActions")) == []
    assert made.rows == 0
    _, text = reports.make(kind, "csv", None, "org-1")
    lines = list(csv.reader(io.StringIO(text.decode(), newline="")))
    if kind == "compliance":
        assert tuple(lines[0]) == COMPLIANCE_CSV
        assert {line[0] for line in lines[1:]} == {"summary"}
    else:
        assert lines == [lines[0]]
        assert lines[0][0] == "id"


def test_an_organisation_that_is_not_there(reports: Reports) -> None:
    for form in ("json", "csv", "pdf"):
        with pytest.raises(Unrecoverable, match="no such organisation"):
            reports.make("audits", form, None, "org-none")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_job_that_is_lost_half_way_leaves_nothing(reports: Reports, form: str) -> None:
    fill(reports.engine, 1, 12_000)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if reports.told and 50 < reports.told[-1] < 85:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        reports.make("audits", form, None, "org-123", check)
    assert calls > 5
    assert [file for file in (reports.home / "artifacts").rglob("*") if file.is_file()] == []


def test_a_second_run_replaces(reports: Reports) -> None:
    fill(reports.engine, 1, 600)
    first, data = reports.make("audits", "csv")
    again, same = reports.make("audits", "csv")
    assert (first.artifact.sha256, data) == (again.artifact.sha256, same)
    files = [file for file in (reports.home / "artifacts").rglob("*") if file.is_file()]
    assert len(files) == 2
