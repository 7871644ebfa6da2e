"""When a schedule runs next, from its cron text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def next_run(cron: str, now_ms: int) -> int | None:
    """The next slot after ``now_ms`` in ms since the epoch (UTC); None if there is none in a year.

    Five fields of ``*``, ``n``, ``a-b``, ``*/n`` and lists of them, all of which must fit.
    """
    fields = cron.split()
    if len(fields) != 5:
        return None
    try:
        minutes, hours, days, months, weekdays = (
            _set(field, *limits) for field, limits in zip(fields, _RANGES, strict=True)
        )
    except ValueError:
        return None
    at = datetime.fromtimestamp(now_ms // 60_000 * 60, UTC) + timedelta(minutes=1)
    end = at + timedelta(days=366)
    while at < end:
        # Sunday is 0, as in cron.
        if at.month not in months or at.day not in days or at.isoweekday() % 7 not in weekdays:
            at = (at + timedelta(days=1)).replace(hour=0, minute=0)
        elif at.hour not in hours:
            at = (at + timedelta(hours=1)).replace(minute=0)
        elif at.minute not in minutes:
            at += timedelta(minutes=1)
        else:
            return int(at.timestamp() * 1000)
    return None


def _set(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        a, b = (low, high) if span == "*" else (int(first), int(last if dash else first))
        found.update(range(a, b + 1, int(step or 1)))
    # Sunday may be written as 7.
    return {0 if high == 6 and value == 7 else value for value in found}
