"""Print a report as PDF with the typst template ``templates/reports/report.typ``.

The template gets its data as JSON in ``sys.inputs``; row data never becomes template source.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsejobs import codec
from hsejobs.cells import plain
from hsejobs.errors import JobsError, Unrecoverable
from tasks.reports.kinds import ReportColumn
from tasks.shared.fonts import font_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: The most rows of a table in a PDF, if it is the only one and if there are several: typst needs
#: about 80 KB of memory per row.
MOST_ROWS, MOST_OF_SEVERAL = 5000, 2000
#: The most characters of one text in a PDF.
LONGEST = 400
#: The application's folder.
ROOT = Path(__file__).parents[2]

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
# Latin, Greek and Cyrillic words that are too long for a column. Other scripts break between any
# two characters, or join them, and are not changed.
_LONG_WORD = re.compile("[\u0021-\u007e\u00a1-\u052f]{15,}")


@dataclass(frozen=True, slots=True)
class Printed:
    """A PDF, whether it is archival (PDF/A-2u), and the characters that it shows as boxes."""

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
    """Return a table as the template expects it: the printed columns, every cell as text."""
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
    """Return a text for a PDF: no control characters, truncated, long words with break points."""
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
    """Typeset the document; ``data`` is what the template reads, without ``fonts``.

    A character that no font has prevents PDF/A; it is shown as a box, and a notice on the first
    page says so. ``check`` is called twice a second; an exception from it ends the work.
    Raises Unrecoverable if the document cannot be typeset.
    """
    request = codec.dumps({"data": data, "fontFolders": font_folders(home), "at": at_seconds})
    head, _, pdf = _run(request, check).partition(b"\n")
    answer = codec.loads(head)
    if answer["error"] is not None or not pdf:
        raise Unrecoverable(f"the PDF could not be made: {answer['error']}")
    return Printed(pdf, answer["archival"], tuple(answer["missing"]))


def _run(request: bytes, check: Callable[[], None]) -> bytes:
    """Run ``typeset`` in a child process and return its output; kill it on any exception."""
    with subprocess.Popen(
        [sys.executable, "-m", "tasks.shared.typeset"],
        # Not the consumer's working folder, where `tasks` may be another package.
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Not in the terminal's session: Ctrl-C is for the consumer, which lets its jobs finish.
        start_new_session=True,
    ) as process:
        try:
            given: bytes | None = request
            while True:
                try:
                    made, stderr = process.communicate(given, timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    given = None
                    check()
        finally:
            process.kill()
    if process.returncode != 0:
        # It may have been killed for lack of memory: another attempt may succeed.
        last = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        kind = last.partition(":")[0][:100]
        raise JobsError(f"the PDF process exited with {process.returncode} ({kind})")
    return made
