"""Every error of hsejobs, in one tree.

::

    JobsError
    ├── InvalidInput            a value that cannot be used; names the field
    │   ├── InvalidJobId
    │   ├── InvalidPayload
    │   │   └── PayloadTooLarge
    │   └── InvalidOption
    ├── SettingsError           a bad environment variable; names it
    │   └── UnknownFormat       the records in that Redis have a format that this release cannot read
    ├── Refused                 a valid request that the current state does not allow
    │   ├── Forbidden           the caller's role is not sufficient
    │   ├── UnknownQueue
    │   ├── UnknownTask
    │   ├── UnknownSchedule
    │   ├── UnknownCircuit
    │   ├── UnknownWorker
    │   ├── JobNotFound
    │   ├── ArtifactNotFound
    │   │   └── ArtifactForbidden
    │   ├── JobExists
    │   ├── JobActive
    │   ├── WrongState
    │   ├── QueueBusy
    │   ├── BacklogFull         an organization has as many jobs in the queue as it may have
    │   └── IdempotencyConflict
    ├── RedisUnavailable        Redis does not answer, or cannot write now
    │   ├── RedisFull           Redis has reached its maxmemory
    │   └── RedisRefused        Redis rejected the login, or a permission is missing
    ├── ArtifactsUnavailable    the artifact store could not be read or written
    ├── LeaseLost               this worker no longer holds the job's lease
    ├── JobCancelled            raised in a task: somebody has cancelled its job
    ├── JobFailed               `wait()`: the job failed
    ├── JobTimeout              `wait()`: the job did not finish in time
    ├── Unrecoverable           raised by a task: fail now, without a retry
    │   └── SealedElsewhere     a secret field was sealed with a key that is not set here
    └── Postpone                raised by a task: run again later, no attempt is used
        └── CircuitOpen         the host that the task calls fails too often

Each class has a stable ``code``: the HTTP shim, the command line, the TUI and
the job's own error list all show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hsejobs.setting_list import variable_part


class JobsError(Exception):
    """The base class. ``str(error)`` is a sentence for people.

    ``retry_after``: when a task raises the error, the minimum number of seconds until its next
    attempt.
    """

    code = "error"
    retry_after: float | None = None


class InvalidInput(JobsError):
    """A value is invalid. The message never repeats it.

    ``problems`` are ``(field, what is wrong and what to do)`` pairs.
    """

    code = "invalid"

    def __init__(self, field: str, problem: str, *more: tuple[str, str]) -> None:
        self.problems: tuple[tuple[str, str], ...] = ((field, problem), *more)
        super().__init__("; ".join(f"{name}: {text}" for name, text in self.problems))

    @property
    def field(self) -> str:
        """The first invalid field."""
        return self.problems[0][0]


class InvalidJobId(InvalidInput):
    """The id has a character, a length or a prefix that is not allowed."""

    code = "invalid_job_id"


class InvalidPayload(InvalidInput):
    """The payload does not match the task's model, or is not valid JSON."""

    code = "invalid_payload"


class PayloadTooLarge(InvalidPayload):
    """The payload is larger than 102,400 bytes of compact UTF-8 JSON."""

    code = "payload_too_large"


class InvalidOption(InvalidInput):
    """A priority, delay, attempts, backoff, timeout, status, limit or cursor is invalid."""

    code = "invalid_option"


class SettingsError(JobsError):
    """An environment variable has an invalid value."""

    code = "bad_setting"

    def __init__(self, variable: str, problem: str) -> None:
        self.variable, self.problem = variable, problem
        super().__init__(f"{variable}: {problem}")


class UnknownFormat(SettingsError):
    """The records in Redis have a format that this release cannot work with; nothing has changed."""

    code = "unknown_format"


class Refused(JobsError):
    """The current state does not allow the request."""

    code = "refused"


class Forbidden(Refused):
    """The caller's role does not allow the request; the message names the role that does."""

    code = "forbidden"


class UnknownQueue(Refused):
    """No queue of that name has described itself in this Redis."""

    code = "unknown_queue"


class UnknownTask(Refused):
    """The queue has no task of that name."""

    code = "unknown_task"


class UnknownSchedule(Refused):
    """No queue has a schedule of that name."""

    code = "unknown_schedule"


class UnknownCircuit(Refused):
    """No circuit has that name."""

    code = "unknown_circuit"


class UnknownWorker(Refused):
    """No living consumer has that id, or is on that host."""

    code = "unknown_worker"


class JobNotFound(Refused):
    """The job does not exist, or belongs to another organization."""

    code = "not_found"


class ArtifactNotFound(Refused):
    """The artifact does not exist, has expired, or belongs to another organization."""

    code = "artifact_not_found"


class ArtifactForbidden(ArtifactNotFound):
    """The artifact belongs to another user.

    Callers who must not know that its job exists get `ArtifactNotFound` instead.
    """


class JobExists(Refused):
    """A restore failed because a new job uses the id."""

    code = "exists"


class JobActive(Refused):
    """A worker is running the job; wait until it ends."""

    code = "active"


class WrongState(Refused):
    """The job's state does not allow this action.

    ``state`` is the state that the job is in.
    """

    code = "wrong_state"

    def __init__(self, message: str, state: str = "") -> None:
        self.state = state
        super().__init__(message)


class QueueBusy(Refused):
    """The queue has running jobs, and ``obliterate`` was not forced."""

    code = "queue_busy"


class BacklogFull(Refused):
    """The organization has as many waiting and delayed jobs in the queue as its quota allows.

    ``backlog`` is how many it has, ``quota`` how many it may have. After a bulk add, ``results`` has
    for each job what the add returned, or its own `BacklogFull`; else it is empty. Add the refused jobs
    again later: with ids, the whole call may be repeated.
    """

    code = "backlog_full"
    retry_after = 30.0
    results: Sequence[Any] = ()

    def __init__(self, queue: str, backlog: int, quota: int, refused: str = "") -> None:
        self.queue, self.backlog, self.quota = queue, backlog, quota
        variable = f"QUEUE_{variable_part(queue)}_TENANT_BACKLOG"
        super().__init__(
            f"{refused}the organization has {backlog:,} waiting and delayed jobs in queue {queue!r},"
            f" its quota is {quota:,}; add again when some of them have run, or raise {variable}"
        )

    def among(self, results: Sequence[Any]) -> BacklogFull:
        """The error of a bulk add with these results, of which this is one."""
        refused = sum(isinstance(one, BacklogFull) for one in results)
        text = f"{refused:,} of {len(results):,} jobs were refused: "
        error = BacklogFull(self.queue, self.backlog, self.quota, text)
        error.results = results
        return error


class IdempotencyConflict(Refused):
    """The idempotency key was used before with a different payload."""

    code = "idempotency_conflict"


class RedisUnavailable(JobsError):
    """Redis did not answer. Whether anything changed is unknown."""

    code = "redis_unavailable"


class RedisFull(RedisUnavailable):
    """Redis has reached ``maxmemory``; nothing has changed. Calls that free memory still work."""

    code = "redis_full"


class RedisRefused(RedisUnavailable):
    """Redis rejected the login, or a permission is missing; nothing has changed."""

    code = "redis_refused"


class ArtifactsUnavailable(JobsError):
    """The artifact store could not be written or read; another attempt may succeed."""

    code = "artifacts_unavailable"


class LeaseLost(JobsError):
    """The job was given to another worker, ended or removed; this attempt must stop."""

    code = "lease_lost"


class JobCancelled(JobsError):
    """Somebody has cancelled the job. Clean up and return or raise: whatever the task does, the job fails."""

    code = "cancelled"


class JobFailed(JobsError):
    """The job that ``wait()`` waited for failed.

    ``failure_code`` is the code of its last error, such as ``timeout`` or ``stalled``.
    """

    code = "job_failed"

    def __init__(self, message: str, failure_code: str = "error") -> None:
        self.failure_code = failure_code
        super().__init__(message)


class JobTimeout(JobsError):
    """The job that ``wait()`` waited for did not finish in time; it continues."""

    code = "wait_timeout"


class Unrecoverable(JobsError):
    """Raised by a task: another attempt would fail too, so fail the job at once."""

    code = "unrecoverable"


class SealedElsewhere(Unrecoverable):
    """A secret field was sealed with a key that is not among those in JOBS_SECRET_KEY.

    A consumer does not fail such a job: another consumer may have the key.
    """

    code = "sealed"


class Postpone(JobsError):
    """Raised by a task: run the job again after ``delay`` seconds; no attempt is used.

    ``limit``: seconds after the first postponement from which the job fails instead.
    """

    code = "postponed"

    def __init__(
        self, reason: str = "", *, delay: float = 30.0, limit: float | None = None
    ) -> None:
        self.delay = delay
        self.limit = limit
        #: What it is about, for those who ask why the job waits.
        self.about = reason
        super().__init__(reason or f"postponed for {delay:g} s")


class CircuitOpen(Postpone):
    """The host that the job would call fails too often: the job waits until calls are allowed again."""

    code = "circuit_open"
