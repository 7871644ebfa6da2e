"""Values as the cells of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: How a text begins that a spreadsheet would run; the last four are full-width.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def plain(value: Any) -> str:
    """A value as CSV and paper show it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def cell(value: Any) -> Any:
    """A value for a CSV cell. A text that begins like a formula gets an apostrophe before it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = plain(value)
    return "'" + text if text.lstrip(" \xa0").startswith(_FORMULA) else text


@contextmanager
def csv_lines(out: Any) -> Iterator[Any]:
    """A ``csv.writer`` of UTF-8 into a binary file, which stays open."""
    # Half a character, which a database may hold, must not end the work.
    wrapper = io.TextIOWrapper(out, encoding="utf-8", errors="replace", newline="")
    try:
        yield csv.writer(wrapper)
        wrapper.flush()
    finally:
        # Closing the wrapper would close what it writes to.
        wrapper.detach()
