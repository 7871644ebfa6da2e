"""Programs that a test runs beside itself: waiting for what they write, showing it on a failure."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support import wait_until

#: How much of the end of each log a failure shows, in bytes.
SHOWN = 4_000


def wait_for_log(
    process: subprocess.Popen[bytes], log: Path, words: str, times: int = 1, seconds: float = 60
) -> None:
    """Until the program wrote *words* so many times; raises at once when it ended instead."""
    __tracebackhide__ = True

    def written() -> bool:
        text = log.read_text(errors="replace")
        assert process.poll() is None, f"ended with {process.returncode}:\n{text[-SHOWN:]}"
        return text.count(words) == times

    wait_until(written, seconds, f"{times} times {words!r} in {log.name}")


def logs_of(fixtures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and end of each log that the programs of a test wrote, found through its fixtures.

    A log is a file called ``log`` or ``*.log`` in a folder, or a folder's folder, that is a fixture's
    value or its ``folder``, ``home`` or ``log``.
    """
    places = [
        place
        for value in fixtures.values()
        for place in (value, *(getattr(value, name, None) for name in ("folder", "home", "log")))
        if isinstance(place, Path)
    ]
    for path in sorted(set(_files(places))):
        try:
            text = path.read_bytes()[-SHOWN:].decode(errors="replace")
        except OSError:
            continue
        if text:
            yield path.name, text


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_file():
            yield place
            continue
        for pattern in ("log", "*.log", "*/log", "*/*.log"):
            yield from (path for path in place.glob(pattern) if path.is_file())
