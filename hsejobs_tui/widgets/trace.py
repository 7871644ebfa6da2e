"""Tracebacks for reading: the program's own frames first, library frames folded, equal ones once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from hsejobs.wording import counted, during
from hsejobs_tui.core.joblist import titled
from hsejobs_tui.core.text import clock, safe
from hsejobs_tui.core.view import kind_of

_FRAME = re.compile(r'  File "(?P<file>[^"]*)", line (?P<line>\d+)(?:, in (?P<name>.*))?')
#: Directories of code that is not the application's: Python, installed packages, and the engine itself.
_LIBRARY = re.compile(
    r"site-packages|dist-packages|/lib/python\d|/hsejobs/(?:engine|store|control)/|^<frozen|^<string>"
)
_PACKAGE = re.compile(
    r"(?:/lib/python[\d.]+|/(?:site|dist)-packages)/(?!(?:site|dist)-packages)([\w.-]+)"
)
#: Lines of a whole traceback, and of code below a frame.
LINES, CODE = 60, 3


@dataclass(slots=True)
class Part:
    """One of the chained exceptions of a traceback: its frames, innermost last, and its last line."""

    frames: list[tuple[str, list[str]]] = field(default_factory=list)
    error: str = ""


def parts(text: str) -> list[Part]:
    """The chained exceptions of a traceback, in its order. Text that is none of it is left out."""
    found: list[Part] = []
    for line in text.splitlines():
        if line.startswith("Traceback (most recent call last)"):
            found.append(Part())
        elif not found:
            continue
        elif _FRAME.match(line):
            found[-1].frames.append((line, []))
        elif line.startswith("    ") and found[-1].frames and not found[-1].error:
            found[-1].frames[-1][1].append(line)
        elif line.strip() and not found[-1].error and not line.startswith(" "):
            found[-1].error = line
    return found


def is_own(line: str) -> bool:
    """Whether the frame of this line is the application's code."""
    found = _FRAME.match(line)
    return found is not None and not _LIBRARY.search(found["file"])


def folded(text: str, *, key: str = "") -> list[Text]:
    """The traceback: of each exception, newest first, its own frames, innermost first; others are counted.

    ``key``: the key that shows all.
    """
    lines: list[Text] = []
    for number, part in enumerate(reversed(parts(text))):
        if number:
            lines.append(Text(f"from {safe(part.error, 300)}", "dim"))
        own = [one for one in part.frames if is_own(one[0])]
        library = [one for one in part.frames if not is_own(one[0])]
        if not own and library:
            # Where it broke is better than nothing.
            own, library = library[-1:], library[:-1]
        for line, code in reversed(own):
            lines.append(_frame(line))
            lines += [Text(f"    {safe(one.strip(), 300)}") for one in code[:CODE]]
        if library:
            lines.append(Text(_count(library) + (f" ({key} shows all)" if key else ""), "dim"))
    if not lines:
        lines = [Text(safe(one, 500), "dim") for one in text.splitlines()[-LINES:]]
    return lines


def _frame(line: str) -> Text:
    found = _FRAME.match(line)
    if found is None:
        return Text(safe(line.strip(), 300))
    text = Text(safe(found["file"], 200), "note").append(f":{found['line']}", "note")
    return text.append(f" in {safe(found['name'] or '?', 100)}", "bold")


def _count(frames: Sequence[tuple[str, list[str]]]) -> str:
    names: list[str] = []
    for line, _ in frames:
        found = _PACKAGE.search(line)
        name = found[1].removesuffix(".py") if found else "hsejobs"
        if name not in names:
            names.append(name)
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"+ {counted(len(frames), 'library frame')}: {safe(shown, 100)}"


def errors(found: Sequence[Mapping[str, Any]], *, whole: bool) -> list[tuple[int, Text]]:
    """The errors as indents and lines, newest first, equal ones once. ``whole``: complete tracebacks."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in reversed(found):
        trace = str(one.get("traceback") or "")
        groups.setdefault((str(one.get("error")), trace), []).append(one)
    lines: list[tuple[int, Text]] = []
    for (_, trace), same in groups.items():
        newest = same[0]
        head = Text(during(newest), "dim")
        if len(same) > 1:
            others = ", ".join(str(one.get("attempt")) for one in same[1:6])
            head.append(f" (the same in {others})", "dim")
        head.append(f", {clock(newest.get('failedAt'))}, ", "dim")
        text = titled(kind_of(newest), str(newest.get("error")))
        lines.append((3, head.append(safe(text, 2_000), "fail")))
        if not trace:
            continue
        if whole:
            every = safe(trace, 8_000, lines=True).splitlines()[-LINES:]
            lines += [(5, Text(one, "dim")) for one in every]
        else:
            lines += [(5, one) for one in folded(trace, key="v")]
    return lines
