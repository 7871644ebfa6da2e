"""The content of a report: its figures, charts and lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.reports import kinds
from tasks.reports.filters import (
    AUDIT_STATUSES,
    INCIDENT_STATUSES,
    PERMIT_STATUSES,
    SEVERITIES,
)
from tasks.reports.source import Group, ReportSource
from tasks.shared.platform.schema import AUDITS, INCIDENTS, WORK_PERMITS

#: Limits: stations in the figures (those with the most rows), bars and months in a PDF.
MOST_STATIONS, MOST_BARS, MOST_MONTHS = 200, 8, 24


@dataclass(frozen=True, slots=True)
class Part:
    """A list of rows: its name in JSON, its heading in a PDF, and its number of rows."""

    key: str
    title: str
    kind: kinds.Kind
    rows: int
    where: Any = None
    note: str = ""


@dataclass(slots=True)
class Content:
    """A report without its rows.

    ``figures`` (small, for the job's result), ``months`` and ``stations`` are plain JSON data;
    ``templates/reports/report.typ`` draws ``boxes`` and ``charts``.
    """

    figures: dict[str, Any]
    months: list[dict[str, Any]]
    stations: list[dict[str, Any]]
    parts: list[Part]
    boxes: list[dict[str, str]] = field(default_factory=list)
    charts: list[dict[str, Any]] = field(default_factory=list)


def content_of(kind: str, source: ReportSource) -> Content:
    """Return the content of a report on one table, aggregated by the database."""
    return _MAKERS[kind](source)


def _audits(source: ReportSource) -> Content:
    c = AUDITS.c
    scored = source.sum_if(c.score.is_not(None))
    status = source.group(AUDITS, c.status)
    sums = {"score": _sum(c.score), "scored": scored, "open": _sum(c.open_actions)}
    total = source.sums(AUDITS, findings=_sum(c.findings), **sums)
    months = [
        {"month": month, "count": one["count"], "averageScore": mean(one)}
        for month, one in source.group(AUDITS, source.month(AUDITS), **sums).items()
    ]
    stations = stations_of(
        source,
        source.group(AUDITS, c.station_id, MOST_STATIONS, **sums),
        lambda one: {"averageScore": mean(one), "openActions": one["open"]},
    )
    figures: dict[str, Any] = {
        "total": total["count"],
        "byStatus": counts(status, AUDIT_STATUSES),
        "averageScore": mean(total),
        "findings": total["findings"],
        "openActions": total["open"],
    }
    return Content(
        figures,
        months,
        stations,
        [Part("rows", "Audits", kinds.AUDITS, total["count"], note="Newest first.")],
        [
            box("Audits", total["count"]),
            box("Average score of 100", figures["averageScore"]),
            box("Findings", total["findings"]),
            box("Open actions", total["open"], warn=True),
        ],
        [
            columns("Audits by month", months, "count"),
            columns("Average score by month", months, "averageScore", top=100),
            bars("By status", figures["byStatus"], {"Overdue": "bad", "In Progress": "second"}),
            station_bars("By station", stations),
        ],
    )


def _incidents(source: ReportSource) -> Content:
    c = INCIDENTS.c
    status, severity = source.group(INCIDENTS, c.status), source.group(INCIDENTS, c.severity)
    nature = source.group(INCIDENTS, c.kind)
    sums = {"lost": _sum(c.lost_days), "open": source.sum_if(c.status != "Closed")}
    total = source.sums(INCIDENTS, **sums)
    months = [
        {"month": month, "count": one["count"], "lostDays": one["lost"]}
        for month, one in source.group(INCIDENTS, source.month(INCIDENTS), **sums).items()
    ]
    stations = stations_of(
        source,
        source.group(INCIDENTS, c.station_id, MOST_STATIONS, **sums),
        lambda one: {"open": one["open"], "lostDays": one["lost"]},
    )
    figures: dict[str, Any] = {
        "total": total["count"],
        "byStatus": counts(status, INCIDENT_STATUSES),
        "bySeverity": counts(severity, SEVERITIES),
        "byKind": counts(nature, ()),
        "open": total["open"],
        "lostDays": total["lost"],
    }
    return Content(
        figures,
        months,
        stations,
        [Part("rows", "Incidents", kinds.INCIDENTS, total["count"], note="Newest first.")],
        [
            box("Incidents", total["count"]),
            box("Not closed", total["open"], warn=True),
            box("Critical", figures["bySeverity"]["Critical"], bad=True),
            box("Lost days", total["lost"]),
        ],
        [
            columns("Incidents by month", months, "count"),
            bars("By severity", figures["bySeverity"], {"Critical": "bad", "High": "warn"}),
            bars("By status", figures["byStatus"], {"Open": "warn", "Investigating": "second"}),
            bars("By kind", figures["byKind"], {}),
            station_bars("By station", stations),
        ],
    )


def _permits(source: ReportSource) -> Content:
    c = WORK_PERMITS.c
    status, nature = source.group(WORK_PERMITS, c.status), source.group(WORK_PERMITS, c.kind)
    sums = {"overdue": source.sum_if(source.overdue())}
    total = source.sums(WORK_PERMITS, **sums)
    months = [
        {"month": month, "count": one["count"], "overdue": one["overdue"]}
        for month, one in source.group(WORK_PERMITS, source.month(WORK_PERMITS), **sums).items()
    ]
    stations = stations_of(
        source,
        source.group(WORK_PERMITS, c.station_id, MOST_STATIONS, **sums),
        lambda one: {"overdue": one["overdue"]},
    )
    figures: dict[str, Any] = {
        "total": total["count"],
        "byStatus": counts(status, PERMIT_STATUSES),
        "byKind": counts(nature, ()),
        "overdue": total["overdue"],
    }
    return Content(
        figures,
        months,
        stations,
        [Part("rows", "Work permits", kinds.WORK_PERMITS, total["count"], note="Newest first.")],
        [
            box("Work permits", total["count"]),
            box("Active", figures["byStatus"]["Active"]),
            box("Closed", figures["byStatus"]["Closed"]),
            box("Overdue", total["overdue"], bad=True),
        ],
        [
            columns("Permits by start month", months, "count"),
            bars("By status", figures["byStatus"], {"Expired": "bad", "Active": "second"}),
            bars("By kind", figures["byKind"], {}),
            station_bars("By station", stations),
        ],
    )


def _sum(column: Any) -> Any:
    from sqlalchemy import func

    return func.sum(column)


def mean(sums: Mapping[str, int]) -> float | None:
    """Return the average score, rounded to one decimal; None if nothing has a score."""
    return round(sums["score"] / sums["scored"], 1) if sums["scored"] else None


def counts(group: Group, order: tuple[str, ...]) -> dict[str, int]:
    """Return counts by value: all known values in their order, then the others."""
    found = {name: group.get(name, {"count": 0})["count"] for name in order}
    return found | {name: one["count"] for name, one in group.items() if name not in found}


def stations_of(
    source: ReportSource, group: Group, more: Callable[[dict[str, int]], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the stations, those with the most rows first."""
    names = source.stations(list(group))
    most = sorted(group.items(), key=lambda item: (-item[1]["count"], item[0]))
    return [
        {"stationId": key, "station": names[key], "count": one["count"], **more(one)}
        for key, one in most
    ]


def box(label: str, value: Any, *, warn: bool = False, bad: bool = False) -> dict[str, str]:
    """Return a box for a figure; ``warn`` and ``bad`` color it unless the value is zero."""
    tone = ("bad" if bad else "warn" if warn else "normal") if value else "normal"
    shown = "-" if value is None else f"{value:,}"
    return {"label": label, "value": shown, "tone": tone}


def columns(
    title: str, months: list[dict[str, Any]], key: str, *, top: int | None = None
) -> dict[str, Any]:
    """Return a chart with a column for each of the last months."""
    shown = months[-MOST_MONTHS:]
    if len(months) > len(shown):
        title += f" (the last {MOST_MONTHS})"
    chart = {
        "kind": "columns",
        "title": title,
        "labels": [one["month"] for one in shown],
        "values": [one[key] for one in shown],
    }
    return chart if top is None else chart | {"top": top, "tone": "second"}


def bars(title: str, counts: Mapping[str, int], tones: Mapping[str, str]) -> dict[str, Any]:
    """Return a chart with a bar for each value."""
    return {
        "kind": "bars",
        "title": title,
        "labels": list(counts),
        "values": list(counts.values()),
        "shown": [f"{count:,}" for count in counts.values()],
        "tones": [tones.get(name, "normal") for name in counts],
    }


def station_bars(
    title: str, stations: list[dict[str, Any]], key: str = "count", *, top: int | None = None
) -> dict[str, Any]:
    """Return a chart with a bar for each of the first stations."""
    shown = stations[:MOST_BARS]
    if len(stations) > len(shown):
        title += f" ({MOST_BARS} of {len(stations)})"
    return {
        "kind": "bars",
        "title": title,
        "labels": [one["station"] for one in shown],
        "values": [one[key] for one in shown],
        "shown": [f"{one[key]:,}" for one in shown],
        "top": top,
    }


_MAKERS: dict[str, Callable[[ReportSource], Content]] = {
    "audits": _audits,
    "incidents": _incidents,
    "work-permits": _permits,
}
