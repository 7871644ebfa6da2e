"""Run a claimed job: build the Huey task from the record, execute it, determine the outcome.

The outcome is derived, once ``Huey.execute`` has returned or raised, from the signals that it
sent and the exception that ended the task. The worker then writes it in one transition.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from huey.exceptions import (
    CancelExecution,
    HueyException,
    RateLimitExceeded,
    RetryTask,
    TaskLockedException,
    TaskTimeout,
)

from hsejobs import codec
from hsejobs.control import sealing
from hsejobs.engine import context, extras, messages
from hsejobs.engine.context import JobContext, JobInterrupted
from hsejobs.engine.locks import LockTaken
from hsejobs.engine.queue import Queue, QueueTask
from hsejobs.errors import (
    InvalidPayload,
    JobCancelled,
    JobsError,
    LeaseLost,
    Postpone,
    RedisUnavailable,
    SealedElsewhere,
    Unrecoverable,
)
from hsejobs.masking import plain, scrub, scrub_data
from hsejobs.model import LONGEST_MS, TRACEBACK_LENGTH
from hsejobs.store.client import may_wait
from hsejobs.store.work import Claim
from hsejobs.watch import logs

#: The error of a cancelled job; the store's script replaces it by who cancelled it and why.
CANCELLED = "the job was cancelled"
#: Seconds before a job that tried to take a lock twice runs again.
LOCKED_DELAY = 1.0
#: Ms before a job that could not reach Redis runs again, and ms after which it fails instead.
REDIS_DELAY, REDIS_LIMIT = 5_000, 24 * 3_600_000
#: Seconds before a job that this consumer cannot run is tried again, at first; it grows, see
#: ``lua/lib/sentback.lua``. Seconds after which such a job fails.
SENT_BACK_DELAY, SENT_BACK_LIMIT = 0.5, 86_400.0


class SentBack(Postpone):
    """This consumer cannot run the job, but another one may; ``code`` gives the reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason, delay=SENT_BACK_DELAY, limit=SENT_BACK_LIMIT)
        self.code = code


class Parked(Exception):
    """The job is over a limit of its key: it waits again, until another one ends."""


@dataclass(slots=True)
class Outcome:
    """How a run ended: ``completed``, ``fail``, ``postpone``, ``locked``, ``parked``, ``lost`` or
    ``interrupted``."""

    kind: str
    run_us: int = 0
    result: bytes = b"null"
    code: str = ""
    error: str = ""
    traceback: str | None = None
    final: bool = False
    #: The lock that a ``locked`` job waits for.
    lock: str = ""
    #: Ms before the next attempt. For a failure, the minimum beside the backoff; None: the backoff only.
    delay: int | None = None
    #: Ms after the first postponement from which the job fails instead; None: never.
    limit: int | None = None
    #: What its postponement is about, beside the code, for readers: a circuit, a rate limit, its own reason.
    about: str = ""
    #: Whether it is postponed because this consumer cannot run it.
    sent_back: bool = False


def _may_wait() -> bool:
    """Whether the calls of Redis of the job that runs here, if there is one, may keep waiting."""
    job = context.running_job()
    return job is not None and job.may_wait()


def run(queue: Queue, claim: Claim, job: JobContext, execute: Callable[[Any], object]) -> Outcome:
    """Runs the job with Huey's ``execute``. Never raises because of the task: an interrupt becomes the
    outcome ``interrupted``.
    """
    reset = context.set_current(job)
    if may_wait.get() is not _may_wait:
        # Not reset: it asks which job runs.
        may_wait.set(_may_wait)
    start = time.perf_counter_ns()
    raised: BaseException | None = None
    try:
        try:
            job.interruptible = True
            # What came before was not raised.
            job.stop_if_cancelled()
            job.task = build_task(queue, claim, job)
            execute(job.task)
            if job.progress_log is not None:
                job.flush()
        finally:
            # An interrupt until here is caught below; from here on there is nothing to interrupt.
            job.interruptible = False
    except BaseException as error:
        raised = error
    finally:
        context.reset_current(reset)
    try:
        outcome = _outcome_of(claim, job, raised)
    except (
        Exception
    ) as error:  # the task's exception may be broken, such as a delay that is not a number
        outcome = _failed(job, error, "error", _describe(error), final=False)
    outcome.run_us = (time.perf_counter_ns() - start) // 1000
    return outcome


def build_task(queue: Queue, claim: Claim, job: JobContext) -> Any:
    """Builds the Huey task of a record. Raises Unrecoverable for an invalid payload, and SentBack for a
    job that only another consumer can run: one of a newer release, or with other keys.
    """
    wrapper = queue.find(claim.name)
    if wrapper is None:
        raise SentBack(
            "unknown_task", f"this consumer has no task {claim.name!r}; waiting for one that has"
        )
    try:
        data = codec.loads(claim.payload)
    except ValueError:
        raise Unrecoverable("the job's payload is missing or is not valid JSON") from None
    if claim.payload.find(b"$sealed") >= 0:
        try:
            data = sealing.unseal(data, queue.runtime.settings.secret_keys)
        except SealedElsewhere as error:
            raise SentBack("sealed", str(error)) from None
    job.data = data
    job.secret_paths = wrapper.secret_paths
    if wrapper.key_limit is not None and claim.key is None:
        _give_key(wrapper, claim, job)
    args, kwargs = messages.arguments_of(data, claim.signature)
    if data == {} and wrapper.takes_nothing:
        args = ()
    task = wrapper.task_class(
        args, kwargs, claim.id, None, max(0, claim.attempts - claim.attempt), None, claim.priority
    )
    task.organization_id, task.user_id = claim.organization_id, claim.user_id
    if claim.extras:
        try:
            extras.apply_extras(wrapper.registry, task, job._work.extras(claim.id))
        except HueyException:
            raise SentBack(
                "unknown_task", "this consumer does not have the task of the job's follow-up"
            ) from None
    return task


def _give_key(wrapper: QueueTask, claim: Claim, job: JobContext) -> None:
    """Gives a job the key that its producer did not give it: it had no code, or an older release's.

    Raises Parked if the key has no room, and LeaseLost.
    """
    try:
        key = wrapper.key_of(job.data, claim.signature, claim.organization_id)
    except InvalidPayload as error:
        # The job is there already: it runs, without a limit, and fails only if the task cannot read it.
        logs.emit("no key", 40, queue=job.queue, jobId=claim.id, error=str(error))
        return
    # Its worker says at the end which key it had, also if the reply to this is lost.
    claim.key = key or None
    may_run = job._work.key(claim.id, claim.token, key) if key else True
    if may_run is None:
        raise LeaseLost("the lease of this job was lost before it began")
    if not may_run:
        raise Parked


_SUCCESS = {"executing", "complete"}


def _outcome_of(claim: Claim, job: JobContext, raised: BaseException | None) -> Outcome:
    if raised is None and job.signals <= _SUCCESS and job.error is None:
        result = b"null" if job.result is None else job.scrub_json(job.result)
        # By position: keywords would take three times as long.
        return Outcome("completed", 0, result)
    error = raised or job.error
    if isinstance(error, LeaseLost) or (isinstance(error, JobInterrupted) and job.lease_lost):
        return Outcome("lost")
    if isinstance(error, Parked):
        return Outcome("parked")
    if job.cancelled:
        return _failed(job, error, JobCancelled.code, CANCELLED, final=True)
    if isinstance(error, JobInterrupted):
        return Outcome("interrupted")
    if "revoked" in job.signals:
        return _failed(job, None, "revoked", "the task was revoked", final=True)
    if "expired" in job.signals:
        return _failed(job, None, "expired", "the task expired before it ran", final=True)
    if "canceled" in job.signals:
        retry = isinstance(error, CancelExecution) and bool(error.retry)
        text = str(error or "") or "the task was cancelled"
        return _failed(job, error, "cancelled", text, final=not retry)
    if isinstance(error, Postpone):
        return Outcome(
            "postpone",
            delay=max(0, int(error.delay * 1000)),
            limit=None if error.limit is None else int(error.limit * 1000),
            code=error.code,
            error=_clean(job, str(error)),
            about=_clean(job, str(getattr(error, "about", ""))),
            sent_back=isinstance(error, SentBack),
        )
    if isinstance(error, RedisUnavailable) and not job.time_remaining:
        # It waited for Redis until its deadline, which the maintenance may notice later than it.
        return timed_out(claim)
    if isinstance(error, RedisUnavailable):
        # Not the job's fault: no attempt is used.
        return Outcome(
            "postpone",
            delay=REDIS_DELAY,
            limit=REDIS_LIMIT,
            code=error.code,
            error=_clean(job, str(error)),
        )
    if isinstance(error, LockTaken):
        return Outcome("locked", lock=error.key, error=_clean(job, str(error)))
    if isinstance(error, TaskLockedException):
        return Outcome("postpone", delay=int(LOCKED_DELAY * 1000), error=_clean(job, str(error)))
    if isinstance(error, RateLimitExceeded):
        return _rate_limited(job, error)
    if isinstance(error, RetryTask):
        return Outcome(
            "postpone", delay=_retry_delay(claim, error), error="the task asked for a retry"
        )
    if error is None:
        return _failed(
            job, None, "error", f"ended with {', '.join(sorted(job.signals))}", final=False
        )
    code = error.code if isinstance(error, JobsError) else "error"
    if isinstance(error, TaskTimeout):
        code = "timeout"
    final = isinstance(error, Unrecoverable) or code in ("invalid_payload", "payload_too_large")
    text = str(error) if isinstance(error, JobsError) else _describe(error)
    failed = _failed(job, error, code, text, final=final)
    if isinstance(error, JobsError) and error.retry_after is not None and not final:
        failed.delay = int(min(max(0.0, float(error.retry_after)) * 1000, LONGEST_MS))
    return failed


def _rate_limited(job: JobContext, error: RateLimitExceeded) -> Outcome:
    delay, text = math.ceil(error.delay * 1000), _clean(job, str(error))
    if error.retry:
        name = _clean(job, str(error.key))
        return Outcome("postpone", delay=delay, code="rate_limited", error=text, about=name)
    limited = _failed(job, error, "rate_limited", str(error), final=False)
    limited.delay = delay
    return limited


def _retry_delay(claim: Claim, error: RetryTask) -> int:
    if error.delay is not None:
        return max(0, int(float(error.delay) * 1000))
    if error.eta is not None:
        import datetime

        eta = error.eta
        now = datetime.datetime.now(eta.tzinfo or datetime.UTC)
        if eta.tzinfo is None:
            # Huey treats a naive time as local time.
            eta = eta.astimezone(datetime.UTC)
        return max(0, int((eta - now).total_seconds() * 1000))
    return claim.backoff


def _describe(error: BaseException) -> str:
    """The type and text of an error, whose ``__str__`` may itself raise."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as broken:
        return f"{type(error).__name__} (its text is not available: {type(broken).__name__})"


def errors_as_text(job: JobContext, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a follow-up, with the exception that Huey passes to ``on_error`` as text."""
    return tuple(
        _clean(job, _describe(one)) if isinstance(one, BaseException) else one for one in args
    )


def clean_data(job: JobContext, data: Any) -> Any:
    """JSON data without the job's secrets."""
    return scrub_data(data, job.secrets)


def _clean(job: JobContext, text: str) -> str:
    return plain(scrub(text, job.secrets))[:2000]


def _failed(
    job: JobContext, error: BaseException | None, code: str, text: str, *, final: bool
) -> Outcome:
    secrets = job.secrets
    lines = None
    if error is not None:
        shown = traceback.format_exception(type(error), error, error.__traceback__)
        lines = plain(scrub("".join(shown), secrets))[-TRACEBACK_LENGTH:]
    return Outcome("fail", code=code, error=_clean(job, text) or code, traceback=lines, final=final)


def error_entry(
    outcome: Outcome, claim: Any, worker: str, started_at: int, failed_at: int
) -> bytes:
    """An entry of a job's ``errors`` as JSON; times are in ms since the epoch."""
    return codec.dumps(
        {
            "attempt": claim.attempt,
            "error": outcome.error,
            "code": outcome.code,
            "traceback": outcome.traceback,
            "startedAt": started_at,
            "failedAt": failed_at,
            "worker": worker,
        }
    )


def postponed_too_long(result: Outcome, since_ms: int) -> Outcome:
    """The failure of a job whose postponement would exceed its limit."""
    text = f"{result.error}; the job was first postponed {since_ms / 3_600_000:.1f} h ago, too long"
    return Outcome("fail", run_us=result.run_us, code=result.code, error=text, final=True)


def cancelled() -> Outcome:
    """The outcome of a cancelled job that its worker did not end."""
    return Outcome("fail", code=JobCancelled.code, error=CANCELLED, final=True)


def timed_out(claim: Any) -> Outcome:
    """The outcome of a job whose deadline has passed; ``claim`` is a Claim or a Running."""
    return Outcome("fail", code="timeout", error="the job took longer than its timeout")


def out_of_memory() -> Outcome:
    """The outcome of a job whose process the kernel killed because memory ran out."""
    text = (
        "the kernel killed the worker process because memory ran out: use less memory in the task,"
        " run fewer jobs at once (QUEUE_<NAME>_CONCURRENCY), or raise the limit of the service or"
        " container; QUEUE_<NAME>_MAX_RSS replaces workers that grow from job to job"
    )
    return Outcome("fail", code="out_of_memory", error=text)
