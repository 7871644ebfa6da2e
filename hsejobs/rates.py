"""Rates such as 50/s: how many in any second, minute or hour; and the highest limits.

Imports only the standard library, as ``hsejobs.settings`` does.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: The most of a rate, and the highest limit of jobs at once.
MOST = MOST_AT_ONCE = 1_000_000
MEANS = f"must be a number from 1 to {MOST} and a unit, such as 50/s, 100/m or 1000/h"
#: The units of rates and durations, in ms.
UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000}


class Rate(NamedTuple):
    """At most ``most`` in any ``ms`` milliseconds; 0 is no limit."""

    most: int
    ms: int

    def __str__(self) -> str:
        if not self.most:
            return ""
        unit = next(name for name, ms in UNITS_MS.items() if ms == self.ms)
        return f"{self.most}/{unit}"


UNLIMITED = Rate(0, 0)


def widened(window_us: int) -> int:
    """A window in us that Redis counts in, longer than the promised one by a hundredth, at most 10 ms.

    Redis takes the time when it lets something begin; its event is written, and the block begins, a
    little later, sooner for one than for another.
    """
    return window_us + min(10_000, window_us // 100)


def parse_rate(text: str) -> Rate:
    """The rate that ``n/s``, ``n/m`` or ``n/h`` means; '' is no limit. Raises ValueError."""
    if not text:
        return UNLIMITED
    found = re.fullmatch(r"([0-9]{1,7})/([smh])", text)
    if found is None or not 1 <= int(found[1]) <= MOST:
        raise ValueError(MEANS)
    return Rate(int(found[1]), UNITS_MS[found[2]])
