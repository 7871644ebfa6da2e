"""Values as the cells of a CSV file, in which no spreadsheet finds a formula."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

#: What a formula begins with; the last four are full-width.
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
#: How a text begins that a spreadsheet would run.
_BEGINS = re.compile(rf"[ \xa0]*[{_SIGNS}\t\r\n]")
#: Where a spreadsheet that separates cells by semicolon or tab, as it does where a comma is the
#: decimal sign, begins a cell in the middle of a text: to it the quotes around the text are none.
_INSIDE = re.compile(rf"([;\t\r\n])(?=[ \xa0\"]*[{_SIGNS}])")
#: First characters of texts that have to be looked at.
_DOUBTFUL = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20 \xa0")
#: The mark at the begin of a file by which Excel knows UTF-8.
_BOM = b"\xef\xbb\xbf"


def plain(value: Any) -> str:
    """A value as CSV and paper show it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def cell(value: Any) -> Any:
    """A value for a CSV cell: numbers as they are, all else as text.

    An apostrophe stands before a text that begins like a formula, and inside a text wherever a
    formula follows a semicolon, a tab or a line end.
    """
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    text = _INSIDE.sub(r"\1'", plain(value))
    return "'" + text if _BEGINS.match(text) else text


def csv_head(keys: Iterable[str]) -> bytes:
    """The begin of a CSV file: the byte order mark and the header line."""
    return _BOM + csv_rows([tuple(keys)])


def csv_rows(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows of two values or more as lines of CSV in UTF-8, with the values as ``cell`` gives them.

    All but numbers is quoted. The same bytes as ``csv.writer`` makes with QUOTE_NONNUMERIC, in
    less than half of its time: in most texts there is nothing to escape, and where a row has no
    separator in any of its texts, that is seen at once for the whole line.
    """
    lines = []
    for row in rows:
        line = ",".join(
            [
                ('"' + value + '"')
                if type(value) is str and value[:1] not in _DOUBTFUL and '"' not in value
                else _quoted(value)
                for value in row
            ]
        )
        if ";" in line or "\t" in line or "\n" in line or "\r" in line:
            line = ",".join([_quoted(value) for value in row])
        lines.append(line)
    lines.append("")
    # Half a character, which a database may hold, must not end the work.
    return "\r\n".join(lines).encode(errors="replace")


def _quoted(value: Any) -> str:
    found = cell(value)
    return '"' + found.replace('"', '""') + '"' if isinstance(found, str) else str(found)
