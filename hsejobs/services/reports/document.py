"""A report as PDF, by the typst template ``templates/reports/report.typ``.

The template gets its data as one JSON text in ``sys.inputs``; nothing of a row is ever source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsejobs import codec
from hsejobs.errors import Unrecoverable
from hsejobs.services.reports.fonts import fonts_of, named, scripts
from hsejobs.services.reports.kinds import Column, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Rows in one table on paper.
MOST_ROWS = 5000
#: Characters of one text on paper.
LONGEST = 400
ARCHIVE: typst.PDFStandard = "a-2u"

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
# Latin, Greek and Cyrillic words that no column is wide enough for. Other scripts break
# between any two characters, or join them, and are left alone.
_LONG_WORD = re.compile("[\u0021-\u007e\u00a1-\u052f]{15,}")
_MISSING = re.compile(r'the text `"((?:[^"\\]|\\.)+)"` could not be displayed with font')
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")


@dataclass(frozen=True, slots=True)
class Printed:
    """A PDF, whether it is one for archives (PDF/A-2u), and the characters it shows as boxes."""

    data: bytes
    archival: bool
    missing: tuple[str, ...]


def table_of(
    title: str,
    note: str,
    columns: Iterable[Column],
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


def _cell(column: Column, value: Any) -> str:
    text = plain(value)
    return text[:10] if column.day else breakable(text)


def breakable(text: str) -> str:
    """A text for paper: no control characters, not endless, long words with places to break."""
    text = _UNPRINTABLE.sub(" ", text)
    if len(text) > LONGEST:
        text = text[: LONGEST - 3] + "..."
    return _LONG_WORD.sub(_broken, text)


def _broken(found: re.Match[str]) -> str:
    word = found[0]
    return "\u200b".join(word[start : start + 10] for start in range(0, len(word), 10))


def print_pdf(data: dict[str, Any], home: Path, at_seconds: int) -> Printed:
    """Sets the document; ``data`` is what the template reads, less ``fonts``.

    A character that no font has makes it no PDF/A; it is set with boxes then, and with a notice
    of them on the first page. Raises Unrecoverable when it cannot be set at all.
    """
    import typst

    fonts, families = fonts_of(home)
    data = data | {"fonts": families}
    with as_file(files("templates") / "reports") as folder:
        compiler = typst.Compiler(folder / "report.typ", root=folder, font_paths=fonts)

        def run(standards: list[typst.PDFStandard]) -> bytes:
            text = codec.dumps(data).decode("utf-8")
            # Tags make a file of 2,000 rows ten times as large.
            made = compiler.compile(
                format="pdf",
                sys_inputs={"data": text},
                pdf_standards=standards,
                timestamp=at_seconds,
                pdf_tags=False,
            )
            if not isinstance(made, bytes):
                raise Unrecoverable("the PDF could not be made")
            return made

        try:
            return Printed(run([ARCHIVE]), True, ())
        except typst.TypstError as error:
            missing = _missing(str(error.diagnostic))
        if missing:
            data["notices"] = [*data["notices"], _notice(missing)]
        try:
            return Printed(run([]), False, missing)
        except typst.TypstError as error:
            raise Unrecoverable(f"the PDF could not be made: {error.message[:200]}") from None


def _missing(diagnostic: str) -> tuple[str, ...]:
    """The characters that an archival PDF was refused for."""
    found: set[str] = set()
    for text in _MISSING.findall(diagnostic):
        found.update(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), text))
    return tuple(sorted(found - {"\\", " "}))


def _notice(missing: tuple[str, ...]) -> str:
    return (
        f"{len(missing)} characters ({scripts(missing)}) have no glyph in the fonts of the machine "
        "that made this report and are shown as boxes. The text below the boxes is whole: it can "
        f"be searched and copied, and is in the CSV and JSON reports. {named(missing)}."
    )
