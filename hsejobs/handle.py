"""The handle of a job that was added."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Generic

from hsejobs.errors import JobFailed, JobNotFound, JobTimeout
from hsejobs.model import FINISHED, JobRecord, State
from hsejobs.store.read import JobReader
from hsejobs.store.write import Added

if TYPE_CHECKING:
    # A type parameter's default (PEP 696) is newer than Python 3.11; checkers know it there too.
    from typing_extensions import TypeVar

    R = TypeVar("R", covariant=True, default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R", covariant=True)

#: Seconds between two looks of ``wait``: from the first to the last.
FIRST_LOOK, LAST_LOOK = 0.005, 0.2


class Job(Generic[R]):
    """A job: its id, whether this add made it, and the state in which the add found it.

    ``Job[int]`` is a job of a task that returns an int; ``Job`` alone is ``Job[Any]``.
    """

    __slots__ = ("_reader", "created", "id", "queue", "status")

    def __init__(self, reader: JobReader, queue: str, added: Added) -> None:
        self._reader = reader
        self.queue = queue
        self.id = added.id
        self.created = added.created
        self.status = str(added.status)

    def __repr__(self) -> str:
        return f"<Job {self.queue}/{self.id} {self.status}>"

    def refresh(self) -> JobRecord:
        """The whole record as it is now; updates ``status``. Raises JobNotFound, RedisUnavailable."""
        record = self._reader.job(self.queue, self.id)
        self.status = str(record.status)
        return record

    def wait(self, timeout: float | None = None) -> R:
        """The result, once the job is completed: what the task returned, as JSON keeps it (a tuple
        comes back as a list).

        ``timeout`` in seconds. Raises JobFailed with the last error, JobTimeout
        when it had not ended in time (it goes on), JobNotFound when it was removed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_LOOK
        while True:
            status = self._reader.status(self.queue, self.id)
            if status is None:
                raise JobNotFound(f"job {self.id!r} was removed")
            self.status = str(status)
            if status in FINISHED:
                return self._end()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise JobTimeout(f"job {self.id!r} was still {status} after {timeout:g} s")
            time.sleep(pause if left is None else min(pause, left))
            pause = min(LAST_LOOK, pause * 1.5)

    def _end(self) -> R:
        record = self.refresh()
        if record.status is State.FAILED:
            raise JobFailed(record.failed_reason or "failed", record.code or "error")
        result: R = record.result
        return result
