"""Estimate the cost of a JSON Schema's patterns in Python's regex engine, which backtracks.

The standard library has no public form of a parsed pattern, so this reads the private one. Where a
release of Python has another form, patterns cost infinity: they are left to the worker's model.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

try:
    import re._parser as parser  # type: ignore[import-not-found]
except ImportError:
    parser = None

#: Costs above this count as infinite, which keeps the arithmetic finite.
_TOO_MUCH = 1e12
#: Syntax that other dialects read as nested sets, and Python does not.
_SETS = ("[[", "[^[", "&&", "--", "~~", "||")


def cost(pattern: str, length: int) -> float:
    """An upper bound of the steps that a search takes in a text of ``length`` characters.

    Infinity for a pattern in another dialect, which may mean something else in Python, and for one
    that cannot be analyzed. Most searches take a small part of the bound.
    """
    read = _read(pattern)
    if read is None:
        return math.inf
    try:
        starts = 1 if _anchored(read) else length + 1
        return _ways(read, length) * starts * (1 + len(read.data))
    except (AttributeError, IndexError, TypeError, ValueError):
        return math.inf


@lru_cache(maxsize=512)
def _read(pattern: str) -> Any:
    if parser is None or any(sign in pattern for sign in _SETS):
        return None
    try:
        re.compile(pattern)
        return parser.parse(pattern)
    except (re.error, RecursionError, OverflowError, Warning):
        return None


def _anchored(read: Any) -> bool:
    first = read.data[0] if read.data else None
    return first is not None and str(first[0]) == "AT" and "BEGINNING" in str(first[1])


def _ways(read: Any, length: int) -> float:
    """The number of ways to match a sequence: the product of the ways of its parts."""
    ways = 1.0
    for kind, what in read:
        ways *= _part(str(kind), what, length)
        if ways > _TOO_MUCH:
            return math.inf
    return ways


def _part(kind: str, what: Any, length: int) -> float:
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        _, most, inner = what
        most = min(int(most), length)
        ways = _ways(inner, length)
        # If there is one way to match the part, only the number of repetitions varies; if there are
        # several, each repetition multiplies them.
        if ways <= 1:
            return most + 1
        return ways**most * (most + 1) if most * math.log10(ways) < 12 else math.inf
    if kind == "BRANCH":
        return float(sum(_ways(one, length) for one in what[1]))
    if kind == "SUBPATTERN":
        return _ways(what[3], length)
    if kind == "ATOMIC_GROUP":
        return _ways(what, length)
    if kind in ("ASSERT", "ASSERT_NOT"):
        return _ways(what[1], length)
    if kind in ("LITERAL", "NOT_LITERAL", "ANY", "IN", "AT", "CATEGORY", "RANGE"):
        return 1.0
    return math.inf  # back references, conditions
