"""The terminal driver: a terminal that closes ends the TUI and never blocks it."""

from __future__ import annotations

import contextlib
import select
import sys
from typing import Any

from textual.drivers.linux_driver import LinuxDriver


class Sheet:
    """Textual's output file. Writes after the terminal closed are discarded.

    An error would end the writer thread, and the event loop would then wait for
    that thread forever.
    """

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self.file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self.file.flush()

    def fileno(self) -> int:
        number: int = self.file.fileno()
        return number

    def isatty(self) -> bool:
        return bool(self.file.isatty())


class Terminal(LinuxDriver):
    """Textual's driver, writing to a ``Sheet``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Textual draws on standard error, which `2>errors.log` redirects away from the terminal.
        taken = self._file is not None and not self._file.isatty() and sys.__stdout__ is not None
        self._sheet = Sheet(sys.__stdout__ if taken else self._file)
        self._file = self._sheet  # type: ignore[assignment]

    @property
    def lost(self) -> bool:
        """Whether the other end of the terminal is closed.

        There may be no signal: below a session leader that keeps running (make), none is sent.
        """
        poller = select.poll()
        poller.register(self._sheet.fileno(), 0)
        closed = select.POLLHUP | select.POLLERR | select.POLLNVAL
        return any(events & closed for _, events in poller.poll(0))
