"""Cron expressions: parsing, the next run, and the expression for given sets of values.

Five fields (minute, hour, day, month, weekday), in UTC, all of which must match. A field is a list
of ``*``, ``n``, ``a-b``, ``a-b/n`` and ``*/n``, as in Huey's ``crontab()``: a range whose end is
before its start wraps around, 0 and 7 are Sunday, and names are not supported.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from hsejobs.errors import InvalidOption

#: Smallest and largest value of each field. For the weekday, 7 means the same as 0.
_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_RANGE = re.compile(r"(\d+)-(\d+)(?:/(\d+))?")
_EVERY = re.compile(r"\*/(\d+)")
#: Years to search: the calendar repeats itself within them, even across a century without a leap day.
_YEARS = 40
_USE = "must have five fields: minute hour day month weekday"


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed cron expression: the values that each field may have, sorted; Sunday is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def matches(self, at: datetime) -> bool:
        """Whether the minute of ``at`` (UTC) is one of the slots."""
        return (
            at.minute in self.minutes
            and at.hour in self.hours
            and at.day in self.days
            and at.month in self.months
            and at.isoweekday() % 7 in self.weekdays
        )

    def next_run(self, after: datetime) -> datetime | None:
        """The first slot after ``after`` (UTC); None when there is none, as for February 31."""
        start = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        today = start.date()
        for year in range(today.year, min(today.year + _YEARS, 9999) + 1):
            for month in self.months:
                for day in self._days(year, month):
                    if day < today:
                        continue
                    earliest = (start.hour, start.minute) if day == today else (0, 0)
                    if (time := self._time(earliest)) is not None:
                        return datetime(*day.timetuple()[:3], *time, tzinfo=after.tzinfo)
        return None

    def _days(self, year: int, month: int) -> list[date]:
        last = monthrange(year, month)[1]
        days = [date(year, month, day) for day in self.days if day <= last]
        return [day for day in days if day.isoweekday() % 7 in self.weekdays]

    def _time(self, earliest: tuple[int, int]) -> tuple[int, int] | None:
        times = ((hour, minute) for hour in self.hours for minute in self.minutes)
        return next((time for time in times if time >= earliest), None)


@lru_cache(maxsize=256)
def parse(text: str) -> Cron:
    """Parses a cron expression. Raises InvalidOption.

    Expressions from an older release may have ``*/n`` in the last field: 0 to 6 in steps of n.
    """
    fields = text.split()
    if len(fields) != len(_LIMITS):
        raise InvalidOption("cron", _USE)
    try:
        return Cron(
            *(_values(field, *limits) for field, limits in zip(fields, _LIMITS, strict=True))
        )
    except ValueError:
        raise InvalidOption("cron", _USE) from None


def next_run(text: str, after_ms: int) -> int | None:
    """The next slot after ``after_ms``, in ms since the epoch.

    None when there is none, for '' (a schedule whose function is not a ``crontab``), and for an
    invalid expression, so that one schedule cannot break the list of all.
    """
    try:
        found = parse(text).next_run(datetime.fromtimestamp(after_ms // 60_000 * 60, UTC))
    except InvalidOption:
        return None
    return None if found is None else int(found.timestamp() * 1000)


def text_of(values: Sequence[Collection[int]]) -> str:
    """The expression for five collections of values: minutes, hours, days, months, weekdays."""
    sets = [*values[:4], {day % 7 for day in values[4]}]
    steps = (True, True, True, True, False)  # Huey's crontab() does not accept steps for weekdays.
    return " ".join(
        _field(sorted(chosen), *limits, step)
        for chosen, limits, step in zip(sets, _LIMITS, steps, strict=True)
    )


def _values(field: str, low: int, high: int) -> tuple[int, ...]:
    """The values of one field. Raises ValueError."""
    every, weekday = range(low, high + 1), high == 6
    #: The values that may appear in the text.
    allowed = range(8) if weekday else every
    found: set[int] = set()
    for piece in field.split(","):
        if piece == "*":
            found.update(every)
        elif piece.isdigit():
            found.add(_one(piece, allowed))
        elif step := _EVERY.fullmatch(piece):
            found.update(every[:: int(step[1])])
        elif span := _RANGE.fullmatch(piece):
            first, last = _one(span[1], allowed), _one(span[2], allowed)
            if first <= last:
                values = list(range(first, last + 1))
            else:
                values = [*range(first, high + 1), *range(low, last + 1)]
            found.update(values[:: int(span[3] or 1)])
        else:
            raise ValueError(piece)
    if not found:
        raise ValueError(field)
    return tuple(sorted({value % 7 for value in found} if weekday else found))


def _one(text: str, allowed: range) -> int:
    value = int(text)
    if value not in allowed:
        raise ValueError(text)
    return value


def _field(values: list[int], low: int, high: int, steps: bool) -> str:
    if values == list(range(low, high + 1)):
        return "*"
    if steps and len(values) > 2:
        for step in range(2, high):
            if values == list(range(low, high + 1, step)):
                return f"*/{step}"
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]}-{values[-1]}"
    return ",".join(map(str, values))
