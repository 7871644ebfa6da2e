"""The filters of reports, checked when a job is added. Does not load SQLAlchemy."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hsejobs.errors import InvalidPayload
from hsejobs.model import SEEN
from hsejobs.services.fields import IDENTIFIER

AUDIT_STATUSES = ("Scheduled", "In Progress", "Completed", "Overdue")
INCIDENT_STATUSES = ("Open", "Investigating", "Closed")
PERMIT_STATUSES = ("Draft", "Approved", "Active", "Closed", "Expired")
SEVERITIES = ("Low", "Medium", "High", "Critical")

#: The filters of each type with their allowed values; None for any value.
FILTERS: Mapping[str, Mapping[str, tuple[str, ...] | None]] = {
    "audits": {"status": AUDIT_STATUSES, "startDate": None, "endDate": None, "stationId": None},
    "incidents": {
        "status": INCIDENT_STATUSES,
        "severity": SEVERITIES,
        "startDate": None,
        "endDate": None,
        "stationId": None,
    },
    "work-permits": {
        "status": PERMIT_STATUSES,
        "startDate": None,
        "endDate": None,
        "stationId": None,
    },
    "compliance": {"startDate": None, "endDate": None, "stationId": None},
}
MAX_VALUES = 100
#: The most problems reported for one payload: a body could have thousands.
MAX_PROBLEMS = 20

_SNAKE = {"start_date": "startDate", "end_date": "endDate", "station_id": "stationId"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_RANGE = ("startDate", "endDate")
#: Years that are valid in every time zone; no leap seconds.
_DOCUMENT_MOMENT = (
    "^(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:[.][0-9]{1,3})?"
    "(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])$"
)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})")


@dataclass(frozen=True, slots=True)
class Filters:
    """Checked filters; an empty tuple and None mean all. The range is inclusive.

    ``start`` and ``end`` are UTC text as in the database, ``2026-01-31T00:00:00Z``.
    """

    status: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    station_id: tuple[str, ...] = ()
    start: str | None = None
    end: str | None = None

    def shown(self) -> dict[str, Any]:
        """Return the filters that are set, under their names in the payload."""
        found = {
            "status": list(self.status),
            "severity": list(self.severity),
            "stationId": list(self.station_id),
            "startDate": self.start,
            "endDate": self.end,
        }
        return {name: value for name, value in found.items() if value}


def filter_rules() -> list[dict[str, Any]]:
    """Return a schema for each type of report and its filters, for the OpenAPI document.

    JSON Schema cannot express that a range ends after it starts, so each schema describes only
    one end of it.
    """
    # JSON Schema's dates begin with the year 0, Python's with 1.
    day = {"type": "string", "format": "date", "pattern": "^(?!0000)"}
    moment = {"type": "string", "format": "date-time", "pattern": _DOCUMENT_MOMENT}
    date: dict[str, Any] = {"anyOf": [day, moment, {"type": "null"}]}

    def of(choices: tuple[str, ...] | None) -> dict[str, Any]:
        one: dict[str, Any] = (
            {"enum": [*choices]}
            if choices
            else {"type": "string", "pattern": f"^{IDENTIFIER}{{1,200}}$"}
        )
        several = {"type": "array", "minItems": 1, "maxItems": MAX_VALUES, "items": one}
        return {"anyOf": [one, several, {"type": "null"}]}

    def filters(known: Mapping[str, Any], without: str) -> dict[str, Any]:
        names = [name for name in known if name != without]
        fields = {name: date if name in _RANGE else of(known[name]) for name in names}
        return {"type": "object", "additionalProperties": False, "properties": fields}

    return [
        {
            "title": kind,
            "required": ["type"],
            "properties": {
                "type": {"const": kind},
                "filters": {"anyOf": [filters(known, one) for one in reversed(_RANGE)]},
            },
        }
        for kind, known in FILTERS.items()
    ]


def parse_filters(kind: str, given: Mapping[str, Any]) -> Filters:
    """Check and return the filters for a report of type ``kind``.

    Raises InvalidPayload, which names every invalid field, as ``filters.status``, and never
    repeats a value: an unknown filter, an unknown value, a range that ends before it starts.
    """
    known = FILTERS[kind]
    problems: list[tuple[str, str]] = []
    found: dict[str, Any] = {}
    for key, value in given.items():
        if len(problems) == MAX_PROBLEMS:
            break
        name = _SNAKE.get(key, key)
        if name not in known:
            problems.append(
                (key, f"is not a filter of this type; must be one of: {', '.join(known)}")
            )
        elif name in found:
            problems.append((key, "must not be given twice, in two spellings"))
        elif value is not None:
            try:
                found[name] = _value(name, value, known[name])
            except ValueError as error:
                problems.append((key, str(error)))
    start, end = found.get("startDate"), found.get("endDate")
    if start and end and end < start:
        problems.append(("endDate", "must not be before startDate"))
    if problems:
        named = [(f"filters.{key}", problem) for key, problem in problems]
        raise InvalidPayload(*named[0], *named[1:])
    return Filters(
        status=found.get("status", ()),
        severity=found.get("severity", ()),
        station_id=found.get("stationId", ()),
        start=start,
        end=end,
    )


def _value(name: str, value: Any, choices: tuple[str, ...] | None) -> Any:
    if name in {"startDate", "endDate"}:
        return _moment(value, end=name == "endDate")
    values = value if isinstance(value, list) else [value]
    if not values or len(values) > MAX_VALUES:
        raise ValueError(f"must be one value or a list of 1 to {MAX_VALUES} values")
    if not all(isinstance(one, str) and 0 < len(one) <= 200 for one in values):
        raise ValueError("must have values of 1 to 200 characters")
    if choices is None:
        if not all(map(SEEN.fullmatch, values)):
            raise ValueError("must not contain characters that are invalid in ids")
        return tuple(dict.fromkeys(values))
    by_fold = {one.casefold(): one for one in choices}
    if any(one.casefold() not in by_fold for one in values):
        raise ValueError(f"must only have values of: {', '.join(choices)}")
    return tuple(dict.fromkeys(by_fold[one.casefold()] for one in values))


def _moment(value: Any, *, end: bool) -> str:
    problem = "must be a date (2026-01-31) or a time with a zone (2026-01-31T08:00:00Z)"
    if not isinstance(value, str):
        raise ValueError(problem)
    try:
        if _DAY.fullmatch(value):
            datetime.date.fromisoformat(value)
            return f"{value}T{'23:59:59' if end else '00:00:00'}Z"
        if _MOMENT.fullmatch(value):
            moment = datetime.datetime.fromisoformat(value.upper()).astimezone(datetime.UTC)
            # Not strftime, which omits leading zeros before the year 1000.
            return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        pass
    raise ValueError(problem)
