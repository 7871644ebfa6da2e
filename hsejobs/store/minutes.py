"""Per-minute counters and their histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hsejobs.model import whole_number

BUCKETS_PER_OCTAVE = 4
#: The bucket of 2^60 us, longer than any measurement.
_LAST_BUCKET = 60 * BUCKETS_PER_OCTAVE
#: Waiting, active and delayed jobs.
Depth = tuple[int, int, int]


def pairs(flat: Any) -> dict[bytes, bytes]:
    """A hash reply as a dict; redis-py's clients return a dict or a flat list."""
    if isinstance(flat, dict):
        return flat
    words = iter(flat)
    return dict(zip(words, words, strict=True))


@dataclass(slots=True)
class Minute:
    """The counters of a minute or a longer period: jobs added, completed, finally failed, retried, stalled,
    removed, restored; how many of those that failed were cancelled or revoked; and adds that an
    organization's quota refused. ``run_us`` and ``wait_us`` are sums in us.

    ``sampled`` are the waiting, active and delayed jobs at the last sample, ``peak`` the most of each;
    None without a sample. ``oldest``: the longest that a job had waited at a sample, in ms, 0 if none waited;
    None without one, or of a part of the queue, for which it is not sampled.
    """

    added: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    stalled: int = 0
    cancelled: int = 0
    refused: int = 0
    removed: int = 0
    restored: int = 0
    run_us: int = 0
    wait_us: int = 0
    run: dict[int, int] = field(default_factory=dict)
    wait: dict[int, int] = field(default_factory=dict)
    sampled: Depth | None = None
    peak: Depth | None = None
    oldest: int | None = None

    @property
    def ended(self) -> int:
        """How many jobs ended, in whatever way."""
        return self.completed + self.failed

    @property
    def judged(self) -> int:
        """How many jobs ended by what their task did: a cancelled one says nothing about it."""
        return max(0, self.ended - self.cancelled)

    @property
    def failure_ratio(self) -> float:
        """The share of the jobs judged that failed, 0 to 1; 0 if there are none."""
        failed = max(0, self.failed - self.cancelled)
        return failed / self.judged if self.judged else 0.0

    @property
    def average_run(self) -> float | None:
        """The average run time of the jobs that ran, in ms; None if none did."""
        runs = sum(self.run.values())
        return self.run_us / runs / 1000 if runs else None

    def __iadd__(self, other: Minute) -> Minute:
        # One by one, because a long history adds up tens of thousands.
        self.added += other.added
        self.completed += other.completed
        self.failed += other.failed
        self.retried += other.retried
        self.stalled += other.stalled
        self.cancelled += other.cancelled
        self.refused += other.refused
        self.removed += other.removed
        self.restored += other.restored
        self.run_us += other.run_us
        self.wait_us += other.wait_us
        for total, added in ((self.run, other.run), (self.wait, other.wait)):
            for bucket, n in added.items():
                total[bucket] = total.get(bucket, 0) + n
        if other.sampled is not None:
            self.sampled = other.sampled
        if other.peak is not None:
            self.peak = other.peak if self.peak is None else _most(self.peak, other.peak)
        if other.oldest is not None:
            self.oldest = max(self.oldest or 0, other.oldest)
        return self


def percentile(histogram: Mapping[int, int], share: float) -> float | None:
    """The value in ms below which ``share`` of the histogram lies, accurate to a fifth; None if empty."""
    return percentiles(histogram, share)[0]


def percentiles(histogram: Mapping[int, int], *shares: float) -> list[float | None]:
    """As `percentile`, of several shares in ascending order."""
    total, seen = sum(histogram.values()), 0
    found: list[float | None] = []
    for bucket in sorted(histogram) if total else ():
        seen += histogram[bucket]
        while seen >= shares[len(found)] * total:
            found.append((math.exp2((bucket + 0.5) / BUCKETS_PER_OCTAVE) - 1) / 1000)
            if len(found) == len(shares):
                return found
    return found + [None] * (len(shares) - len(found))


def bucket_end_ms(bucket: int) -> float:
    """The upper bound of a histogram's bucket in ms; a time of just this long is in the next one."""
    return (math.exp2((bucket + 1) / BUCKETS_PER_OCTAVE) - 1) / 1000


_FIELDS = {
    b"ad": "added",
    b"c": "completed",
    b"f": "failed",
    b"rt": "retried",
    b"st": "stalled",
    b"cx": "cancelled",
    b"rf": "refused",
    b"rm": "removed",
    b"rs": "restored",
    b"us": "run_us",
    b"wu": "wait_us",
}
#: The counters of a minute, in its order: records of the history depend on it.
COUNTERS = tuple(one.name for one in fields(Minute) if one.name in _FIELDS.values())


def _most(one: Depth, other: Depth) -> Depth:
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2])


def minute_of(flat: Mapping[bytes, bytes]) -> Minute:
    """The counters from a minute's hash; a task's own ones (``field|task``) are part of the queue's."""
    minute = Minute()
    for field_name, value in flat.items():
        _count(minute, field_name.partition(b"|")[0], value)
    return minute


def tasks_of(flat: Mapping[bytes, bytes]) -> dict[str, Minute]:
    """The counters of each task from a minute's hash in which they were not added up yet."""
    found: dict[str, Minute] = {}
    with_run: dict[str, int] = {}
    for field_name, value in flat.items():
        name, separator, raw = field_name.partition(b"|")
        if not separator:
            continue
        task = raw.decode("utf-8", "replace")
        minute = found.setdefault(task, Minute())
        if name == b"fr":
            with_run[task] = whole_number(value) or 0
        else:
            _count(minute, _OF_TASKS.get(name, name), value)
    for task, minute in found.items():
        # All runs that ended were counted, so the others were completed.
        minute.completed = max(0, sum(minute.run.values()) - with_run.get(task, 0))
    return found


#: A task's failures and retries are counted beside those of the queue, not in place of them.
_OF_TASKS = {b"ft": b"f", b"tt": b"rt"}


def _count(minute: Minute, name: bytes, value: bytes) -> None:
    number = whole_number(value) or 0
    if name in _FIELDS:
        attribute = _FIELDS[name]
        setattr(minute, attribute, getattr(minute, attribute) + number)
    elif name[1:].isdigit() and name[:1] in b"rw":
        histogram = minute.run if name[:1] == b"r" else minute.wait
        # Limited, because the bucket of a broken number would overflow.
        bucket = min(int(name[1:4]), _LAST_BUCKET)
        histogram[bucket] = histogram.get(bucket, 0) + number
