"""Sorting a list by one of its columns: ``s``, then the letter that its head marks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hsejobs.rates import UNITS_MS
from hsejobs_tui.core.steady import Places, Rank

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


def arranged(values: Mapping[str, Value], places: Places[str], *, reverse: bool) -> list[str]:
    """The keys in the order of their values: numbers from the largest, then texts from the first.

    Numbers that are about equal keep their ``places``. ``reverse``: the other way round. Those without a
    value are always last.
    """
    sign = -1.0 if reverse else 1.0
    numbers = {key: float(one) for key, one in values.items() if isinstance(one, int | float)}
    texts = {key: one for key, one in values.items() if isinstance(one, str)}
    moving = places.order(numbers, str, lambda key: Rank((), (sign * numbers[key],)))
    fixed = sorted(texts, key=lambda key: texts[key], reverse=reverse)
    return [*moving, *fixed, *(key for key, one in values.items() if one is None)]
