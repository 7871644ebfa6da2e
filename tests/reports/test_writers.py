"""JSON and CSV: one document, escaped cells, bounded pieces."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from hsejobs.cells import cell
from hsejobs.errors import LeaseLost, Unrecoverable
from tasks.reports.make import CONTENT_TYPES
from tasks.reports.writers import COMPLIANCE_CSV
from tasks.shared.platform.sample import fill
from tasks.shared.platform.schema import INCIDENTS, ORGANIZATIONS
from tasks.shared.sheets import CONTENT_TYPE
from tests.exports.conftest import read_workbook
from tests.reports.conftest import Reports

NOW = "2026-01-15T08:00:00Z"
RISKY = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\xa0=1", "＝1", "＋1")  # noqa: RUF001


@pytest.mark.parametrize("text", RISKY)
def test_formulas_are_escaped(text: str) -> None:
    # A tab or a line end before the sign begins a cell of its own for some: there is one more.
    twice = text[0] in "\t\r\n"
    assert cell(text) == ("'" + text[0] + "'" + text[1:] if twice else "'" + text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a;b; -1", "a;b;' -1"),
        ('a;"=1+1', "a;'\"=1+1"),
        ("list:\r\n- one\n- two", "list:\r\n'- one\n'- two"),
        ("a\t\t@x", "a\t\t'@x"),
        ("a;＝1", "a;'＝1"),  # noqa: RUF001
        ("a; b = 1, -2", "a; b = 1, -2"),
    ],
)
def test_formulas_inside_are_escaped_where_another_separator_begins_a_cell(
    text: str, wanted: str
) -> None:
    assert cell(text) == wanted


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
    assert found.replace("'", "") == text.replace("'", "")


def incidents(engine: Engine, *titles: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(ORGANIZATIONS).values(
                id="org-1",
                name="Works",
                name_key="works",
                tier="free",
                admin_email="a@b.example",
                created_at=NOW,
            )
        )
        connection.execute(
            insert(INCIDENTS),
            [
                {
                    "organization_id": "org-1",
                    "id": f"i-{number}",
                    "station_id": "s",
                    "title": title,
                    "description": title,
                    "kind": "Fire",
                    "severity": "Low",
                    "status": "Open",
                    "reported_by": title,
                    "lost_days": 0,
                    "occurred_at": NOW,
                    "closed_at": None,
                    "created_at": NOW,
                }
                for number, title in enumerate(titles)
            ],
        )


def test_csv_holds_any_text(reports: Reports) -> None:
    texts = [*RISKY, 'a "quoted", one', "two\r\nlines", "消防", "\U0001f525", "x" * 200]
    incidents(reports.engine, *texts)
    found = {row["id"]: row for row in reports.csv("incidents", None, "org-1")}
    for number, text in enumerate(texts):
        row = found[f"i-{number}"]
        wanted = cell(text)
        assert (wanted != text) == (text in RISKY)
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
                id="org-1",
                name="Works",
                name_key="works",
                tier="free",
                admin_email="a@b.example",
                created_at=NOW,
            )
        )
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
    lines = list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")))
    if kind == "compliance":
        assert tuple(lines[0]) == COMPLIANCE_CSV
        assert {line[0] for line in lines[1:]} == {"summary"}
    else:
        assert lines == [lines[0]]
        assert lines[0][0] == "id"


def test_an_organization_that_is_not_there(reports: Reports) -> None:
    for form in CONTENT_TYPES:
        with pytest.raises(Unrecoverable, match="no such organization"):
            reports.make("audits", form, None, "org-none")


@pytest.mark.parametrize("form", ["json", "csv", "xlsx"])
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


@pytest.mark.parametrize("kind", ["audits", "incidents", "work-permits", "compliance"])
def test_a_workbook_has_all_that_the_json_has(reports: Reports, kind: str) -> None:
    fill(reports.engine, 1, 1_500)
    given = {"startDate": "2025-01-01"}
    made, data = reports.make(kind, "xlsx", given)
    assert made.artifact.name == f"{kind}-report-2026-02-01.xlsx"
    assert made.artifact.content_type == CONTENT_TYPE
    found, wanted = read_workbook(data), reports.json(kind, given)
    head, summary = wanted.pop("report"), wanted.pop("summary")
    if kind == "compliance":
        lists = ["openActions", "openIncidents", "overduePermits"]
        assert list(found) == ["summary", "months", "stations", *lists, "notes"]
    else:
        lists = [kind]
        assert list(found) == [kind, "summary", "months", "stations", "notes"]
        wanted[kind] = wanted.pop("rows")
    assert made.rows == sum(len(found[name]) for name in lists) > 0
    for name in ("months", "stations", *lists):
        assert [set(row.items()) for row in found[name]] == [
            set(row.items()) for row in wanted[name]
        ], name
    measures = {row["measure"]: row["value"] for row in found["summary"]}
    for name, value in summary.items():
        if isinstance(value, dict):
            for part, one in value.items():
                assert measures[f"{name}.{part}"] == one
        else:
            assert measures[name] == value
    notes = {row["about"]: row["value"] for row in found["notes"]}
    assert notes["organizationId"] == head["organizationId"]
    assert notes["times"] == "UTC"
    # "2025-01-01T00:00:00Z" is a value of a column that is no time's.
    assert notes["filters.startDate"] == head["filters"]["startDate"]
    assert notes[f"rows of {lists[0]}"] == len(found[lists[0]])


def test_pandas_reads_a_workbook(reports: Reports) -> None:
    import pandas

    incidents(reports.engine, "=1+1", "two\nlines")
    _, data = reports.make("incidents", "xlsx", None, "org-1")
    frame = pandas.read_excel(io.BytesIO(data))
    assert sorted(frame["title"]) == ["=1+1", "two\nlines"]
    assert str(frame["occurredAt"].dtype).startswith("datetime64")
    assert frame["occurredAt"][0] == pandas.Timestamp(NOW).tz_localize(None)
    assert frame["lostDays"].dtype.kind == "i"
    _, text = reports.make("incidents", "csv", None, "org-1")
    lines = pandas.read_csv(io.BytesIO(text))
    assert sorted(lines["title"]) == ["'=1+1", "two\nlines"]
    assert list(lines.columns) == list(frame.columns)


def test_excel_of_a_country_with_semicolons_finds_no_formula(reports: Reports) -> None:
    texts = [*RISKY, "a;=1+1", 'a;"=1+1;', "list\n=1+1;", "a;b;;-2;", "a\t=1"]
    incidents(reports.engine, *texts)
    for kind in ("incidents", "compliance"):
        _, data = reports.make(kind, "csv", None, "org-1")
        for separator in ";\t,":
            text = io.StringIO(data.decode("utf-8-sig"), newline="")
            for row in csv.reader(text, delimiter=separator):
                for one in row:
                    assert not cell(one).startswith("'") or one.startswith(("\t", "\r", "\n", "'"))


def test_a_second_run_replaces(reports: Reports) -> None:
    fill(reports.engine, 1, 600)
    first, data = reports.make("audits", "csv")
    again, same = reports.make("audits", "csv")
    assert (first.artifact.sha256, data) == (again.artifact.sha256, same)
    files = [file for file in (reports.home / "artifacts").rglob("*") if file.is_file()]
    assert len(files) == 2
