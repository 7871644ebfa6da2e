"""Progress, log lines and checkpoints of a running job.

They are advisory: an outage of Redis never fails the job.
"""

from __future__ import annotations

import time
from collections import deque

from hsejobs.errors import JobsError
from hsejobs.model import LOG_LINES
from hsejobs.store.work import WorkerStore

#: Seconds between two progress writes, and between two writes of log lines.
PROGRESS_EVERY, LOG_EVERY = 0.5, 0.25
#: Number of buffered lines that are written even if the last write was recent.
LOG_BUFFER = 100
#: Seconds before a failed write is retried: the first and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


class ProgressLog:
    """One attempt's progress, log lines and checkpoint that are not written to Redis yet.

    ``work`` tries each call once. The methods that write return True when they wrote, False when
    this attempt has lost the lease, and None when nothing was written.
    """

    __slots__ = (
        "_checkpoint",
        "_id",
        "_lines",
        "_lines_at",
        "_pause",
        "_progress",
        "_progress_at",
        "_retry_at",
        "_token",
        "_total",
        "_work",
    )

    def __init__(self, work: WorkerStore, job_id: str, token: str) -> None:
        self._work, self._id, self._token = work, job_id, token
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._total = 0
        self._progress: tuple[float, str] | None = None
        self._checkpoint: bytes | None = None
        self._lines_at = self._progress_at = self._retry_at = self._pause = 0.0

    @property
    def pending(self) -> bool:
        """Whether something is not written yet."""
        return bool(self._lines) or self._progress is not None or self._checkpoint is not None

    def progress(self, percent: float, message: str) -> bool | None:
        """Buffers the progress and writes it, at most twice a second."""
        self._progress = (percent, message)
        now = time.monotonic()
        if now - self._progress_at < PROGRESS_EVERY or now < self._retry_at:
            return None
        return self._try(lines=False)

    def log(self, line: str) -> bool | None:
        """Buffers a line and writes all buffered lines, at most four times a second."""
        self._lines.append(line)
        self._total += 1
        now = time.monotonic()
        due = now - self._lines_at >= LOG_EVERY or len(self._lines) >= LOG_BUFFER
        if not due or now < self._retry_at:
            return None
        return self._try(lines=True)

    def checkpoint(self, value: bytes) -> bool | None:
        """Buffers the checkpoint, in place of an unwritten earlier one, and writes it."""
        self._checkpoint = value
        return None if time.monotonic() < self._retry_at else self._try(lines=False)

    def flush(self) -> bool | None:
        """Writes everything buffered, unless a write failed a moment ago."""
        if not self.pending or time.monotonic() < self._retry_at:
            return None
        return self._try(lines=True)

    def flush_final(self) -> None:
        """Writes what later attempts and readers need just before the outcome.

        Raises RedisUnavailable: call again.
        """
        while self._lines:
            lines = list(self._lines)[:LOG_BUFFER]
            if not self._work.log(self._id, self._token, lines, self._written, final=True):
                self._lines.clear()
                break
            self._drop(lines)
        if self._checkpoint is not None:
            self._work.checkpoint(self._id, self._token, self._checkpoint, final=True)
            self._checkpoint = None
        # The progress of a finished attempt no longer matters.
        self._progress = None

    def _try(self, *, lines: bool) -> bool | None:
        now, held = time.monotonic(), True
        try:
            if self._checkpoint is not None:
                held = self._work.checkpoint(self._id, self._token, self._checkpoint)
                self._checkpoint = None
            if self._progress is not None and (lines or now - self._progress_at >= PROGRESS_EVERY):
                held = self._work.progress(self._id, self._token, *self._progress)
                self._progress, self._progress_at = None, now
            if lines and self._lines:
                lines_now = list(self._lines)
                held = self._work.log(self._id, self._token, lines_now, self._written)
                self._lines_at = now
                self._drop(lines_now)
        except JobsError:
            self._pause = min(_LONGEST_PAUSE, self._pause * 2 or _FIRST_PAUSE)
            self._retry_at = time.monotonic() + self._pause
            return None
        self._pause = 0.0
        return held

    @property
    def _written(self) -> int:
        """How many lines came before the buffered ones, including lines dropped from a full buffer."""
        return self._total - len(self._lines)

    def _drop(self, lines: list[str]) -> None:
        for _ in lines:
            self._lines.popleft()
