"""What each type of report lists: its table, its columns, and how they look on paper."""

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
class Column:
    """A column: its name in JSON and CSV; in a PDF its heading, width and side."""

    key: str
    title: str = ""
    width: float = 0.0
    right: bool = False
    #: A time, of which paper shows the day.
    day: bool = False

    @property
    def printed(self) -> bool:
        """Whether a PDF has it."""
        return bool(self.title)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type that lists the rows of one table, newest first by ``date``."""

    name: str
    table: str
    date: str
    noun: str
    columns: tuple[Column, ...]


AUDITS = Kind(
    "audits",
    "audits",
    "scheduled_at",
    "audits",
    (
        Column("id"),
        Column("scheduledAt", "Scheduled", 1.5, day=True),
        Column("title", "Audit", 4),
        Column("stationId"),
        Column("station", "Station", 2.1),
        Column("auditor", "Auditor", 2),
        Column("status", "Status", 1.5),
        Column("score", "Score", 0.9, right=True),
        Column("findings", "Findings", 1.2, right=True),
        Column("openActions", "Open", 0.9, right=True),
        Column("completedAt"),
    ),
)
INCIDENTS = Kind(
    "incidents",
    "incidents",
    "occurred_at",
    "incidents",
    (
        Column("id"),
        Column("occurredAt", "Occurred", 1.5, day=True),
        Column("title", "Incident", 3.8),
        Column("description"),
        Column("kind", "Kind", 1.6),
        Column("severity", "Severity", 1.3),
        Column("status", "Status", 1.8),
        Column("stationId"),
        Column("station", "Station", 2.1),
        Column("reportedBy", "Reported by", 1.9),
        Column("lostDays", "Lost days", 1.1, right=True),
        Column("closedAt"),
    ),
)
WORK_PERMITS = Kind(
    "work-permits",
    "work_permits",
    "valid_from",
    "work permits",
    (
        Column("id"),
        Column("validFrom", "Valid from", 1.5, day=True),
        Column("validUntil", "Until", 1.5, day=True),
        Column("title", "Work", 3.4),
        Column("kind", "Kind", 1.8),
        Column("status", "Status", 1.2),
        Column("overdue", "Overdue", 1.2),
        Column("stationId"),
        Column("station", "Station", 2.1),
        Column("contractorId"),
        Column("issuedTo", "Issued to", 2),
        Column("closedAt"),
    ),
)
#: The lists of a compliance report: rows of the same tables, by which of their columns matter.
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
    Column("month", "Month", 1),
    Column("audits", "Audits", 1, right=True),
    Column("averageScore", "Average score", 1, right=True),
    Column("incidents", "Incidents", 1, right=True),
    Column("lostDays", "Lost days", 1, right=True),
    Column("permits", "Permits", 1, right=True),
    Column("overduePermits", "Overdue permits", 1, right=True),
)
STATIONS = (
    Column("station", "Station", 3),
    Column("count", "Audits", 1, right=True),
    Column("averageScore", "Average score", 1, right=True),
    Column("openActions", "Open actions", 1, right=True),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (AUDITS, INCIDENTS, WORK_PERMITS)}

#: Made from others, not in the table.
DERIVED = frozenset({"station", "overdue"})
#: A permit in one of these is in force, or was: past its end and not closed it is overdue.
IN_FORCE = ("Approved", "Active", "Expired")


def overdue(status: str, valid_until: str, closed_at: str | None, as_of: str) -> bool:
    """Whether a permit has run out and nobody has closed it."""
    return status in IN_FORCE and closed_at is None and valid_until < as_of


def column_name(key: str) -> str:
    """``lostDays`` is ``lost_days`` in the database."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
