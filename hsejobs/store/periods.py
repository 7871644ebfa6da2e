"""The records of the history: the counters of one period by queue, task, error group and organization.

A record is six lengths and seven parts, each deflated JSON: the queue's own counters, then of its tasks, its
groups of errors and its organizations first the counters and then the times and samples, both in the same
order. A reader unpacks only the parts that it shows. Names are numbers, which stand in a hash for ten days,
their book: erasing an organization removes its name there.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hsejobs.store import keys
from hsejobs.store.minutes import COUNTERS, Minute

#: Minutes of a period, and for how long its record is kept, in seconds: from the finest to the coarsest.
#: Those of a day save reading its hours.
RETENTION: dict[int, int] = {1: 3 * 3600, 10: 48 * 3600, 60: 30 * 86_400, 1_440: 30 * 86_400}
#: How long a book of names is kept, in seconds.
NAMES_TTL = keys.NAMES_KEPT * keys.NAMES_MINUTES * 60
#: Tasks, groups of errors and organizations in one record: the busiest.
MOST = 50
_HEAD = struct.Struct(">B6H")
_VERSION = 2


class By(StrEnum):
    """What a history is divided by. The values are those of ``--by``."""

    TASK = "task"
    ERROR = "error"
    ORG = "org"

    @property
    def letter(self) -> str:
        """The first letter of its names in a book."""
        return self.value[0]


#: The buckets that become one in a record: there are many organizations, so theirs are an octave each.
_WIDTH = {By.TASK: 1, By.ERROR: 1, By.ORG: 4}
_PLACES = {by: place for place, by in enumerate(By)}
#: The place of the running time in a row of counters, which begins with the number of a name.
_RUN_US = 1 + COUNTERS.index("run_us")
#: Of one name: its number and its counters; its histograms and samples.
Row = list[Any]
#: The lengths of a row's rest that end with the oldest wait.
_WITH_OLDEST = (6, 9)


@dataclass(slots=True)
class Period:
    """The counters of a period: of the queue, and of each of its tasks, error groups and organizations."""

    whole: Minute = field(default_factory=Minute)
    parts: dict[By, dict[str, Minute]] = field(default_factory=lambda: {by: {} for by in By})

    @property
    def empty(self) -> bool:
        """Whether nothing was counted or sampled in it."""
        return self.whole == Minute() and not any(self.parts.values())

    def __iadd__(self, other: Period) -> Period:
        self.whole += other.whole
        for by, found in other.parts.items():
            own = self.parts[by]
            for name, minute in found.items():
                total = own.get(name)
                if total is None:
                    own[name] = total = Minute()
                total += minute
        return self

    def busiest(self) -> Period:
        """The same with at most ``MOST`` of each part."""
        kept = Period(self.whole)
        for by, found in self.parts.items():
            ranked = sorted(found.items(), key=lambda item: (-activity(item[1]), item[0]))
            kept.parts[by] = dict(ranked[:MOST])
        return kept


def activity(minute: Minute) -> int:
    """What the busiest are ranked by: us of running time, plus 1 ms for each job added, ended or retried."""
    depth = sum(minute.peak[:2]) if minute.peak is not None else 0
    return minute.run_us + 1000 * (minute.added + minute.ended + minute.retried) + depth


def total(periods: Iterable[Period]) -> Period:
    """The sum of consecutive periods, in order, with the busiest of each part."""
    found = Period()
    for period in periods:
        found += period
    return found.busiest()


class Names:
    """The numbers of a book's names. ``fresh`` are those that ``number`` has given out."""

    def __init__(self, flat: Mapping[bytes, bytes]) -> None:
        self.last = int(flat.get(b"", b"0"))
        self._numbers = {
            name.decode("utf-8", "replace"): int(number) for name, number in flat.items() if name
        }
        self.known = self.last
        self.fresh: dict[str, int] = {}
        self._named: dict[str, dict[int, str]] = {}

    def number(self, by: By, name: str) -> int:
        """The number of a name; a new one gets the next."""
        full = by.letter + name
        if full not in self._numbers:
            self.last += 1
            self._numbers[full] = self.fresh[full] = self.last
            self._named = {}
        return self._numbers[full]

    def named(self, by: By) -> Mapping[int, str]:
        """The names by their numbers, without those that were erased."""
        if not self._named:
            for full, number in self._numbers.items():
                self._named.setdefault(full[0], {})[number] = full[1:]
        return self._named.get(by.letter, {})


def pack(period: Period, names: Names) -> bytes:
    """The record of a period; gives numbers to names that have none."""
    parts = [_deflate([_counters(period.whole, 1), _rest(period.whole, 1)])]
    for by in By:
        width, found = _WIDTH[by], period.parts[by].items()
        rows = [[names.number(by, name), *_counters(minute, width)] for name, minute in found]
        rest = [_rest(minute, width) for _, minute in found]
        parts += [_deflate(rows) if rows else b"", _deflate(rest) if any(rest) else b""]
    return _HEAD.pack(_VERSION, *map(len, parts[:-1])) + b"".join(parts)


def book_of(minute: int) -> int:
    """The number of the book with the names of a record that begins with this minute."""
    return minute // keys.NAMES_MINUTES


def unpack(record: bytes, names: Names) -> Period:
    """The whole period of a record; an empty one for a form that another release writes."""
    period = Period(whole_of(record))
    for by in By:
        named, rows = names.named(by), rows_of(record, by)
        period.parts[by] = {
            named[row[0]]: minute_of_row(row, by, rest)
            for row, rest in zip(rows, rest_of(record, by, len(rows)), strict=True)
            if row[0] in named
        }
    return period


def whole_of(record: bytes) -> Minute:
    """The queue's own counters in a record."""
    text = _part(record, 0)
    if not text:
        return Minute()
    counters, rest = _inflate(text)
    return _minute([0, *counters], 1, rest)


def rows_of(record: bytes, by: By) -> list[Row]:
    """The counters of a part of a record by number of the name, unread: see `minute_of_row`."""
    text = _part(record, 1 + 2 * _PLACES[by])
    return _inflate(text) if text else []


def rest_of(record: bytes, by: By, count: int) -> Sequence[Row]:
    """The times and samples of the ``count`` rows that `rows_of` returns, in their order."""
    text = _part(record, 2 + 2 * _PLACES[by])
    return _inflate(text) if text else [[]] * count


def minute_of_row(row: Row, by: By, rest: Row | None = None) -> Minute:
    """The counters in a row; without its ``rest``, no times and samples, in a fifth of the time."""
    return _minute(row, _WIDTH[by], rest)


def activities(rows: Iterable[Row], by: By) -> Counter[int]:
    """About the activity of each name, by its number, without reading the rows."""
    us, found = 1 if _WIDTH[by] == 1 else 1000, Counter[int]()
    for row in rows:
        # A history has hundreds of thousands of rows.
        ms = sum(row[1:5]) * 1000
        found[row[0]] += ms + row[_RUN_US] * us if len(row) > _RUN_US else ms
    return found


def _part(record: bytes, at: int) -> bytes:
    if len(record) < _HEAD.size or record[0] != _VERSION:
        return b""
    _, *lengths = _HEAD.unpack_from(record)
    start = _HEAD.size + sum(lengths[:at])
    return record[start : start + lengths[at]] if at < len(lengths) else record[start:]


def _counters(minute: Minute, width: int) -> Row:
    """The counters up to the last that is not 0. ``width``: how many buckets of a histogram become one."""
    counters = [getattr(minute, name) for name in COUNTERS]
    if width > 1:
        counters[_RUN_US - 1] = minute.run_us // 1000
    while counters and not counters[-1]:
        counters.pop()
    return counters


def _rest(minute: Minute, width: int) -> Row:
    """The histograms and the samples, without what is empty at the end."""
    rest: Row = [_dense(minute.run, width), _dense(minute.wait, width)]
    if minute.sampled is not None:
        rest += minute.sampled
        if minute.peak is not None and minute.peak != minute.sampled:
            rest += minute.peak
        if minute.oldest is not None:
            # Whole seconds, none of which is lost: 0 means that nothing waited.
            rest.append(-(-minute.oldest // 1000))
    while rest and rest[-1] == []:
        rest.pop()
    return rest


def _minute(row: Row, width: int, rest: Row | None) -> Minute:
    # In the order of the class: this is called tens of thousands of times for one history.
    minute = Minute(*row[1:])
    if width > 1:
        minute.run_us *= 1000
    if rest:
        minute.run = _buckets(rest[0], width) if rest[0] else {}
        if len(rest) > 1 and rest[1]:
            minute.wait = _buckets(rest[1], width)
        if len(rest) > 4:
            minute.sampled = minute.peak = (rest[2], rest[3], rest[4])
            if len(rest) > 7:
                minute.peak = (rest[5], rest[6], rest[7])
            # Three or six numbers are the samples; records of earlier releases end there.
            if len(rest) in _WITH_OLDEST:
                minute.oldest = rest[-1] * 1000
    return minute


def _dense(histogram: Mapping[int, int], width: int) -> list[int]:
    """The number of the first bucket, then how many are in it and in those after it."""
    if not histogram:
        return []
    first, last = min(histogram) // width, max(histogram) // width
    counts = [0] * (last - first + 1)
    for bucket, number in histogram.items():
        counts[bucket // width - first] += number
    return [first, *counts]


def _buckets(dense: Sequence[int], width: int) -> dict[int, int]:
    """The histogram; a bucket that was several is the last of them, whose upper bound is its own."""
    at = dense[0] * width + width - 1
    return {at + width * i: n for i, n in enumerate(dense[1:]) if n}


def _deflate(rows: Any) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = json.dumps(rows, separators=(",", ":")).encode()
    return compressor.compress(text) + compressor.flush()


def _inflate(text: bytes) -> Any:
    # As text, because `json.loads` would look for its encoding.
    return json.loads(zlib.decompress(text, -15).decode("ascii"))
