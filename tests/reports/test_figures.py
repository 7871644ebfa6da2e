"""Figures and rows against plain Python on the same rows, for any rows and any filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert

from tasks.reports.filters import (
    AUDIT_STATUSES,
    INCIDENT_STATUSES,
    PERMIT_STATUSES,
    SEVERITIES,
    Filters,
    parse_filters,
)
from tasks.shared.platform import schema
from tests.reports.conftest import AT, Reports

NOW = f"{AT:%Y-%m-%dT%H:%M:%SZ}"
ORGANIZATIONS = ("org-123", "org-124")
STATIONS = ("s-1", "s-2", "s-gone")
Row = dict[str, Any]

TIMES = st.sampled_from(
    [
        "2025-11-30T23:59:59Z",
        "2025-12-01T00:00:00Z",
        "2025-12-31T23:59:59Z",
        "2026-01-01T00:00:00Z",
        "2026-01-31T23:59:59Z",
        "2026-02-01T00:00:00Z",
        "2026-02-01T07:59:59Z",
        NOW,
        "2026-02-03T12:00:00Z",
    ]
)
COMMON = {
    "organization_id": st.sampled_from(ORGANIZATIONS),
    "station_id": st.sampled_from(STATIONS),
    "title": st.sampled_from(["Walk", "=1+1", "消防点検", ""]),
    "created_at": TIMES,
}
AUDITS = st.fixed_dictionaries(
    {
        **COMMON,
        "status": st.sampled_from(AUDIT_STATUSES),
        "score": st.none() | st.integers(0, 100),
        "auditor": st.just("A"),
        "findings": st.integers(0, 9),
        "open_actions": st.integers(0, 3),
        "scheduled_at": TIMES,
        "completed_at": st.none() | TIMES,
    }
)
INCIDENTS = st.fixed_dictionaries(
    {
        **COMMON,
        "description": st.just("D"),
        "kind": st.sampled_from(["Fire", "Spill"]),
        "severity": st.sampled_from(SEVERITIES),
        "status": st.sampled_from(INCIDENT_STATUSES),
        "reported_by": st.just("R"),
        "lost_days": st.integers(0, 9),
        "occurred_at": TIMES,
        "closed_at": st.none() | TIMES,
    }
)
PERMITS = st.fixed_dictionaries(
    {
        **COMMON,
        "contractor_id": st.none(),
        "kind": st.sampled_from(["Hot Work", "Electrical"]),
        "status": st.sampled_from(PERMIT_STATUSES),
        "issued_to": st.just("I"),
        "valid_from": TIMES,
        "valid_until": TIMES,
        "closed_at": st.none() | TIMES,
    }
)


def _in_order(filters: Any) -> bool:
    return bool(filters.get("startDate", "") <= filters.get("endDate", "9"))


DAYS = st.sampled_from(["2025-11-30", "2025-12-31", "2026-01-31", "2026-02-02"])
FILTERS: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {},
    optional={
        "startDate": DAYS,
        "endDate": DAYS,
        "stationId": st.sampled_from(STATIONS) | st.just(["s-1", "s-2"]),
    },
).filter(_in_order)
PLATFORM = st.tuples(*(st.lists(rows, max_size=25) for rows in (AUDITS, INCIDENTS, PERMITS)))
TABLES = (schema.AUDITS, schema.INCIDENTS, schema.WORK_PERMITS)
DATES = ("scheduled_at", "occurred_at", "valid_from")


def load(engine: Engine, platform: tuple[list[Row], ...]) -> None:
    """Exactly these rows, with ids that both organizations use."""
    with engine.begin() as connection:
        connection.execute(delete(schema.ORGANIZATIONS))
        connection.execute(
            insert(schema.ORGANIZATIONS),
            [
                {
                    "id": one,
                    "name": one,
                    "name_key": one,
                    "tier": "free",
                    "admin_email": "a@b.c",
                    "created_at": NOW,
                }
                for one in ORGANIZATIONS
            ],
        )
        connection.execute(
            insert(schema.STATIONS),
            [
                {
                    "organization_id": one,
                    "id": key,
                    "name": f"{key} of {one}",
                    "kind": "site",
                    "active": True,
                    "created_at": NOW,
                }
                for one in ORGANIZATIONS
                for key in ("s-1", "s-2")
            ],
        )
        for table, rows in zip(TABLES, platform, strict=True):
            numbers: Counter[str] = Counter()
            for row in rows:
                numbers[row["organization_id"]] += 1
                row["id"] = f"row-{numbers[row['organization_id']]:03d}"
            if rows:
                connection.execute(insert(table), rows)


def chosen(
    rows: list[Row], date: str, filters: Filters, organization: str = "org-123"
) -> list[Row]:
    """What the filters leave, newest first, in plain Python."""
    kept = [
        row
        for row in rows
        if row["organization_id"] == organization
        and (not filters.status or row["status"] in filters.status)
        and (not filters.severity or row["severity"] in filters.severity)
        and (not filters.station_id or row["station_id"] in filters.station_id)
        and (filters.start is None or row[date] >= filters.start)
        and (filters.end is None or row[date] <= filters.end)
    ]
    return sorted(kept, key=lambda row: (row[date], row["id"]), reverse=True)


def mean(rows: list[Row]) -> float | None:
    scores = [row["score"] for row in rows if row["score"] is not None]
    return round(sum(scores) / len(scores), 1) if scores else None


def late(row: Row) -> bool:
    running = row["status"] in ("Approved", "Active", "Expired")
    return running and row["closed_at"] is None and row["valid_until"] < NOW


def counts(rows: list[Row], key: str, order: tuple[str, ...] = ()) -> dict[str, int]:
    found = Counter(row[key] for row in rows)
    return {**dict.fromkeys(order, 0), **found}


def by_month(rows: list[Row], date: str, of: Callable[[list[Row]], Row]) -> list[Row]:
    months = sorted({row[date][:7] for row in rows})
    return [
        {"month": month, **of([row for row in rows if row[date][:7] == month])} for month in months
    ]


ANY = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@ANY
@given(PLATFORM, FILTERS, st.sets(st.sampled_from(AUDIT_STATUSES)))
def test_audits(
    reports: Reports, platform: tuple[list[Row], ...], given: Row, statuses: set[str]
) -> None:
    load(reports.engine, platform)
    given = {**given, **({"status": sorted(statuses)} if statuses else {})}
    rows = chosen(platform[0], "scheduled_at", parse_filters("audits", given))
    found = reports.json("audits", given)
    assert found["summary"] == {
        "total": len(rows),
        "byStatus": counts(rows, "status", AUDIT_STATUSES),
        "averageScore": mean(rows),
        "findings": sum(row["findings"] for row in rows),
        "openActions": sum(row["open_actions"] for row in rows),
    }
    assert found["months"] == by_month(
        rows, "scheduled_at", lambda some: {"count": len(some), "averageScore": mean(some)}
    )
    assert [(row["id"], row["scheduledAt"], row["score"]) for row in found["rows"]] == [
        (row["id"], row["scheduled_at"], row["score"]) for row in rows
    ]
    for row in found["rows"]:
        gone = row["stationId"] == "s-gone"
        assert row["station"] == ("" if gone else f"{row['stationId']} of org-123")
    assert [one["id"] for one in reports.csv("audits", given)] == [row["id"] for row in rows]


@ANY
@given(PLATFORM, FILTERS, st.sets(st.sampled_from(SEVERITIES)))
def test_incidents(
    reports: Reports, platform: tuple[list[Row], ...], given: Row, severities: set[str]
) -> None:
    load(reports.engine, platform)
    given = {**given, **({"severity": sorted(severities)} if severities else {})}
    rows = chosen(platform[1], "occurred_at", parse_filters("incidents", given))
    found = reports.json("incidents", given)
    assert found["summary"] == {
        "total": len(rows),
        "byStatus": counts(rows, "status", INCIDENT_STATUSES),
        "bySeverity": counts(rows, "severity", SEVERITIES),
        "byKind": counts(rows, "kind"),
        "open": sum(row["status"] != "Closed" for row in rows),
        "lostDays": sum(row["lost_days"] for row in rows),
    }
    assert [row["id"] for row in found["rows"]] == [row["id"] for row in rows]
    assert {one["stationId"]: one["count"] for one in found["stations"]} == counts(
        rows, "station_id"
    )


@ANY
@given(PLATFORM, FILTERS)
def test_work_permits(reports: Reports, platform: tuple[list[Row], ...], given: Row) -> None:
    load(reports.engine, platform)
    rows = chosen(platform[2], "valid_from", parse_filters("work-permits", given))
    found = reports.json("work-permits", given)
    assert found["summary"] == {
        "total": len(rows),
        "byStatus": counts(rows, "status", PERMIT_STATUSES),
        "byKind": counts(rows, "kind"),
        "overdue": sum(map(late, rows)),
    }
    assert [row["overdue"] for row in found["rows"]] == [late(row) for row in rows]
    assert found["months"] == by_month(
        rows, "valid_from", lambda some: {"count": len(some), "overdue": sum(map(late, some))}
    )


@ANY
@given(PLATFORM, FILTERS)
def test_compliance(reports: Reports, platform: tuple[list[Row], ...], given: Row) -> None:
    load(reports.engine, platform)
    filters = parse_filters("compliance", given)
    audits, incidents, permits = (
        chosen(rows, date, filters) for rows, date in zip(platform, DATES, strict=True)
    )
    found = reports.json("compliance", given)
    assert found["summary"] == {
        "averageScore": mean(audits),
        "audits": len(audits),
        "auditsCompleted": sum(row["status"] == "Completed" for row in audits),
        "auditsOverdue": sum(row["status"] == "Overdue" for row in audits),
        "findings": sum(row["findings"] for row in audits),
        "openActions": sum(row["open_actions"] for row in audits),
        "incidents": len(incidents),
        "openIncidents": sum(row["status"] != "Closed" for row in incidents),
        "incidentsBySeverity": counts(incidents, "severity", SEVERITIES),
        "lostDays": sum(row["lost_days"] for row in incidents),
        "permits": len(permits),
        "overduePermits": sum(map(late, permits)),
    }
    wanted = {
        "openActions": [row["id"] for row in audits if row["open_actions"]],
        "openIncidents": [row["id"] for row in incidents if row["status"] != "Closed"],
        "overduePermits": [row["id"] for row in permits if late(row)],
    }
    lines = reports.csv("compliance", given)
    for key, ids in wanted.items():
        assert [row["id"] for row in found[key]] == ids
        assert [line["id"] for line in lines if line["section"] == key] == ids
    months = {
        row[date][:7]
        for rows, date in zip((audits, incidents, permits), DATES, strict=True)
        for row in rows
    }
    assert [one["month"] for one in found["months"]] == sorted(months)
    assert sum(one["incidents"] for one in found["months"]) == len(incidents)
    assert sum(one["overduePermits"] for one in found["months"]) == len(wanted["overduePermits"])


@ANY
@given(PLATFORM, FILTERS, st.sampled_from(["audits", "incidents", "work-permits", "compliance"]))
def test_tenants_are_apart(
    reports: Reports, platform: tuple[list[Row], ...], given: Row, kind: str
) -> None:
    load(reports.engine, platform)
    before = [reports.make(kind, form, given, "org-124")[1] for form in ("json", "csv")]
    with reports.engine.begin() as connection:
        for table in TABLES:
            connection.execute(delete(table).where(table.c.organization_id == "org-123"))
    assert [reports.make(kind, form, given, "org-124")[1] for form in ("json", "csv")] == before
