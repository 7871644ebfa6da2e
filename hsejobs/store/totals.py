"""What a queue has counted since it exists: sums that only grow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.minutes import BUCKETS_PER_OCTAVE, Minute, minute_of, pairs

#: Minutes outside the history that are added at most; recorders leave no more.
MOST_MINUTES = 180
#: The powers of two (us) at which the histograms for Prometheus have a bound: 1 ms to 72 min.
_POWERS = range(10, 33, 2)


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a queue; ``failed`` by code."""

    queue: str
    counters: Minute
    failed: dict[str, int] = field(default_factory=dict)


def read(client: RedisClient, prefix: str, queues: Sequence[str]) -> list[Totals]:
    """The totals of each queue. Raises RedisUnavailable."""
    replies = client.run_many(
        [(scripts.TOTALS, keys.base(prefix, name), (MOST_MINUTES,)) for name in queues]
    )
    return [_totals(name, pairs(one)) for name, one in zip(queues, replies, strict=True)]


def _totals(queue: str, flat: Mapping[bytes, bytes]) -> Totals:
    failed = {
        name[3:].decode("utf-8", "replace"): int(number)
        for name, number in flat.items()
        if name.startswith(b"fc:")
    }
    return Totals(queue, minute_of(flat), failed)


def cumulative(histogram: Mapping[int, int]) -> list[tuple[float, int]]:
    """The pairs (upper bound in s, how many were at most that long); the bounds are those of the buckets."""
    found = []
    for power in _POWERS:
        below = sum(n for bucket, n in histogram.items() if bucket < power * BUCKETS_PER_OCTAVE)
        found.append((2**power / 1e6, below))
    return [*found, (math.inf, sum(histogram.values()))]
