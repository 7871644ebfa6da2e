"""The records of the history: the counters of one period by queue, task, error group and organization.

A record is three lengths and four parts, each deflated JSON: the queue's own counters, its tasks, its groups
of errors, its organizations. A reader unpacks only the parts that it shows. Names are numbers, which
stand in a hash for ten days, their book: erasing an organization removes its name there.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hsejobs.store import keys
from hsejobs.store.minutes import COUNTERS, Minute

#: Minutes of a period, and for how long its record is kept, in seconds: from the finest to the coarsest.
RETENTION: dict[int, int] = {1: 3 * 3600, 10: 48 * 3600, 60: 30 * 86_400}
#: How long a book of names is kept, in seconds.
NAMES_TTL = keys.NAMES_KEPT * keys.NAMES_MINUTES * 60
#: Tasks, groups of errors and organizations in one record: the busiest.
MOST = 50
_HEAD = struct.Struct(">BHHH")
_VERSION = 1


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
_RUN_US = COUNTERS.index("run_us")
#: The lengths of rows that end with the oldest wait.
_WITH_OLDEST = (7, 10)


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
    parts = [_deflate(_row(period.whole, 1))]
    for by in By:
        width = _WIDTH[by]
        rows = [
            [names.number(by, name), *_row(minute, width)]
            for name, minute in period.parts[by].items()
        ]
        parts.append(_deflate(rows) if rows else b"")
    return _HEAD.pack(_VERSION, *map(len, parts[:3])) + b"".join(parts)


def book_of(minute: int) -> int:
    """The number of the book with the names of a record that begins with this minute."""
    return minute // keys.NAMES_MINUTES


def unpack(record: bytes, names: Names) -> Period:
    """The whole period of a record; an empty one for a form that a later release writes."""
    period = Period(whole_of(record))
    for by in By:
        rows = rows_of(record, names, by)
        period.parts[by] = {name: minute_of_row(row, by) for name, row in rows.items()}
    return period


def whole_of(record: bytes) -> Minute:
    """The queue's own counters in a record."""
    text = _part(record, 0)
    return _minute(_inflate(text), 1) if text else Minute()


def rows_of(record: bytes, names: Names, by: By) -> dict[str, list[Any]]:
    """A part of a record by name, unread: `minute_of_row` reads a row. Erased names are left out."""
    text = _part(record, 1 + tuple(By).index(by))
    named = names.named(by) if text else {}
    # A history has hundreds of thousands of rows.
    return {named[row[0]]: row[1:] for row in (_inflate(text) if text else ()) if row[0] in named}


def minute_of_row(row: Sequence[Any], by: By, *, brief: bool = False) -> Minute:
    """The counters in a row; ``brief``: without times and samples, in a fifth of the time."""
    return _minute(row[:1] if brief else row, _WIDTH[by])


def activity_of_row(row: Sequence[Any], by: By) -> int:
    """About the activity of a row, without reading it."""
    counters = row[0]
    run_us = counters[_RUN_US] * (1 if _WIDTH[by] == 1 else 1000) if len(counters) > _RUN_US else 0
    return int(run_us + 1000 * sum(counters[:4]))


def _part(record: bytes, at: int) -> bytes:
    if len(record) < _HEAD.size or record[0] != _VERSION:
        return b""
    _, *lengths = _HEAD.unpack_from(record)
    start = _HEAD.size + sum(lengths[:at])
    return record[start : start + lengths[at]] if at < len(lengths) else record[start:]


def _row(minute: Minute, width: int) -> list[Any]:
    """A minute as a list: the counters up to the last that is not 0, the histograms, the samples.

    ``width``: how many buckets of a histogram become one.
    """
    counters = [getattr(minute, name) for name in COUNTERS]
    if width > 1:
        counters[_RUN_US] = counters[_RUN_US] // 1000
    while counters and not counters[-1]:
        counters.pop()
    rest: list[Any] = [_dense(minute.run, width), _dense(minute.wait, width)]
    if minute.sampled is not None:
        rest += minute.sampled
        if minute.peak is not None and minute.peak != minute.sampled:
            rest += minute.peak
        if minute.oldest is not None:
            # Whole seconds, none of which is lost: 0 means that nothing waited.
            rest.append(-(-minute.oldest // 1000))
    while rest and rest[-1] == []:
        rest.pop()
    return [counters, *rest]


def _minute(row: Sequence[Any], width: int) -> Minute:
    # In the order of the class: this is called tens of thousands of times for one history.
    minute = Minute(*row[0])
    if width > 1:
        minute.run_us *= 1000
    if len(row) > 1 and row[1]:
        minute.run = _buckets(row[1], width)
    if len(row) > 2 and row[2]:
        minute.wait = _buckets(row[2], width)
    if len(row) > 5:
        minute.sampled = minute.peak = (row[3], row[4], row[5])
        if len(row) > 8:
            minute.peak = (row[6], row[7], row[8])
        # Three or six numbers are the samples; records of earlier releases end there.
        if len(row) in _WITH_OLDEST:
            minute.oldest = row[-1] * 1000
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
    return json.loads(zlib.decompress(text, -15))
