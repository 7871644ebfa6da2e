"""The ledger: what happened to each job, written outside Redis by those to whom it happened.

One append-only file of JSON lines, each on the disk before its writer goes on. ``what`` is
``accepted`` (by the program that added it, with ``due``), ``begin``, ``effect``, ``end`` (by the
worker, with ``run``, its ``pid`` and its consumer's process ``group``); ``t`` is wall time in s.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

#: Where the consumers find the file.
VARIABLE = "HSEJOBS_CHAOS_LEDGER"


class Ledger:
    """The file, for writing lines and for reading what is new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: tuple[int, int] | None = None
        self._read = 0
        self.lines: list[dict[str, Any]] = []

    def write(self, what: str, job: str, **more: Any) -> None:
        """Appends one line and waits until the disk has it. Raises OSError."""
        line = {"t": round(time.time(), 6), "what": what, "job": job, **more}
        pid = os.getpid()
        if self._file is None or self._file[0] != pid:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = (pid, os.open(self.path, flags, 0o600))
        # In one write: lines of several processes never mix.
        os.write(self._file[1], json.dumps(line).encode() + b"\n")
        os.fsync(self._file[1])

    def read(self) -> list[dict[str, Any]]:
        """All whole lines so far; a process that was killed leaves whole lines only."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
            whole = text.rfind(b"\n") + 1
            self._read += whole
            self.lines += [json.loads(line) for line in text[:whole].splitlines()]
        return self.lines
