"""Sets one document with typst, in a process of its own: ``python -m tasks.shared.typeset``.

typst keeps what it has computed for as long as its process lives (some 270 MB for 2,000 rows),
and cannot be interrupted. Its end gives all of that back, and it can be killed at any moment.

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
#: For archives: fonts embedded, every character known. Tags would make it ten times as large.
ARCHIVE: typst.PDFStandard = "a-2u"
# Each character on a line of its own: a whole document is not needed to find those without glyph.
_PROBE = b"""#set text(font: json(bytes(sys.inputs.fonts)))
#for one in json(bytes(sys.inputs.characters)) [#one \\ ]
"""
_MISSING = re.compile(r'the text `"((?:[^"\\]|\\.)+)"` could not be displayed with font')
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")


def typeset(data: dict[str, Any], folders: list[str], at: int) -> tuple[bytes, bool, list[str]]:
    """The PDF, whether it is an archival one, and the characters that it shows as boxes.

    ``at`` is the document's date, in seconds since the epoch. Raises typst.TypstError.
    """
    import typst

    fonts = typst.Fonts(font_paths=folders)
    there = set(fonts.families())
    families = [name for name in PREFERRED if name in there]
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
            # A mark that no font has with its letter, or a private character.
            missing = _named_in(error)
    return run([]), False, missing


def _without_glyph(data: dict[str, Any], fonts: typst.Fonts, families: list[str]) -> list[str]:
    import typst

    text = set(codec.dumps(data).decode())
    # A mark alone is never set, and the letter that it stands on may have it built in.
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
    # Characters that steer (joiners, directions, places to break) are named along with letters
    # beside them, and are never seen.
    return sorted(one for one in found - {"\\", " "} if unicodedata.category(one) != "Cf")


def _notice(missing: list[str]) -> str:
    many = f"{len(missing)} characters" if len(missing) > 1 else "One character"
    return (
        f"{many} in this report ({scripts(missing)}) could not be printed: no font of the machine "
        "that made it has them, and they appear as boxes. The CSV and JSON reports have the text "
        f"as it is. Their numbers: {named(missing)}."
    )


def main() -> None:
    """Reads the wish, writes the answer."""
    import typst

    wish = codec.loads(sys.stdin.buffer.read())
    pdf = b""
    answer: dict[str, Any] = {"archival": False, "missing": [], "error": None}
    try:
        pdf, answer["archival"], answer["missing"] = typeset(
            wish["data"], wish["fontFolders"], wish["at"]
        )
    except typst.TypstError as error:
        answer["error"] = error.message[:200]
    sys.stdout.buffer.write(codec.dumps(answer) + b"\n" + pdf)


if __name__ == "__main__":
    main()
