"""A report as PDF, by the typst template ``templates/reports/report.typ``.

The template gets its data as one JSON text in ``sys.inputs``; nothing of a row is ever source.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsejobs import codec
from hsejobs.errors import JobsError, Unrecoverable
from tasks.reports.kinds import ReportColumn
from tasks.shared.cells import plain
from tasks.shared.fonts import font_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Rows in a table on paper, where it is the only one and where there are several: what typst
#: needs for a row (some 80 KB) bounds what one report may take.
MOST_ROWS, MOST_OF_SEVERAL = 5000, 2000
#: Characters of one text on paper.
LONGEST = 400
#: The application's folder.
ROOT = Path(__file__).parents[2]

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
# Latin, Greek and Cyrillic words that no column is wide enough for. Other scripts break
# between any two characters, or join them, and are left alone.
_LONG_WORD = re.compile("[\u0021-\u007e\u00a1-\u052f]{15,}")


@dataclass(frozen=True, slots=True)
class Printed:
    """A PDF, whether it is one for archives (PDF/A-2u), and the characters it shows as boxes."""

    data: bytes
    archival: bool
    missing: tuple[str, ...]


def table_of(
    title: str,
    note: str,
    columns: Iterable[ReportColumn],
    rows: Iterable[Mapping[str, Any]],
    empty: str,
) -> dict[str, Any]:
    """A table as the template takes it: the printed columns, every cell a text."""
    printed = [column for column in columns if column.printed]
    return {
        "title": title,
        "note": note,
        "empty": empty,
        "columns": [
            {"title": column.title, "width": column.width, "right": column.right}
            for column in printed
        ],
        "rows": [[_cell(column, row[column.key]) for column in printed] for row in rows],
    }


def _cell(column: ReportColumn, value: Any) -> str:
    text = plain(value)
    return text[:10] if column.day else breakable(text)


def breakable(text: str, longest: int = LONGEST) -> str:
    """A text for paper: no control characters, not endless, long words with places to break."""
    text = _UNPRINTABLE.sub(" ", text)
    if len(text) > longest:
        text = text[: longest - 3] + "..."
    return _LONG_WORD.sub(_broken, text)


def _broken(found: re.Match[str]) -> str:
    word = found[0]
    return "\u200b".join(word[start : start + 4] for start in range(0, len(word), 4))


def print_pdf(
    data: dict[str, Any], home: Path, at_seconds: int, check: Callable[[], None]
) -> Printed:
    """Sets the document; ``data`` is what the template reads, less ``fonts``.

    A character that no font has makes it no PDF/A; it is set with boxes then, and with a notice
    of them on the first page. ``check`` is called twice a second, and ends the work when it
    raises. Raises Unrecoverable when the document cannot be set at all.
    """
    wish = codec.dumps({"data": data, "fontFolders": font_folders(home), "at": at_seconds})
    head, _, pdf = _run(wish, check).partition(b"\n")
    answer = codec.loads(head)
    if answer["error"] is not None or not pdf:
        raise Unrecoverable(f"the PDF could not be made: {answer['error']}")
    return Printed(pdf, answer["archival"], tuple(answer["missing"]))


def _run(wish: bytes, check: Callable[[], None]) -> bytes:
    """The answer of ``typeset``, which is killed when this is left early."""
    with subprocess.Popen(
        [sys.executable, "-m", "tasks.shared.typeset"],
        # Wherever the consumer was started: there `tasks` may be somebody else's.
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Not the terminal's: a Ctrl-C is for the consumer, which lets its jobs finish.
        start_new_session=True,
    ) as process:
        try:
            given: bytes | None = wish
            while True:
                try:
                    made, told = process.communicate(given, timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    given = None
                    check()
        finally:
            process.kill()
    if process.returncode != 0:
        # Its memory may have been wanted by others: another attempt may do.
        last = told.decode("utf-8", "replace").strip().rpartition("\n")[2]
        kind = last.partition(":")[0][:100]
        raise JobsError(f"the PDF's process ended with {process.returncode} ({kind})")
    return made
