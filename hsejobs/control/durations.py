"""Parse and format durations: the one notation of every interface."""

from __future__ import annotations

import re

from hsejobs.errors import InvalidOption
from hsejobs.rates import UNITS_MS

_TEXT = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(ms|s|min|m|h|d)?")
_UNITS = {"ms": 1, **UNITS_MS, "min": UNITS_MS["m"], "d": 24 * UNITS_MS["h"]}
#: The longest duration accepted, in ms: ten years.
LONGEST_MS = 10 * 366 * 86_400_000


def parse_duration(text: str, name: str = "duration") -> int:
    """Parses a duration such as ``500ms``, ``90s``, ``1.5h`` or ``7 d``; returns whole ms.

    The units are ms, s, m (or min), h and d; a bare number is in seconds. Raises InvalidOption for
    the field ``name``, also for more than ten years.
    """
    found = _TEXT.fullmatch(text.strip())
    ms = round(float(found[1]) * _UNITS[found[2] or "s"]) if found else LONGEST_MS + 1
    if ms > LONGEST_MS:
        raise InvalidOption(name, "must be a duration such as 30s, 15m, 1h or 7d")
    return ms


def duration(ms: float | None) -> str:
    """Formats ms in at most five characters: ``12ms``, ``3.4s``, ``5m``, ``2.1h``, ``3d``; ``-`` for None."""
    if ms is None:
        return "-"
    if ms < 0.95:
        return "<1ms" if ms > 0 else "0ms"
    if ms < 995:
        return f"{ms:.0f}ms"
    seconds = ms / 1000
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 99.5:
        return f"{seconds:.0f}s"
    if seconds < 5970:
        return f"{seconds / 60:.0f}m"
    if seconds < 35_640:
        return f"{seconds / 3600:.1f}h"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f}h"
    return f"{seconds / 86400:.0f}d"
