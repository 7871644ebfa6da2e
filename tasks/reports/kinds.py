"""The lists of each type of report: their tables, columns and PDF layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TITLES = {
    "audits": "Audit report",
    "incidents": "Incident report",
    "work-permits": "Work permit report",
    "compliance": "Compliance report",
}


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """A column: its name in JSON and CSV; in a PDF its heading, width and alignment."""

    key: str
    title: str = ""
    width: float = 0.0
    right: bool = False
    #: A time of which a PDF shows only the day.
    day: bool = False

    @property
    def printed(self) -> bool:
        """Whether the column appears in a PDF."""
        return bool(self.title)


@dataclass(frozen=True, slots=True)
class Kind:
    """A list of the rows of one table, newest first by ``date``."""

    name: str
    table: str
    date: str
    noun: str
    columns: tuple[ReportColumn, ...]

    @property
    def date_key(self) -> str:
        """The name of ``date`` in JSON."""
        return next(one.key for one in self.columns if column_name(one.key) == self.date)


AUDITS = Kind(
    "audits",
    "audits",
    "scheduled_at",
    "audits",
    (
        ReportColumn("id"),
        ReportColumn("scheduledAt", "Scheduled", 1.5, day=True),
        ReportColumn("title", "Audit", 4),
        ReportColumn("stationId"),
        ReportColumn("station", "Station", 2.1),
        ReportColumn("auditor", "Auditor", 2),
        ReportColumn("status", "Status", 1.5),
        ReportColumn("score", "Score", 0.9, right=True),
        ReportColumn("findings", "Findings", 1.2, right=True),
        ReportColumn("openActions", "Open", 0.9, right=True),
        ReportColumn("completedAt"),
    ),
)
INCIDENTS = Kind(
    "incidents",
    "incidents",
    "occurred_at",
    "incidents",
    (
        ReportColumn("id"),
        ReportColumn("occurredAt", "Occurred", 1.5, day=True),
        ReportColumn("title", "Incident", 3.8),
        ReportColumn("description"),
        ReportColumn("kind", "Kind", 1.6),
        ReportColumn("severity", "Severity", 1.3),
        ReportColumn("status", "Status", 1.8),
        ReportColumn("stationId"),
        ReportColumn("station", "Station", 2.1),
        ReportColumn("reportedBy", "Reported by", 1.9),
        ReportColumn("lostDays", "Lost days", 1.1, right=True),
        ReportColumn("closedAt"),
    ),
)
WORK_PERMITS = Kind(
    "work-permits",
    "work_permits",
    "valid_from",
    "work permits",
    (
        ReportColumn("id"),
        ReportColumn("validFrom", "Valid from", 1.5, day=True),
        ReportColumn("validUntil", "Until", 1.5, day=True),
        ReportColumn("title", "Work", 3.4),
        ReportColumn("kind", "Kind", 1.8),
        ReportColumn("status", "Status", 1.2),
        ReportColumn("overdue", "Overdue", 1.2),
        ReportColumn("stationId"),
        ReportColumn("station", "Station", 2.1),
        ReportColumn("contractorId"),
        ReportColumn("issuedTo", "Issued to", 2),
        ReportColumn("closedAt"),
    ),
)
#: The lists of a compliance report: rows of the same tables with the relevant columns.
OPEN_ACTIONS = Kind(
    "open-actions",
    "audits",
    "scheduled_at",
    "audits with open actions",
    tuple(one for one in AUDITS.columns if one.key != "completedAt"),
)
OPEN_INCIDENTS = Kind(
    "open-incidents",
    "incidents",
    "occurred_at",
    "open incidents",
    tuple(one for one in INCIDENTS.columns if one.key not in {"description", "closedAt"}),
)
OVERDUE_PERMITS = Kind(
    "overdue-permits",
    "work_permits",
    "valid_from",
    "overdue permits",
    tuple(one for one in WORK_PERMITS.columns if one.key not in {"overdue", "closedAt"}),
)
MONTHS = (
    ReportColumn("month", "Month", 1),
    ReportColumn("audits", "Audits", 1, right=True),
    ReportColumn("averageScore", "Average score", 1, right=True),
    ReportColumn("incidents", "Incidents", 1, right=True),
    ReportColumn("lostDays", "Lost days", 1, right=True),
    ReportColumn("permits", "Permits", 1, right=True),
    ReportColumn("overduePermits", "Overdue permits", 1, right=True),
)
STATIONS = (
    ReportColumn("station", "Station", 3),
    ReportColumn("count", "Audits", 1, right=True),
    ReportColumn("averageScore", "Average score", 1, right=True),
    ReportColumn("openActions", "Open actions", 1, right=True),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (AUDITS, INCIDENTS, WORK_PERMITS)}

#: Computed columns, which are not in the table.
DERIVED = frozenset({"station", "overdue"})
#: The statuses of permits that are or were in force: such a permit is overdue if it is past its
#: end and not closed.
IN_FORCE = ("Approved", "Active", "Expired")


def overdue(status: str, valid_until: str, closed_at: str | None, as_of: str) -> bool:
    """Return whether a permit is past its end and not closed."""
    return status in IN_FORCE and closed_at is None and valid_until < as_of


def column_name(key: str) -> str:
    """Return the database's name of a column: ``lost_days`` for ``lostDays``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
