"""Parse a moment: the one notation of every interface, in UTC unless it names an offset."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from hsejobs.control.durations import parse_duration
from hsejobs.errors import InvalidOption

#: A time of day, with an optional day before it.
_CLOCK = re.compile(
    r"(?:(today|yesterday)\s+)?([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.IGNORECASE
)
#: Two times of day with a dash between them: as much a span as with ``to``.
_DASHED = re.compile(r"([0-9:]+)\s*[-\u2013]\s*([0-9:]+)")
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?"
_DAY = (
    r"[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
#: The plain forms of a moment as a regular expression for other programs: a duration, a time of day, a day,
#: a day with its time.
PLAIN = rf"now|-?[0-9]{{1,3}}(?:ms|s|min|m|h|d)|{_TIME}|{_DAY}(?:T{_TIME}(?:Z|[+-]{_TIME})?)?"
#: What a moment may be, for an error about one that is not.
EXPECTED = (
    "a time such as 03:05, yesterday 14:00 or 2026-07-01T03:05Z (UTC), or a duration before now such"
    " as 3h"
)
_WRONG = f"must be {EXPECTED}"


def parse_moment(text: str, now_ms: int, name: str = "time") -> int:
    """Parses a moment in the past; returns it in ms since the epoch, at most ``now_ms``.

    See `parse_time`. Raises InvalidOption for the field ``name``.
    """
    return min(now_ms, parse_time(text, now_ms, name))


def parse_time(text: str, now_ms: int, name: str = "time") -> int:
    """Parses a moment, which may be in the future; returns it in ms since the epoch.

    ``now``; a date, or a date and time, in ISO 8601; ``03:05``, the latest such time, or with ``today``
    or ``yesterday`` before it; or a duration before now, such as ``3h`` or ``-3h``. Raises InvalidOption
    for the field ``name``.
    """
    word = text.strip()
    if word.lower() == "now":
        return now_ms
    if re.match(r"\d{4}-|\d{8}T", word):
        return _dated(word, name)
    if found := _CLOCK.fullmatch(word):
        return _on_day(found, now_ms)
    # A number alone, such as 2026 or 20260131, can be a year, a date or seconds.
    if not word[-1:].isalpha():
        raise InvalidOption(name, _WRONG)
    try:
        return now_ms - parse_duration(word.removeprefix("-"), name)
    except InvalidOption:
        raise InvalidOption(name, _WRONG) from None


def parse_span(text: str, now_ms: int, name: str = "time") -> tuple[int, int]:
    """Parses ``03:00 to 03:10``, or ``03:00-03:10``, or a moment, whose two ends are the same; in ms.

    An end that is a time of day alone is the first such time after the beginning. Raises InvalidOption.
    """
    line = re.sub(r"\s+", " ", text.strip())
    if (dashed := _DASHED.fullmatch(line)) and all(map(_CLOCK.fullmatch, dashed.groups())):
        line = " to ".join(dashed.groups())
    first, separator, last = line.partition(" to ")
    start = parse_moment(first, now_ms, name)
    if not separator:
        return start, start
    if not last.strip():
        raise InvalidOption(name, _WRONG)
    clock = _CLOCK.fullmatch(last)
    if clock is None or clock[1]:
        end = parse_moment(last, now_ms, name)
    else:
        end = _on_day(clock, start)
        end = min(now_ms, end if end > start else end + 86_400_000)
    if start >= end:
        raise InvalidOption(name, "must be a span whose beginning is before its end")
    return start, end


def _dated(word: str, name: str) -> int:
    try:
        # A `+` in an address is a space.
        moment = datetime.fromisoformat(
            re.sub(r" (?=\d\d:?\d\d$)", "+", word) if "T" in word else word
        )
    except ValueError:
        raise InvalidOption(name, _WRONG) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def _on_day(found: re.Match[str], now_ms: int) -> int:
    day, hour, minute, second = found.groups()
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    moment = now.replace(hour=int(hour), minute=int(minute), second=int(second or 0), microsecond=0)
    if (day or "").lower() == "yesterday" or (day is None and moment > now):
        moment -= timedelta(days=1)
    return int(moment.timestamp() * 1000)
