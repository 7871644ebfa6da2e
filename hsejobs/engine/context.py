"""The running job, as its task sees it: its data, progress, log and side effects."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from hsejobs import codec
from hsejobs.engine.progress_log import ProgressLog
from hsejobs.engine.slots import Slot
from hsejobs.errors import InvalidInput, JobCancelled, JobsError, LeaseLost
from hsejobs.masking import MASK, plain, scrub, scrub_data, secret_values, too_much
from hsejobs.model import CHECKPOINT_BYTES, LOG_LINE_LENGTH, JobRecord, Relative
from hsejobs.store.work import Claim, WorkerStore

#: The value of a checkpoint that was not read from Redis yet.
_UNREAD: Any = object()
_NO_SIGNALS: frozenset[str] = frozenset()

_current: ContextVar[JobContext | None] = ContextVar("hsejobs_job", default=None)
#: The job in Huey's immediate mode, which no worker runs.
_immediate: ContextVar[JobContext | None] = ContextVar("hsejobs_immediate", default=None)


class JobDeadline(JobsError):
    """The attempt has exceeded its timeout."""

    code = "timeout"


class JobInterrupted(BaseException):
    """Raised in a worker process by a signal: the deadline has passed, the job is cancelled, its lease
    is lost, or the consumer stops.

    Not an ``Exception``, so that a task's ``except Exception`` does not catch it.
    """


class JobContext:
    """One attempt at a job, from inside the task."""

    __slots__ = (
        "_claim",
        "_confirmed",
        "_family",
        "_lease",
        "_log_work",
        "_resumed_from",
        "_secrets",
        "_slot",
        "_work",
        "data",
        "deadline",
        "error",
        "interruptible",
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
        lease_ms: int,
        log_work: WorkerStore,
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
        #: Whether an interrupt may be raised: its task runs, and what it raises is the job's outcome.
        self.interruptible = False
        self._confirmed = self.started
        self._log_work = log_work
        #: Progress and log lines not written yet; None until the task reports some.
        self.progress_log: ProgressLog | None = None
        # Set while Huey.execute runs: see outcome.py.
        self.signals: frozenset[str] = _NO_SIGNALS
        self.error: BaseException | None = None
        self.result: bytes | None = None
        self.task: Any = None
        self.data: Any = None
        self.secret_paths: Sequence[str] = ()
        self._secrets: tuple[Any, list[str]] | None = None
        self._resumed_from = _UNREAD
        self._family: str | None = None

    @property
    def id(self) -> str:
        return self._claim.id

    @property
    def token(self) -> str:
        """This attempt's token, which proves to Redis that this worker holds the lease."""
        return self._claim.token

    @property
    def created_at(self) -> int:
        """When the job was added, in ms since the epoch, by Redis time."""
        return self._claim.created_at

    @property
    def name(self) -> str:
        """The task's full name."""
        return self._claim.name

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._claim.attempt

    @property
    def attempts(self) -> int:
        """The maximum number of attempts."""
        return self._claim.attempts

    @property
    def organization_id(self) -> str | None:
        """The tenant that the job belongs to."""
        return self._claim.organization_id

    @property
    def trace(self) -> str:
        """The request id and, after a space, the ``traceparent`` of the request that added it; or ''."""
        return self._claim.trace

    def family(self, organization_id: str | None) -> str:
        """The family of a job that this one adds: see `Relative.of_child`.

        Reads this job's own family from Redis at the first call. Raises RedisUnavailable.
        """
        if self._family is None:
            self._family = self._work.family(self.id)
        root = Relative.parse(self._family.rpartition(" ")[2])
        return Relative(self.queue, self.id).of_child(self.organization_id, root, organization_id)

    @property
    def user_id(self) -> str | None:
        """The user who added the job."""
        return self._claim.user_id

    @property
    def priority(self) -> int:
        """1 (first) to 5 (last)."""
        return self._claim.priority

    @property
    def time_remaining(self) -> float:
        """Seconds until the deadline: 0 when it has passed, infinity when there is none."""
        if self.deadline is None:
            return float("inf")
        return max(0.0, self.deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether somebody has cancelled the job, for tasks that poll. Costs nothing."""
        return self._slot is not None and self._slot.cancelled

    @property
    def lease_lost(self) -> bool:
        """Whether this attempt is known to be another worker's job by now. Costs nothing."""
        return self.lost or (self._slot is not None and self._slot.lost)

    def stop_if_cancelled(self) -> None:
        """Raises JobCancelled if somebody has cancelled the job."""
        if self.cancelled:
            raise JobCancelled("the job was cancelled")

    def progress(self, percent: float, message: str | None = None) -> None:
        """Reports the job's progress, 0 to 100. Written at most twice a second.

        Redis errors are not raised: the newest value is kept until it can be written. Raises
        LeaseLost when the job was given to another worker, JobCancelled, ValueError for a
        percentage out of range.
        """
        self.stop_if_cancelled()
        if not 0 <= percent <= 100:
            raise ValueError("percent must be a number from 0 to 100")
        self._confirm(self._log_buffer().progress(percent, self._scrub((message or "")[:200])))

    def log(self, line: str) -> None:
        """Adds a line to the job's log (the newest 1,000 lines of 2,000 characters are kept).

        Redis errors are not raised: lines are kept until they can be written, at the latest
        with the job's outcome. Raises LeaseLost when the job was given to another worker,
        JobCancelled.
        """
        self.stop_if_cancelled()
        self._confirm(self._log_buffer().log(self._scrub(str(line))[:LOG_LINE_LENGTH]))

    def check(self) -> None:
        """Raises if this attempt must stop: JobCancelled, LeaseLost, or JobDeadline after the deadline."""
        self.stop_if_cancelled()
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise JobDeadline(f"the job took longer than its {self._claim.timeout / 1000:g} s")
        if self.lease_lost:
            raise LeaseLost("the job was given to another worker")
        if time.monotonic() - self._confirmed > self._lease / 3:
            # The process may have been paused for longer than the lease: ask Redis.
            self._mark("", put=False)

    def once(self, key: str) -> bool:
        """True on the first call with this key by any attempt of this job, False after that.

        Raises like ``check``. Code after ``if job.once("call"):`` thus runs at most once.
        """
        self.check()
        return self._mark(f"o:{key}", put=True)

    def done(self, key: str) -> bool:
        """Whether an attempt of this job called ``mark_done`` with this key."""
        return not self._mark(f"d:{key}", put=False)

    def mark_done(self, key: str) -> None:
        """Records, for later attempts, that a side effect has happened. Raises JobCancelled, LeaseLost.

        The mark is set even if the job is cancelled: a retry by hand must find it.
        """
        self._mark(f"d:{key}", put=True)
        self.stop_if_cancelled()

    @property
    def resumed_from(self) -> Any:
        """The newest checkpoint of this job's earlier attempts; None if there is none.

        Read from Redis at the first access, for which the job waits like ``once``. Read it before
        the first ``checkpoint`` of the attempt: after that it is None.
        """
        if self._resumed_from is _UNREAD:
            found = self._work.checkpointed(self.id)
            self._resumed_from = codec.loads(found) if found else None
        return self._resumed_from

    def checkpoint(self, value: Any) -> None:
        """Stores a JSON value of at most 16,384 bytes, which later attempts read as ``resumed_from``.

        It replaces the checkpoint before, and is deleted when the job is completed or removed.
        Redis errors are not raised: the newest value is kept and written when Redis is back, at the
        latest with the outcome. Secrets of the payload are replaced with ``***``. Raises
        LeaseLost when the job was given to another worker, InvalidInput for a value that cannot be
        stored, and JobCancelled, but stores the value: a retry by hand goes on from it.
        """
        try:
            text = self.scrub_json(codec.dumps(value))
        except (TypeError, ValueError, RecursionError):
            raise InvalidInput("checkpoint", "must be a JSON value") from None
        if len(text) > CHECKPOINT_BYTES:
            raise InvalidInput(
                "checkpoint",
                f"must be at most {CHECKPOINT_BYTES:,} bytes of JSON, and has {len(text):,};"
                " store large data elsewhere, and its place here",
            )
        if self._resumed_from is _UNREAD:
            # An attempt that did not read the earlier one began from the start, and now replaces it.
            self._resumed_from = None
        self._confirm(self._log_buffer().checkpoint(text))
        self.stop_if_cancelled()

    def artifact_id(self, expires_at: int) -> str:
        """The id of the file that this job creates: 128 random bits, the same in each attempt.

        It is stored in the job's record with ``expires_at`` (ms since the epoch). Callers who may
        read the job's result may read the file; removing the job removes the file. Raises LeaseLost.
        """
        found = self._work.artifact(self.id, self.token, secrets.token_hex(16), expires_at)
        if found is None:
            self.lost = True
            raise LeaseLost("the job was given to another worker")
        self._confirmed = time.monotonic()
        return found

    def flush(self) -> None:
        """Writes buffered progress and log lines. The engine calls it at the end of a run."""
        if self.progress_log is not None:
            self._confirm(self.progress_log.flush())

    def may_wait(self) -> bool:
        """Whether a Redis call of this job may keep waiting: until the deadline, a cancel or a lost lease."""
        if self.lost or self.cancelled or (self._slot is not None and self._slot.given_up):
            return False
        return self.deadline is None or time.monotonic() < self.deadline

    def _log_buffer(self) -> ProgressLog:
        if self.progress_log is None:
            self.progress_log = ProgressLog(self._log_work, self.id, self.token)
        return self.progress_log

    @property
    def secrets(self) -> list[str]:
        """The payload's secrets as text, collected once per payload, not for each log line."""
        if self._secrets is None or self._secrets[0] is not self.data:
            self._secrets = self.data, secret_values(self.data, self.secret_paths)
        return self._secrets[1]

    def scrub_json(self, text: bytes) -> bytes:
        """JSON without the payload's secrets, which are replaced with ``***``."""
        if len(text) > 6:
            secrets = self.secrets
            if not secrets:
                return text
            if too_much(secrets, len(text)):
                return codec.dumps(MASK)
            # Compare in JSON form: with quotes and lone surrogates escaped.
            if any(codec.dumps(secret)[1:-1] in text for secret in secrets):
                return codec.dumps(scrub_data(codec.loads(text), secrets))
        return text

    def _scrub(self, text: str) -> str:
        return plain(scrub(text, self.secrets))

    def _mark(self, key: str, *, put: bool) -> bool:
        fresh = self._work.mark(self.id, self.token, key, put=put)
        if fresh is None:
            self.lost = True
            raise LeaseLost("the job was given to another worker")
        self._confirmed = time.monotonic()
        return fresh

    def _confirm(self, held: bool | None) -> None:
        if held is None:
            return
        if not held:
            self.lost = True
            raise LeaseLost("the job was given to another worker")
        self._confirmed = time.monotonic()


class EndedJob:
    """A job that was ended from outside, as the parent of its chord's callback."""

    def __init__(self, record: JobRecord) -> None:
        self._record = record
        self.organization_id, self.user_id = record.organization_id, record.user_id
        self.trace = ""

    def family(self, organization_id: str | None) -> str:
        """As `JobContext.family`."""
        own = Relative(self._record.queue, self._record.id)
        return own.of_child(self.organization_id, self._record.root, organization_id)


def current_job() -> JobContext:
    """The job that this thread is running. Raises JobsError outside a job.

    In Huey's immediate mode, its progress, log, marks and checkpoint are kept in memory only.
    """
    job = parent_job()
    if job is None:
        raise JobsError("no job is running: call current_job() only in a task that a worker runs")
    return job


def parent_job() -> JobContext | None:
    """The job that this thread is running, also in immediate mode, or None."""
    return _current.get() or _immediate.get()


#: Returns the job that this thread, a worker's, is running, or None.
running_job: Callable[[], JobContext | None] = _current.get
set_current = _current.set
reset_current = _current.reset
set_immediate = _immediate.set
reset_immediate = _immediate.reset
