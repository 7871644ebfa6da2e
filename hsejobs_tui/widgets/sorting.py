"""Sorting a list by one of its columns: ``s``, then the letter that its head marks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hsejobs.rates import UNITS_MS

#: The key that restores the order of the screen; no column has it.
DEFAULT = "s"
_NUMBER = re.compile(r"[<>]?\s*([\d,]+(?:\.\d+)?)\s*(ms|[smhdkMG%]?)")
_UNITS = {**UNITS_MS, "ms": 1, "d": 24 * UNITS_MS["h"], "k": 1e3, "M": 1e6, "G": 1e9}

Value = float | str | None


def letters(titles: Sequence[str]) -> list[str]:
    """The letter of each column, the first of its title that is free; ``""`` for one without."""
    taken = {DEFAULT}
    found = []
    for title in titles:
        free = next((one for one in title.lower() if one.isalpha() and one not in taken), "")
        taken.add(free)
        found.append(free)
    return found


def value_of(text: str) -> Value:
    """What a cell sorts by: the number or duration that it begins with, or else its text; None for none."""
    shown = text.strip()
    if shown in ("", "-"):
        return None
    match = _NUMBER.match(shown)
    if match is None:
        return shown.lower()
    return float(match[1].replace(",", "")) * _UNITS.get(match[2], 1)


def arranged(values: Sequence[Value], *, reverse: bool) -> list[int]:
    """The places of the values in their order: numbers from the largest, then texts from the first.

    ``reverse``: the other way round. Those without a value are always last.
    """
    numbers = [n for n, one in enumerate(values) if isinstance(one, int | float)]
    texts = [n for n, one in enumerate(values) if isinstance(one, str)]
    numbers.sort(key=lambda n: float(values[n] or 0), reverse=not reverse)
    texts.sort(key=lambda n: str(values[n]), reverse=reverse)
    return [*numbers, *texts, *(n for n, one in enumerate(values) if one is None)]
