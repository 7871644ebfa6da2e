"""The compliance report: all records of one organization, and the open ones as lists."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func

from tasks.reports import content, kinds
from tasks.reports.content import Content, Part
from tasks.reports.filters import SEVERITIES
from tasks.reports.source import Group, ReportSource
from tasks.shared.platform.schema import AUDITS, INCIDENTS, WORK_PERMITS


def compliance(source: ReportSource) -> Content:
    """Return scores, trends by month, stations, open actions and incidents, overdue permits."""
    a, i = AUDITS.c, INCIDENTS.c
    has_actions, not_closed, late = a.open_actions > 0, i.status != "Closed", source.overdue()
    audit_sums = {
        "score": func.sum(a.score),
        "scored": source.sum_if(a.score.is_not(None)),
        "completed": source.sum_if(a.status == "Completed"),
        "open": func.sum(a.open_actions),
    }
    incident_sums = {"lost": func.sum(i.lost_days), "open": source.sum_if(not_closed)}
    permit_sums = {"overdue": source.sum_if(late)}
    audits = source.sums(
        AUDITS,
        late=source.sum_if(a.status == "Overdue"),
        findings=func.sum(a.findings),
        listed=source.sum_if(has_actions),
        **audit_sums,
    )
    incidents = source.sums(INCIDENTS, **incident_sums)
    permits = source.sums(WORK_PERMITS, **permit_sums)
    severity = content.counts(source.group(INCIDENTS, i.severity), SEVERITIES)
    months = _months(
        source.group(AUDITS, source.month(AUDITS), **audit_sums),
        source.group(INCIDENTS, source.month(INCIDENTS), **incident_sums),
        source.group(WORK_PERMITS, source.month(WORK_PERMITS), **permit_sums),
    )
    stations = content.stations_of(
        source,
        source.group(AUDITS, a.station_id, content.MOST_STATIONS, **audit_sums),
        lambda one: {"averageScore": content.mean(one), "openActions": one["open"]},
    )
    figures = {
        "averageScore": content.mean(audits),
        "audits": audits["count"],
        "auditsCompleted": audits["completed"],
        "auditsOverdue": audits["late"],
        "findings": audits["findings"],
        "openActions": audits["open"],
        "incidents": incidents["count"],
        "openIncidents": incidents["open"],
        "incidentsBySeverity": severity,
        "lostDays": incidents["lost"],
        "permits": permits["count"],
        "overduePermits": permits["overdue"],
    }
    parts = [
        Part(
            "openActions",
            "Open actions",
            kinds.OPEN_ACTIONS,
            audits["listed"],
            has_actions,
            f"Audits with open actions; {audits['open']:,} actions in total.",
        ),
        Part(
            "openIncidents", "Open incidents", kinds.OPEN_INCIDENTS, incidents["open"], not_closed
        ),
        Part(
            "overduePermits",
            "Overdue permits",
            kinds.OVERDUE_PERMITS,
            permits["overdue"],
            late,
            "Permits past their end date that are not closed.",
        ),
    ]
    return Content(
        figures, months, stations, parts, _boxes(figures), _charts(months, stations, severity)
    )


def _months(audits: Group, incidents: Group, permits: Group) -> list[dict[str, Any]]:
    """Return one entry for every month that has records."""
    found = []
    for month in sorted({*audits, *incidents, *permits}):
        audit, incident, permit = audits.get(month), incidents.get(month), permits.get(month)
        found.append(
            {
                "month": month,
                "audits": audit["count"] if audit else 0,
                "averageScore": content.mean(audit) if audit else None,
                "incidents": incident["count"] if incident else 0,
                "lostDays": incident["lost"] if incident else 0,
                "permits": permit["count"] if permit else 0,
                "overduePermits": permit["overdue"] if permit else 0,
            }
        )
    return found


def _boxes(figures: dict[str, Any]) -> list[dict[str, str]]:
    box = content.box
    return [
        box("Average score of 100", figures["averageScore"]),
        box("Audits completed", figures["auditsCompleted"]),
        box("Audits overdue", figures["auditsOverdue"], warn=True),
        box("Open actions", figures["openActions"], warn=True),
        box("Incidents", figures["incidents"]),
        box("Open incidents", figures["openIncidents"], warn=True),
        box("Lost days", figures["lostDays"]),
        box("Overdue permits", figures["overduePermits"], bad=True),
    ]


def _charts(
    months: list[dict[str, Any]], stations: list[dict[str, Any]], severity: dict[str, int]
) -> list[dict[str, Any]]:
    scores = [one for one in stations if one["averageScore"] is not None]
    # Those that need attention first.
    scores.sort(key=lambda one: (one["averageScore"], one["stationId"]))
    by_score = content.station_bars("Average score, lowest first", scores, "averageScore", top=100)
    return [
        content.columns("Average audit score by month", months, "averageScore", top=100),
        content.columns("Incidents by month", months, "incidents"),
        content.columns("Work permits by month", months, "permits"),
        by_score,
        content.bars("Incidents by severity", severity, {"Critical": "bad", "High": "warn"}),
    ]
