"""The ledger: what happened to each job, written outside Redis by the processes that saw it.

One append-only file of JSON lines; each is on disk before its writer continues. ``what`` is
``accepted`` (by the program that added the job, with ``due``), ``begin``, ``effect``, ``end`` (by the
worker, with ``run``, its ``pid`` and its consumer's process ``group``); ``t`` is wall time in s.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

#: The environment variable with the path of the file.
VARIABLE = "HSEJOBS_CHAOS_LEDGER"


class Ledger:
    """The ledger file: appends lines and reads new ones."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: tuple[int, int] | None = None
        self._read = 0
        self.lines: list[dict[str, Any]] = []

    def write(self, what: str, job: str, **more: Any) -> None:
        """Appends one line and waits until it is on disk. Raises OSError."""
        line = {"t": round(time.time(), 6), "what": what, "job": job, **more}
        pid = os.getpid()
        if self._file is None or self._file[0] != pid:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = (pid, os.open(self.path, flags, 0o600))
        # In one write, so that lines of several processes never mix.
        os.write(self._file[1], json.dumps(line).encode() + b"\n")
        os.fsync(self._file[1])

    def read(self) -> list[dict[str, Any]]:
        """Returns all complete lines so far; a line that is being written is left for the next call."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
            whole = text.rfind(b"\n") + 1
            self._read += whole
            self.lines += [json.loads(line) for line in text[:whole].splitlines()]
        return self.lines
