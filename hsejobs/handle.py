"""The handle that adding a job returns."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Generic

from hsejobs.errors import JobFailed, JobNotFound, JobTimeout
from hsejobs.model import FINISHED, JobRecord, State
from hsejobs.store.read import JobReader
from hsejobs.store.write import Added

if TYPE_CHECKING:
    # A type parameter's default (PEP 696) is newer than Python 3.11; checkers know it there too.
    from typing_extensions import TypeVar

    from hsejobs.control.acts import Acts
    from hsejobs.store.client import RedisClient

    R = TypeVar("R", covariant=True, default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R", covariant=True)

#: Seconds between two polls of ``wait``: the first and the longest.
FIRST_POLL, LONGEST_POLL = 0.005, 0.2


def cancel(reader: JobReader, queue: str, job_id: str, reason: str | None = None) -> None:
    """Cancels a job on behalf of this program, with an entry in the audit log. Raises as `Job.cancel`."""
    acts_of(reader.redis, reader.prefix).one("cancel", queue, job_id, reason=reason)


def acts_of(client: RedisClient, prefix: str) -> Acts:
    """The acts of this program."""
    # Imported here: programs that only add jobs need none of it.
    from hsejobs.control.actors import Actor
    from hsejobs.control.acts import Acts, Hooks
    from hsejobs.control.audit import FileLog
    from hsejobs.settings import load_settings, redact_url

    log = FileLog(load_settings().jobs_home, redact_url(client.url))
    return Acts(client, prefix, Actor("python"), log, hooks=Hooks(unwritten=_unwritten))


def _unwritten() -> None:
    text = "the copy of the audit log in JOBS_HOME could not be written"
    logging.getLogger("hsejobs").error(text)


class Job(Generic[R]):
    """A job: its id, whether this call created it, and its state at that time.

    ``Job[int]`` is a job of a task that returns an int; ``Job`` alone is ``Job[Any]``.
    """

    __slots__ = ("_reader", "_seen", "created", "id", "queue")

    def __init__(self, reader: JobReader, queue: str, added: Added) -> None:
        self._reader = reader
        self.queue = queue
        self.id = added.id
        self.created = added.created
        self._seen = added.status

    @property
    def status(self) -> str:
        """The state that was seen last: when it was added, or by `refresh`, `wait` or `cancel`."""
        return str(self._reader.shown(self.queue, self.id, self._seen))

    def __repr__(self) -> str:
        return f"<Job {self.queue}/{self.id} {self.status}>"

    def refresh(self) -> JobRecord:
        """Reads the record from Redis and updates ``status``. Raises JobNotFound, RedisUnavailable."""
        record = self._reader.job(self.queue, self.id)
        self._seen = record.status
        return record

    def cancel(self, reason: str | None = None) -> JobRecord:
        """Cancels the job and returns its record; it can no longer complete.

        A waiting or delayed job fails at once, with the code ``cancelled``. A running one is interrupted
        by its consumer and fails then; cancelling it again changes nothing. ``reason``: one line of at most
        500 characters, kept with the job and in the audit log. Raises WrongState if the job has ended,
        JobNotFound, InvalidOption, RedisUnavailable.
        """
        cancel(self._reader, self.queue, self.id, reason)
        return self.refresh()

    def wait(self, timeout: float | None = None) -> R:
        """Waits until the job completes and returns its result in JSON form (a tuple becomes a list).

        ``timeout`` is in seconds. Raises JobFailed with the last error, JobTimeout when the job did
        not finish in time (it continues), JobNotFound when the job was removed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_POLL
        while True:
            status = self._reader.status(self.queue, self.id)
            if status is None:
                raise JobNotFound(f"job {self.id!r} was removed")
            self._seen = status
            if status in FINISHED:
                return self._end()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise JobTimeout(f"job {self.id!r} was still {status} after {timeout:g} s")
            time.sleep(pause if left is None else min(pause, left))
            pause = min(LONGEST_POLL, pause * 1.5)

    def _end(self) -> R:
        record = self.refresh()
        if record.status is State.FAILED:
            raise JobFailed(record.failed_reason or "failed", record.code or "error")
        result: R = record.result
        return result
