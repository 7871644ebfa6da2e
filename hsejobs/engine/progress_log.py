"""Progress and log lines of a running job: advisory, so Redis being away never fails the job."""

from __future__ import annotations

import time
from collections import deque

from hsejobs.errors import JobsError
from hsejobs.model import LOG_LINES
from hsejobs.store.work import WorkerStore

#: Seconds between two progress writes, and between two writes of log lines.
PROGRESS_EVERY, LOG_EVERY = 0.5, 0.25
#: Lines that are written at once even when the last write was a moment ago.
LOG_BUFFER = 100
#: Seconds before the next try after a refused write: the first and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


class ProgressLog:
    """What one attempt said of itself and Redis does not have yet; the newest is kept.

    ``work`` makes one try a call. The methods that write return False when the job is not this
    attempt's any more, None when nothing was written, else True.
    """

    __slots__ = (
        "_id",
        "_lines",
        "_lines_at",
        "_pause",
        "_progress",
        "_progress_at",
        "_retry_at",
        "_said",
        "_token",
        "_work",
    )

    def __init__(self, work: WorkerStore, job_id: str, token: str) -> None:
        self._work, self._id, self._token = work, job_id, token
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._said = 0
        self._progress: tuple[float, str] | None = None
        self._lines_at = self._progress_at = self._retry_at = self._pause = 0.0

    @property
    def pending(self) -> bool:
        """Whether something is not written yet."""
        return bool(self._lines) or self._progress is not None

    def progress(self, percent: float, message: str) -> bool | None:
        """Keeps the progress and writes it, at most twice a second."""
        self._progress = (percent, message)
        now = time.monotonic()
        if now - self._progress_at < PROGRESS_EVERY or now < self._retry_at:
            return None
        return self._try(lines=False)

    def log(self, line: str) -> bool | None:
        """Keeps a line and writes what is kept, at most four times a second."""
        self._lines.append(line)
        self._said += 1
        now = time.monotonic()
        due = now - self._lines_at >= LOG_EVERY or len(self._lines) >= LOG_BUFFER
        if not due or now < self._retry_at:
            return None
        return self._try(lines=True)

    def flush(self) -> bool | None:
        """Writes everything that is kept, unless a write was refused a moment ago."""
        if not self.pending or time.monotonic() < self._retry_at:
            return None
        return self._try(lines=True)

    def last_words(self) -> None:
        """Writes what is kept just before the outcome. Raises RedisUnavailable: try again."""
        while self._lines:
            lines = list(self._lines)[:LOG_BUFFER]
            if not self._work.log(self._id, self._token, lines, self._written, final=True):
                self._lines.clear()
                break
            self._drop(lines)
        # How far it had come does not matter any more.
        self._progress = None

    def _try(self, *, lines: bool) -> bool | None:
        now, mine = time.monotonic(), True
        try:
            if self._progress is not None and (lines or now - self._progress_at >= PROGRESS_EVERY):
                mine = self._work.progress(self._id, self._token, *self._progress)
                self._progress, self._progress_at = None, now
            if lines and self._lines:
                said = list(self._lines)
                mine = self._work.log(self._id, self._token, said, self._written)
                self._lines_at = now
                self._drop(said)
        except JobsError:
            self._pause = min(_LONGEST_PAUSE, self._pause * 2 or _FIRST_PAUSE)
            self._retry_at = time.monotonic() + self._pause
            return None
        self._pause = 0.0
        return mine

    @property
    def _written(self) -> int:
        """How many lines came before those that are kept; some may be forgotten, if they were many."""
        return self._said - len(self._lines)

    def _drop(self, said: list[str]) -> None:
        for _ in said:
            self._lines.popleft()
