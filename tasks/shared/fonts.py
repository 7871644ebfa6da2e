"""The fonts of PDFs: those of the system, and those added for other scripts.

typst includes four families (a serif for Latin, Greek and Cyrillic, a monospace); all other
characters need installed fonts, see ``docs/reports.md``.
"""

from __future__ import annotations

import unicodedata
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: The first of these that is installed is used; missing characters come from any other font.
PREFERRED = ("Noto Sans", "Open Sans", "DejaVu Sans", "Liberation Sans", "Libertinus Serif")


def font_folders(home: Path) -> list[str]:
    """Return font folders other than the system's.

    ``home/fonts``, and the folders of installed ``fontpkg-*`` packages.
    """
    return [str(folder) for folder in _folders(home)]


def _folders(home: Path) -> Iterator[Path]:
    if (home / "fonts").is_dir():
        yield home / "fonts"
    for entry in entry_points(group="fontpkg.family"):
        # Find the package without importing it: only its files are needed.
        spec = find_spec(entry.module.partition(".")[0])
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(place)


def named(characters: Iterable[str], most: int = 20) -> str:
    """Return the code points of characters as text: ``U+4ED3, U+5E93``."""
    found = sorted(set(characters))
    shown = ", ".join(f"U+{ord(one):04X}" for one in found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"


def scripts(characters: Iterable[str]) -> str:
    """Return the scripts of letters, by the first word of their Unicode names: ``CJK, THAI``."""
    words = {
        unicodedata.name(one, "OTHERS").partition(" ")[0]
        if unicodedata.category(one)[0] in "LMN"
        else "symbols"
        for one in characters
    }
    return ", ".join(sorted(words)[:5])
