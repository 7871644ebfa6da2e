"""Per-minute counters and their histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hsejobs.model import whole_number

BUCKETS_PER_OCTAVE = 4
#: The bucket of 2^60 us, longer than any measurement.
_LAST_BUCKET = 60 * BUCKETS_PER_OCTAVE


def pairs(flat: Any) -> dict[bytes, bytes]:
    """A hash reply as a dict; redis-py's clients return a dict or a flat list."""
    if isinstance(flat, dict):
        return flat
    return dict(zip(flat[::2], flat[1::2], strict=True))


@dataclass(slots=True)
class Minute:
    """The counters of one minute: jobs added, completed, finally failed, retried, stalled; and how many
    of those that failed were cancelled or revoked.
    """

    added: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    stalled: int = 0
    cancelled: int = 0
    run_us: int = 0
    run: dict[int, int] = field(default_factory=dict)
    wait: dict[int, int] = field(default_factory=dict)

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
        for name in ("added", "completed", "failed", "retried", "stalled", "cancelled", "run_us"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for total, added in ((self.run, other.run), (self.wait, other.wait)):
            for bucket, n in added.items():
                total[bucket] = total.get(bucket, 0) + n
        return self


def percentile(histogram: Mapping[int, int], share: float) -> float | None:
    """The value in ms below which ``share`` of the histogram lies, accurate to a fifth; None if empty."""
    total = sum(histogram.values())
    if not total:
        return None
    rank, seen = share * total, 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= rank:
            return (math.exp2((bucket + 0.5) / BUCKETS_PER_OCTAVE) - 1) / 1000
    return None


_FIELDS = {
    b"ad": "added",
    b"c": "completed",
    b"f": "failed",
    b"rt": "retried",
    b"st": "stalled",
    b"cx": "cancelled",
    b"us": "run_us",
}


def minute_of(flat: Mapping[bytes, bytes]) -> Minute:
    """The counters from a minute's hash."""
    minute = Minute()
    for name, value in flat.items():
        number = whole_number(value) or 0
        if name in _FIELDS:
            setattr(minute, _FIELDS[name], number)
        elif name[1:].isdigit() and name[:1] in b"rw":
            histogram = minute.run if name[:1] == b"r" else minute.wait
            # Limited, because the bucket of a broken number would overflow.
            histogram[min(int(name[1:4]), _LAST_BUCKET)] = number
    return minute
