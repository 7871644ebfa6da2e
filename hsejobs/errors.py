"""Every error of hsejobs, in one tree.

::

    JobsError
    ├── InvalidInput            a value that cannot be used; names the field
    │   ├── InvalidJobId
    │   ├── InvalidPayload
    │   │   └── PayloadTooLarge
    │   └── InvalidOption
    ├── SettingsError           a bad environment variable; names it
    ├── Refused                 a well-formed wish that the present state forbids
    │   ├── Forbidden           the caller's role is not enough
    │   ├── UnknownQueue
    │   ├── UnknownTask
    │   ├── UnknownSchedule
    │   ├── UnknownCircuit
    │   ├── JobNotFound
    │   ├── ArtifactNotFound
    │   │   └── ArtifactForbidden
    │   ├── JobExists
    │   ├── JobActive
    │   ├── WrongState
    │   ├── QueueBusy
    │   └── IdempotencyConflict
    ├── RedisUnavailable        Redis does not answer, or cannot write now
    │   ├── RedisFull           Redis is at its maxmemory
    │   └── RedisRefused        the login or a right is missing
    ├── ArtifactsUnavailable    the artifact store did not take or give a file
    ├── LeaseLost               the attempt is no longer this worker's
    ├── JobFailed               `wait()`: the job ended as failed
    ├── JobTimeout              `wait()`: the job had not ended in time
    ├── Unrecoverable           raised by a task: fail now, no retry
    └── Postpone                raised by a task: again later, no attempt used
        └── CircuitOpen         the host that it calls fails too often

Each class has a stable ``code``: the HTTP shim, the command line, the TUI and
the job's own error list all show it.
"""

from __future__ import annotations


class JobsError(Exception):
    """The root. ``str(error)`` is a sentence for people.

    ``retry_after``: raised by a task, the next attempt comes no sooner than so many seconds.
    """

    code = "error"
    retry_after: float | None = None


class InvalidInput(JobsError):
    """A value that cannot be used. It is never repeated in the message.

    ``problems`` are ``(field, what is wrong and what to do)`` pairs.
    """

    code = "invalid"

    def __init__(self, field: str, problem: str, *more: tuple[str, str]) -> None:
        self.problems: tuple[tuple[str, str], ...] = ((field, problem), *more)
        super().__init__("; ".join(f"{name}: {text}" for name, text in self.problems))

    @property
    def field(self) -> str:
        """The first field that is wrong."""
        return self.problems[0][0]


class InvalidJobId(InvalidInput):
    """The id has a character, a length or a beginning that ids cannot have."""

    code = "invalid_job_id"


class InvalidPayload(InvalidInput):
    """The payload does not fit the task's model, or is no JSON."""

    code = "invalid_payload"


class PayloadTooLarge(InvalidPayload):
    """The payload is larger than 102,400 bytes of compact UTF-8 JSON."""

    code = "payload_too_large"


class InvalidOption(InvalidInput):
    """A priority, delay, attempts, backoff, timeout, status, limit or cursor out of range."""

    code = "invalid_option"


class SettingsError(JobsError):
    """An environment variable has a value that cannot be used."""

    code = "bad_setting"

    def __init__(self, variable: str, problem: str) -> None:
        self.variable = variable
        super().__init__(f"{variable}: {problem}")


class Refused(JobsError):
    """What was asked for is not possible in the present state."""

    code = "refused"


class Forbidden(Refused):
    """The caller's role does not allow this; the message names the one that does."""

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


class JobNotFound(Refused):
    """There is no such job, or it belongs to another organization."""

    code = "not_found"


class ArtifactNotFound(Refused):
    """There is no such artifact, it has expired, or it belongs to another organization."""

    code = "artifact_not_found"


class ArtifactForbidden(ArtifactNotFound):
    """The artifact is another user's. Whoever may not know of its job is told `ArtifactNotFound`."""


class JobExists(Refused):
    """A restore found that the id is in use again."""

    code = "exists"


class JobActive(Refused):
    """A worker is running the job; wait until it ends."""

    code = "active"


class WrongState(Refused):
    """The job is not in a state from which this act is possible.

    ``state`` is the one it was found in.
    """

    code = "wrong_state"

    def __init__(self, message: str, state: str = "") -> None:
        self.state = state
        super().__init__(message)


class QueueBusy(Refused):
    """Obliterate found running jobs and was not forced."""

    code = "queue_busy"


class IdempotencyConflict(Refused):
    """The same idempotency key came with another payload."""

    code = "idempotency_conflict"


class RedisUnavailable(JobsError):
    """Redis did not answer; nothing is known to have changed."""

    code = "redis_unavailable"


class RedisFull(RedisUnavailable):
    """Redis has reached ``maxmemory``; nothing has changed. What frees memory still works."""

    code = "redis_full"


class RedisRefused(RedisUnavailable):
    """Redis refuses the login, or a right that is missing; nothing has changed."""

    code = "redis_refused"


class ArtifactsUnavailable(JobsError):
    """The artifact store could not be written or read; another attempt may succeed."""

    code = "artifacts_unavailable"


class LeaseLost(JobsError):
    """This attempt was handed to another worker, ended or removed; stop now."""

    code = "lease_lost"


class JobFailed(JobsError):
    """The awaited job failed.

    ``failure_code`` is the code of its last error (``timeout``, ``stalled`` ...).
    """

    code = "job_failed"

    def __init__(self, message: str, failure_code: str = "error") -> None:
        self.failure_code = failure_code
        super().__init__(message)


class JobTimeout(JobsError):
    """The awaited job had not ended within the time given; it goes on."""

    code = "wait_timeout"


class Unrecoverable(JobsError):
    """Raised by a task: another attempt would fail alike, so fail at once."""

    code = "unrecoverable"


class Postpone(JobsError):
    """Raised by a task: run again after ``delay`` seconds; no attempt is used.

    ``limit``: so many seconds after the job was first postponed it fails instead.
    """

    code = "postponed"

    def __init__(
        self, reason: str = "", *, delay: float = 30.0, limit: float | None = None
    ) -> None:
        self.delay = delay
        self.limit = limit
        super().__init__(reason or f"postponed for {delay:g} s")


class CircuitOpen(Postpone):
    """The host that the job would call fails too often: the job waits until it is tried again."""

    code = "circuit_open"
