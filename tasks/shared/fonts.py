"""Which fonts a PDF is set in: those of the machine, and those added for other scripts.

typst brings four families of its own (a serif for Latin, Greek and Cyrillic, a monospace);
whatever else a text needs comes from fonts that are installed, see ``docs/reports.md``.
"""

from __future__ import annotations

import unicodedata
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: The first of these that there is; a character that it has not is taken from any other font.
PREFERRED = ("Noto Sans", "Open Sans", "DejaVu Sans", "Liberation Sans", "Libertinus Serif")


def font_folders(home: Path) -> list[str]:
    """Where fonts are besides the system's own places.

    ``home/fonts``, and the folders of installed ``fontpkg-*`` packages.
    """
    return [str(folder) for folder in _folders(home)]


def _folders(home: Path) -> Iterator[Path]:
    if (home / "fonts").is_dir():
        yield home / "fonts"
    for entry in entry_points(group="fontpkg.family"):
        # Looked up, not imported: only the files are wanted.
        spec = find_spec(entry.module.partition(".")[0])
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(place)


def named(characters: Iterable[str], most: int = 20) -> str:
    """Characters by their numbers, as anybody can read them: ``U+4ED3, U+5E93``."""
    found = sorted(set(characters))
    shown = ", ".join(f"U+{ord(one):04X}" for one in found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"


def scripts(characters: Iterable[str]) -> str:
    """Which scripts letters belong to, by the first word of their names: ``CJK, THAI``."""
    words = {
        unicodedata.name(one, "OTHERS").partition(" ")[0]
        if unicodedata.category(one)[0] in "LMN"
        else "symbols"
        for one in characters
    }
    return ", ".join(sorted(words)[:5])
