"""Write tables as an Excel workbook (.xlsx) while the rows are read.

Text stays text, whatever it begins with: a tenant's text never becomes a formula, a link or a
number. XlsxWriter keeps one row in memory and the others in temporary files; see ``spool``.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from hsejobs.cells import plain
from hsejobs.errors import ArtifactsUnavailable, Unrecoverable
from tasks.shared.spool import spool

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: The most rows of a sheet, including the header.
MOST_ROWS = 1_048_576
#: The most UTF-16 code units of a cell, and the end of a truncated text.
LONGEST, CUT = 32_767, " [cut]"
#: The largest integer that is exact in a cell, which stores a double.
MOST_EXACT = 2**53
NOTES = "notes"
TIME_FORMAT, DAY_FORMAT = 'yyyy-mm-dd hh:mm:ss "UTC"', "yyyy-mm-dd"

_EPOCH, _DAY = datetime.datetime(1899, 12, 30), datetime.timedelta(days=1)
#: Excel has a 29 February 1900: earlier dates differ between programs.
_FIRST = datetime.datetime(1900, 3, 1)
_TIME_KEY = re.compile(r"(At|From|Until|[dD]ate)$")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?", re.A)
#: The limits of column widths, in characters, and the number of rows that determine them.
_NARROWEST, _WIDEST, _LOOKED_AT = 8, 60, 100


def is_time(key: str) -> bool:
    """Return whether a column contains times, by its name: ``createdAt``, ``validUntil``."""
    return _TIME_KEY.search(key) is not None


def serial_of(text: str) -> tuple[float, bool] | None:
    """Return a time as an Excel serial number (days), and whether it is a date without a time.

    Returns None if the text is not a time, or is before March 1900, which Excel cannot represent.
    """
    if not _TIME.fullmatch(text):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return ((moment - _EPOCH) / _DAY, len(text) == 10) if moment >= _FIRST else None


def sheet_name(name: str, taken: Iterable[str]) -> str:
    """Return a valid sheet name that differs from ``taken``, ignoring case."""
    others = {one.casefold() for one in taken} | {"history"}
    clean = re.sub(r"[\[\]:*?/\\\x00-\x1f\ud800-\udfff\ufffe\uffff]", " ", name).strip(" '")
    number = 1
    while True:
        end = f" ({number})" if number > 1 else ""
        found = (_short(clean or "Sheet", 31 - len(end))).rstrip(" '") + end
        if found.casefold() not in others:
            return found
        number += 1


def _units(text: str) -> int:
    """Return the length of a text in UTF-16 code units."""
    return len(text) + sum(one > "\uffff" for one in text)


def _short(text: str, most: int) -> str:
    """Truncate a text to ``most`` UTF-16 code units without splitting a character."""
    text = text[:most]
    while _units(text) > most:
        text = text[: -max(1, (_units(text) - most) // 2)]
    return text


class Output(Protocol):
    """Where a workbook is written to; it need not be seekable."""

    def write(self, data: bytes) -> int:
        """Append bytes; return how many."""


class Workbook:
    """A workbook that is being written; see ``workbook``."""

    def __init__(self, book: Any, worksheet_class: type) -> None:
        self.cut = 0
        self.rows: dict[str, int] = {}
        self._book, self._class = book, worksheet_class
        self._header = book.add_format({"bold": True, "bg_color": "#E7EFEB", "bottom": 1})
        self.formats = (
            book.add_format({"num_format": TIME_FORMAT}),
            book.add_format({"num_format": DAY_FORMAT}),
        )

    def table(self, name: str, keys: Sequence[str], rows: Iterable[Iterable[Sequence[Any]]]) -> int:
        """Write a table from batches of rows; return the number of rows. A table that is too long
        for a sheet continues in the next, ``name (2)``, with the same header.
        """
        total = 0
        sheet = _Sheet(self, name, keys)
        for several in rows:
            for row in several:
                if sheet.full:
                    sheet.end()
                    sheet = _Sheet(self, name, keys)
                sheet.add(row)
                total += 1
        sheet.end()
        return total

    def notes(self, facts: Mapping[str, Any]) -> None:
        """Write the last sheet: facts about the file, rows per sheet, truncated texts."""
        about = [*facts.items(), ("times", "UTC")]
        about += [(f"rows of {name}", count) for name, count in self.rows.items()]
        if self.cut:
            note = (
                f"{self.cut:,}, each longer than the {LONGEST:,} characters of a cell, now ending"
                f' with "{CUT.strip()}"; the JSON format has the full text'
            )
            about.append(("texts cut", note))
        self.table(NOTES, ("about", "value"), [about])

    def new(self, name: str, keys: Sequence[str]) -> Any:
        """Add a sheet with a frozen header."""
        sheet = self._book.add_worksheet(
            sheet_name(name, (one.name for one in self._book.worksheets())), self._class
        )
        sheet.freeze_panes(1, 0)
        for number, key in enumerate(keys):
            sheet.write_string(0, number, self.text(key), self._header)
        return sheet

    def text(self, text: str) -> str:
        """Return a text that fits into a cell."""
        if len(text) > LONGEST // 2 and _units(text) > LONGEST:
            self.cut += 1
            text = _short(text, LONGEST - len(CUT)) + CUT
        # A lone surrogate, which a database may contain, must not stop the job.
        return text if text.isascii() else text.encode(errors="replace").decode()


class _Sheet:
    """One sheet of a table, with its column widths."""

    def __init__(self, book: Workbook, name: str, keys: Sequence[str]) -> None:
        self._book, self._keys = book, keys
        self._sheet = book.new(name, keys)
        self._times = [is_time(key) for key in keys]
        self._widths = [len(key) + 4 for key in keys]
        self._row = 0

    @property
    def full(self) -> bool:
        """Whether the sheet has no room for another row."""
        return self._row + 1 >= MOST_ROWS

    def add(self, values: Sequence[Any]) -> None:
        self._row += 1
        if self._row <= _LOOKED_AT:
            self._widths = [
                # A time is as wide as its format.
                max(wide, 24 if time and value else min(_WIDEST, len(plain(value)) + 2))
                for wide, time, value in zip(self._widths, self._times, values, strict=True)
            ]
        row, sheet = self._row, self._sheet
        for column, value in enumerate(values):
            if type(value) is str:
                if value:
                    found = serial_of(value) if self._times[column] else None
                    if found is None:
                        sheet.write_string(row, column, self._book.text(value))
                    else:
                        sheet.write_number(row, column, found[0], self._book.formats[found[1]])
            elif value is not None:
                self._other(row, column, value)

    def _other(self, row: int, column: int, value: Any) -> None:
        if isinstance(value, bool):
            self._sheet.write_boolean(row, column, value)
        elif _exact(value):
            self._sheet.write_number(row, column, value)
        else:
            self._sheet.write_string(row, column, self._book.text(plain(value)))

    def end(self) -> None:
        """Finish the sheet: set the filter and the column widths."""
        last = len(self._keys) - 1
        self._sheet.autofilter(0, 0, self._row, last)
        for column, wide in enumerate(self._widths):
            self._sheet.set_column(column, column, max(_NARROWEST, wide))
        self._book.rows[self._sheet.name] = self._row


def _exact(value: Any) -> bool:
    """Return whether a cell represents the number exactly."""
    if isinstance(value, int):
        return -MOST_EXACT <= value <= MOST_EXACT
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, Decimal) and value.is_finite() and Decimal(repr(float(value))) == value


@contextlib.contextmanager
def workbook(
    out: Output,
    *,
    home: Path,
    title: str,
    at: datetime.datetime,
    check: Callable[[], None],
    closing: Callable[[], None] = lambda: None,
) -> Iterator[Workbook]:
    """Yield a workbook that is written to *out* if the block ends without an error.

    The same tables produce the same bytes. ``at`` (UTC) is the file's creation time. ``closing`` is
    called before the rows are packed, ``check`` for every piece that is written then; an exception
    from it ends the work. Until then the rows are in a folder below ``home/tmp``, about 60 bytes
    per cell, and up to twice that at the end. Raises ArtifactsUnavailable if that folder fails.
    """
    from xlsxwriter import Workbook as Book
    from xlsxwriter.exceptions import FileCreateError, XlsxWriterException

    with spool(home) as folder:
        options = {
            "constant_memory": True,
            "tmpdir": str(folder),
            "use_zip64": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        }
        book = Book(_Checked(out, check), options)
        book.set_properties({"title": title, "created": at.replace(tzinfo=None)})
        try:
            yield Workbook(book, _worksheet_class())
            closing()
            book.close()
        except (FileCreateError, OSError) as error:
            # The library's exception wraps the operating system's error.
            cause = error if isinstance(error, OSError) else error.args[0]
            reason = getattr(cause, "strerror", None)
            raise ArtifactsUnavailable(
                "the workbook's temporary files cannot be written below JOBS_HOME:"
                f" {reason or 'unknown'}; check its permissions and free space"
            ) from None
        except XlsxWriterException as error:
            raise Unrecoverable(
                f"the workbook could not be made ({type(error).__name__})"
            ) from None
        finally:
            # After an error nothing is packed: only close the files.
            for sheet in book.worksheets():
                sheet._opt_close()


class _Checked:
    """The artifact's file as ``zipfile`` sees it; stops the packing when the job must stop."""

    def __init__(self, out: Output, check: Callable[[], None]) -> None:
        self._out, self._check, self._broken = out, check, False

    def write(self, data: Any) -> int:
        """Write bytes; return how many. Ignores writes after a failed one: the offsets are wrong."""
        if self._broken:
            return len(data)
        self._broken = True
        self._check()
        written = self._out.write(data)
        self._broken = False
        return written

    def flush(self) -> None:
        """Do nothing: the store buffers its writes."""


def _worksheet_class() -> Any:
    from xlsxwriter.worksheet import Worksheet

    class _Worksheet(Worksheet):  # type: ignore[misc]
        """XlsxWriter's worksheet, without its feature that writes a text as raw XML."""

        @staticmethod
        def _escape_control_characters(data: Any) -> Any:
            # In constant-memory mode XlsxWriter treats a text from "<r>" to "</r>" as ready XML of
            # a rich string: a tenant could inject cells and formulas.
            found = Worksheet._escape_control_characters(data)
            return _Text(found) if type(found) is str and found.startswith("<r>") else found

    return _Worksheet


class _Text(str):
    """A text that XlsxWriter does not recognize as ready XML."""

    __slots__ = ()

    def startswith(self, *_: Any) -> bool:
        return False
