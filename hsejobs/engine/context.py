"""The job that is running: what a task may ask and say of itself."""

from __future__ import annotations

import secrets
import time
from contextvars import ContextVar
from typing import Any

from hsejobs.engine.progress_log import ProgressLog
from hsejobs.engine.slots import Slot
from hsejobs.errors import JobsError, LeaseLost
from hsejobs.masking import plain, scrub, secret_values
from hsejobs.model import LOG_LINE_LENGTH
from hsejobs.store.work import Claim, WorkerStore

_current: ContextVar[JobContext | None] = ContextVar("hsejobs_job", default=None)


class JobDeadline(JobsError):
    """The time that one attempt may take is over."""

    code = "timeout"


class JobInterrupted(BaseException):
    """Raised in a worker process from outside: the deadline has passed, or the consumer stops.

    Not an ``Exception``, so that a task's own ``except Exception`` lets it through.
    """


class JobContext:
    """One attempt at a job, from inside the task."""

    __slots__ = (
        "_claim",
        "_confirmed",
        "_lease",
        "_secrets",
        "_slot",
        "_teller",
        "_work",
        "data",
        "deadline",
        "error",
        "lost",
        "progress_log",
        "queue",
        "result",
        "secret_paths",
        "signals",
        "started",
        "task",
    )

    def __init__(
        self,
        claim: Claim,
        queue: str,
        work: WorkerStore,
        *,
        lease_ms: int,
        teller: WorkerStore,
        slot: Slot | None = None,
    ) -> None:
        self._claim = claim
        self._work = work
        self._lease = lease_ms / 1000
        self.queue = queue
        self.started = time.monotonic()
        self.deadline = self.started + claim.timeout / 1000 if claim.timeout else None
        self._slot = slot
        self.lost = False
        self._confirmed = self.started
        self._teller = teller
        #: What was said; None while nothing was.
        self.progress_log: ProgressLog | None = None
        # What the run of Huey.execute told: see outcome.py.
        self.signals: set[str] = set()
        self.error: BaseException | None = None
        self.result: bytes | None = None
        self.task: Any = None
        self.data: Any = None
        self.secret_paths: list[str] = []
        self._secrets: tuple[Any, list[str]] | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self._claim.id

    @property
    def token(self) -> str:
        """This attempt's token, by which Redis knows that the job is ours."""
        return self._claim.token

    @property
    def created_at(self) -> int:
        """When the job was added, ms since the epoch by Redis time."""
        return self._claim.created_at

    @property
    def name(self) -> str:
        """The task's full name."""
        return self._claim.name

    @property
    def attempt(self) -> int:
        """Which try this is, from 1."""
        return self._claim.attempt

    @property
    def attempts(self) -> int:
        """How many tries there are in all."""
        return self._claim.attempts

    @property
    def organization_id(self) -> str | None:
        """The tenant the job belongs to."""
        return self._claim.organization_id

    @property
    def trace(self) -> str:
        """The request id and, after a space, the ``traceparent`` that the job came with; or ''."""
        return self._claim.trace

    @property
    def user_id(self) -> str | None:
        """Who added it."""
        return self._claim.user_id

    @property
    def priority(self) -> int:
        """1 (first) to 5 (last)."""
        return self._claim.priority

    @property
    def time_remaining(self) -> float:
        """Seconds until the deadline, 0 when it has passed, infinity when there is none."""
        if self.deadline is None:
            return float("inf")
        return max(0.0, self.deadline - time.monotonic())

    def progress(self, percent: float, message: str | None = None) -> None:
        """Says how far the job is, 0 to 100. Written at most twice a second.

        Never raises because of Redis: the newest is kept until it can be written. Raises
        LeaseLost when the job was handed to another worker, ValueError for a percentage
        out of range.
        """
        if not 0 <= percent <= 100:
            raise ValueError("progress is a number from 0 to 100")
        self._ours(self._tell().progress(percent, self._scrub((message or "")[:200])))

    def log(self, line: str) -> None:
        """Keeps a line with the job (the newest 1,000, 2,000 characters each).

        Never raises because of Redis: the newest are kept until they can be written, at the
        latest with the job's outcome. Raises LeaseLost when the job was handed to another worker.
        """
        self._ours(self._tell().log(self._scrub(str(line))[:LOG_LINE_LENGTH]))

    def check(self) -> None:
        """Raises when this attempt should stop: LeaseLost, or JobDeadline after the deadline."""
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise JobDeadline(f"the job took longer than its {self._claim.timeout / 1000:g} s")
        if self.lost or (self._slot is not None and self._slot.lost):
            raise LeaseLost("the job was handed to another worker")
        if time.monotonic() - self._confirmed > self._lease / 3:
            # The process may have been stopped for longer than the lease: ask.
            self._mark("", put=False)

    def once(self, key: str) -> bool:
        """True the first time any attempt of this job asks with this key, False after that.

        Raises like ``check``; so what follows ``if job.once("call"):`` is done at most once.
        """
        self.check()
        return self._mark(f"o:{key}", put=True)

    def done(self, key: str) -> bool:
        """Whether an attempt of this job called ``mark_done`` with this key."""
        return not self._mark(f"d:{key}", put=False)

    def mark_done(self, key: str) -> None:
        """Remembers, for later attempts, that a side effect has happened."""
        self._mark(f"d:{key}", put=True)

    def artifact_id(self, expires_at: int) -> str:
        """The id of the file that this job makes: 128 random bits, the same in each attempt.

        It is kept in the job's record with ``expires_at`` (ms since the epoch): who may read the
        job's result may read the file, and who removes the job removes the file. Raises LeaseLost.
        """
        found = self._work.artifact(self.id, self.token, secrets.token_hex(16), expires_at)
        if found is None:
            self.lost = True
            raise LeaseLost("the job was handed to another worker")
        self._confirmed = time.monotonic()
        return found

    def flush(self) -> None:
        """Writes what ``progress`` and ``log`` held back; for the engine, at the end of a run."""
        if self.progress_log is not None:
            self._ours(self.progress_log.flush())

    def may_wait(self) -> bool:
        """Whether a call of this job may go on waiting for Redis: until the job's deadline."""
        if self.lost or (self._slot is not None and self._slot.given_up):
            return False
        return self.deadline is None or time.monotonic() < self.deadline

    def _tell(self) -> ProgressLog:
        if self.progress_log is None:
            self.progress_log = ProgressLog(self._teller, self.id, self.token)
        return self.progress_log

    @property
    def secrets(self) -> list[str]:
        """The texts of the payload's secrets, looked for once and not again for each log line."""
        if self._secrets is None or self._secrets[0] is not self.data:
            self._secrets = self.data, secret_values(self.data, self.secret_paths)
        return self._secrets[1]

    def _scrub(self, text: str) -> str:
        return plain(scrub(text, self.secrets))

    def _mark(self, key: str, *, put: bool) -> bool:
        fresh = self._work.mark(self.id, self.token, key, put=put)
        if fresh is None:
            self.lost = True
            raise LeaseLost("the job was handed to another worker")
        self._confirmed = time.monotonic()
        return fresh

    def _ours(self, still: bool | None) -> None:
        if still is None:
            return
        if not still:
            self.lost = True
            raise LeaseLost("the job was handed to another worker")
        self._confirmed = time.monotonic()


def current_job() -> JobContext:
    """The job that this thread is running. Raises JobsError outside of one."""
    job = _current.get()
    if job is None:
        raise JobsError("no job is running here: current_job() is for tasks in a worker")
    return job


def running_job() -> JobContext | None:
    """The same, or None outside of a job."""
    return _current.get()


set_current = _current.set
reset_current = _current.reset
