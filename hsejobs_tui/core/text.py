"""Text for display: hostile characters escaped, sizes, counts and times in short form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

from hsejobs.control.durations import duration as duration

#: Unicode categories that move the cursor, or hide or reorder text: control, format, surrogate,
#: private use, unassigned, and line separators.
_HOSTILE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
#: Characters to which a name may be shortened.
LEAST_NAME = 3
_SUSPECT = re.compile(r"[^\x20-\x7e]")


def safe(text: object, limit: int = 2_000, *, lines: bool = False) -> str:
    """The text with control, bidi and other invisible characters escaped; cut at ``limit`` characters.

    ``lines`` keeps line feeds and replaces a tab with four spaces.
    """
    shown = str(text)
    cut = len(shown) > limit
    shown = shown[:limit]
    if lines:
        shown = shown.replace("\t", "    ")
    shown = _SUSPECT.sub(lambda found: _visible(found[0], lines), shown)
    return shown + "…" if cut else shown


def held_by(who: str, ms: int | None) -> str:
    """`` by ann 12m``: who holds something and for how long, as far as it is known (``''``, None)."""
    by = f" by {safe(who, 20)}" if who else ""
    return by if ms is None else f"{by} {duration(max(0, ms))}"


def whole_number(text: str) -> int | None:
    """The number that a person typed; None unless it is one to nine digits, those of ASCII."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def nothing_to(title: str, why: str) -> str:
    """What is said in place of a question where a command has nothing to act on. ``why``: sentences."""
    return f"{title}: nothing to act on. {why}"


def _visible(char: str, lines: bool) -> str:
    if char == "\n" and lines:
        return char
    if unicodedata.category(char) in _HOSTILE or unicodedata.combining(char):
        return ascii(char)[1:-1]
    return char


def fitted(parts: Iterable[tuple[str, bool]], room: int, *, ascii_only: bool) -> str:
    """The texts behind each other, in ``room`` characters if that is possible.

    Of those that are names (True) the longest are shortened in the middle, as names often differ at an end.
    """
    shown = [(safe(text, 200), name) for text, name in parts]
    sizes = [len(text) for text, _ in shown]
    names = [at for at, (_, name) in enumerate(shown) if name]
    while sum(sizes) > room and names:
        longest = max(names, key=lambda at: sizes[at])
        if sizes[longest] <= LEAST_NAME:
            break
        sizes[longest] -= 1
    sign = "~" if ascii_only else "…"
    return "".join(
        text if len(text) <= size else f"{text[: size // 2]}{sign}{text[size // 2 + 1 - size :]}"
        for (text, _), size in zip(shown, sizes, strict=True)
    )


def one_line(text: object, limit: int = 300) -> str:
    """The first line, escaped and cut at ``limit`` characters."""
    return safe(str(text)[: limit * 2].strip().partition("\n")[0], limit)


def size(count: float) -> str:
    """A number of bytes in short form: ``512 B``, ``1.4 MB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def number(count: float) -> str:
    """A count with thousands separators; in millions from one million on."""
    return f"{count:,.0f}" if count < 1_000_000 else f"{count / 1_000_000:.2f}M"


def short(count: float) -> str:
    """A count in at most six characters: ``99,999``, ``145k``, ``1.23M``."""
    return f"{count / 1000:.0f}k" if 100_000 <= count < 1_000_000 else number(count)


def fitting(count: float, cells: int) -> str:
    """A count in at most that many characters, four or more: ``1,205``, ``15k``, ``1.2M``."""
    if len(text := short(count)) <= cells:
        return text
    return f"{count / 1000:.0f}k" if count < 999_500 else f"{count / 1_000_000:.1f}M"


def clock(ms: int | None) -> str:
    """A time given in ms as UTC date and time to the second; ``-`` for none."""
    if not ms:
        return "-"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
