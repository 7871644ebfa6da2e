"""Typeset one document with typst in a separate process: ``python -m tasks.shared.typeset``.

typst caches its results until its process ends (about 270 MB for 2,000 rows) and cannot be
interrupted. A separate process releases the memory and can be killed at any time.

Standard input: ``{"data", "fontFolders", "at"}`` as JSON. Standard output: a line of JSON,
``{"archival", "missing", "error"}``, then the PDF.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsejobs import codec
from tasks.shared.fonts import PREFERRED, named, scripts

if TYPE_CHECKING:
    import typst

TEMPLATES = Path(__file__).parents[2] / "templates" / "reports"
#: Archival: fonts embedded, every character mapped. PDF tags would make it ten times as large.
ARCHIVE: typst.PDFStandard = "a-2u"
# One line per character: finds those without a glyph without typesetting the whole document.
_PROBE = b"""#set text(font: json(bytes(sys.inputs.fonts)))
#for one in json(bytes(sys.inputs.characters)) [#one \\ ]
"""
_MISSING = re.compile(r'the text `"((?:[^"\\]|\\.)+)"` could not be displayed with font')
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")


def typeset(data: dict[str, Any], folders: list[str], at: int) -> tuple[bytes, bool, list[str]]:
    """Return the PDF, whether it is archival, and the characters that it shows as boxes.

    ``at`` is the document's date, in seconds since the epoch. Raises typst.TypstError.
    """
    import typst

    fonts = typst.Fonts(font_paths=folders)
    installed = set(fonts.families())
    families = [name for name in PREFERRED if name in installed]
    missing = _without_glyph(data, fonts, families)
    if missing:
        data["notices"] = [*data["notices"], _notice(missing)]
    compiler = typst.Compiler(
        TEMPLATES / "report.typ",
        root=TEMPLATES,
        font_paths=fonts,
        ignore_system_fonts=True,
        sys_inputs={"data": codec.dumps(data | {"fonts": families}).decode()},
    )

    def run(standards: list[typst.PDFStandard]) -> bytes:
        made = compiler.compile(format="pdf", pdf_standards=standards, timestamp=at, pdf_tags=False)
        return made if isinstance(made, bytes) else b""

    if not missing:
        try:
            return run([ARCHIVE]), True, []
        except typst.TypstError as error:
            # A combining mark that no font has for its letter, or a private-use character.
            missing = _named_in(error)
    return run([]), False, missing


def _without_glyph(data: dict[str, Any], fonts: typst.Fonts, families: list[str]) -> list[str]:
    import typst

    text = set(codec.dumps(data).decode())
    # Skip combining marks: they never appear alone, and a font may have the composed letter.
    alone = sorted(one for one in text if ord(one) > 126 and unicodedata.category(one)[0] != "M")
    inputs = {"fonts": codec.dumps(families).decode(), "characters": codec.dumps(alone).decode()}
    probe = typst.Compiler(_PROBE, font_paths=fonts, ignore_system_fonts=True, sys_inputs=inputs)
    try:
        probe.compile(format="pdf", pdf_standards=[ARCHIVE], timestamp=0, pdf_tags=False)
    except typst.TypstError as error:
        return _named_in(error)
    return []


def _named_in(error: typst.TypstError) -> list[str]:
    found: set[str] = set()
    for text in _MISSING.findall(str(error.diagnostic)):
        found.update(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), text))
    # Skip format characters (joiners, directions, break points): typst names them together with
    # adjacent letters, but they are invisible.
    return sorted(one for one in found - {"\\", " "} if unicodedata.category(one) != "Cf")


def _notice(missing: list[str]) -> str:
    many = f"{len(missing)} characters" if len(missing) > 1 else "One character"
    return (
        f"{many} in this report ({scripts(missing)}) could not be printed: no installed font has "
        "glyphs for them, so they appear as boxes. The CSV and JSON reports have the original "
        f"text. Code points: {named(missing)}."
    )


def main() -> None:
    """Read the request from standard input and write the answer to standard output."""
    import typst

    request = codec.loads(sys.stdin.buffer.read())
    pdf = b""
    answer: dict[str, Any] = {"archival": False, "missing": [], "error": None}
    try:
        pdf, answer["archival"], answer["missing"] = typeset(
            request["data"], request["fontFolders"], request["at"]
        )
    except typst.TypstError as error:
        answer["error"] = error.message[:200]
    sys.stdout.buffer.write(codec.dumps(answer) + b"\n" + pdf)


if __name__ == "__main__":
    main()
