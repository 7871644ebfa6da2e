"""The terminal that the TUI is drawn on: one that goes away ends the TUI, and blocks nothing."""

from __future__ import annotations

import contextlib
import select
import sys
from typing import Any

from textual.drivers.linux_driver import LinuxDriver


class Sheet:
    """Textual's output file. What is written after the terminal went away goes nowhere.

    An error there would end the thread that writes, and then the event loop
    would wait for it for ever.
    """

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, text: str) -> None:
        """Draws."""
        with contextlib.suppress(OSError):
            self.file.write(text)

    def flush(self) -> None:
        """Draws what is left."""
        with contextlib.suppress(OSError):
            self.file.flush()

    def fileno(self) -> int:
        """The file's number."""
        number: int = self.file.fileno()
        return number

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self.file.isatty())


class Terminal(LinuxDriver):
    """Textual's driver, on a sheet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Textual draws on standard error, which `2>errors.log` takes away from the terminal.
        taken = self._file is not None and not self._file.isatty() and sys.__stdout__ is not None
        self._sheet = Sheet(sys.__stdout__ if taken else self._file)
        self._file = self._sheet  # type: ignore[assignment]

    @property
    def lost(self) -> bool:
        """Whether the other side of the terminal is closed.

        No signal may say so: below a session's leader that does not end (make), none comes.
        """
        poller = select.poll()
        poller.register(self._sheet.fileno(), 0)
        gone = select.POLLHUP | select.POLLERR | select.POLLNVAL
        return any(events & gone for _, events in poller.poll(0))
