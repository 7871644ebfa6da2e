"""Programs that a test starts: waits for their output, and shows it when the test fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.forkserver import Process
from tests.support import wait_until

#: Bytes of the end of each log that a failure shows.
SHOWN = 4_000


def wait_for_log(
    process: Process, log: Path, words: str, times: int = 1, seconds: float = 60
) -> None:
    """Waits until the program wrote *words* *times* times; raises at once if the program ends."""
    __tracebackhide__ = True

    def written() -> bool:
        text = log.read_text(errors="replace")
        assert process.poll() is None, f"ended with {process.returncode}:\n{text[-SHOWN:]}"
        return text.count(words) == times

    wait_until(written, seconds, f"{times} times {words!r} in {log.name}")


def logs_of(fixtures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and end of each log that a test's programs wrote, found through the test's fixtures.

    A log is a file called ``log`` or ``*.log`` in a folder, or its subfolder, that is a fixture's
    value or the value's ``folder``, ``home`` or ``log``.
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
