"""What a list says about a job besides its identity: how long it waited and ran, and what matters."""

from __future__ import annotations

import re

from hsejobs.model import FINISHED, JobRecord, State
from hsejobs.store.read import QueueStats
from hsejobs.wording import jobs_wait
from hsejobs_tui.core.text import duration, one_line
from hsejobs_tui.core.view import kind, remark

#: The beginning of the text of an empty list, and how it goes on.
EMPTY = "No jobs in this state."
_NONE = {
    State.WAITING: "Every job that was added has begun.",
    State.ACTIVE: "None waits either.",
    State.DELAYED: "None was added for later, and none waits for its next attempt.",
    State.COMPLETED: "None has completed, or they were removed after their retention.",
    State.FAILED: "None has failed permanently.",
}
#: ms after which progress that has not changed is said to stand still.
STILL = 60_000
#: The module of an exception's class, as in ``tasks.mail.KeyError: 'x'``.
_MODULE = re.compile(r"^(?:\w+\.)+(?=[A-Z]\w*(?::|$))")


def waited(job: JobRecord, now: int) -> int | None:
    """How long the job waited before its first run, or waits now, in ms; None if that is not known."""
    if job.status is State.WAITING:
        return max(0, now - job.created_at)
    # Earlier attempts overwrite the time at which the run began.
    if job.processed_at and job.attempts_made <= 1 and job.status is not State.DELAYED:
        return max(0, job.processed_at - job.created_at)
    return None


def ran(job: JobRecord, now: int) -> int | None:
    """How long the latest attempt ran, or runs now, in ms; None if there was none."""
    if job.status is State.ACTIVE and job.processed_at:
        return max(0, now - job.processed_at)
    if job.status in FINISHED and job.finished_at and job.processed_at:
        return max(0, job.finished_at - job.processed_at)
    newest = job.errors[-1] if job.errors else {}
    began, ended = newest.get("startedAt"), newest.get("failedAt")
    if isinstance(began, int | float) and isinstance(ended, int | float):
        return max(0, int(ended - began))
    return None


def stands_still(job: JobRecord, now: int) -> int | None:
    """For how long the progress of a running job has not changed, in ms; None if it changes.

    Also None for a job that reports none, or whose consumer does not say when.
    """
    if job.status is not State.ACTIVE or job.progress_at is None:
        return None
    if not job.progress and not job.progress_message:
        return None
    # It may be of an earlier attempt.
    still = now - max(job.progress_at, job.processed_at or 0)
    return still if still >= STILL else None


def cause(stats: QueueStats | None, workers: int | None, *, quiet: bool = False) -> str:
    """Why no job of the queue starts; '' if jobs start. ``workers`` None: not known.

    ``quiet``: all of them are.
    """
    if stats is None:
        return ""
    if stats.is_paused:
        return "the queue is paused: P resumes it"
    if workers == 0:
        return "no worker is alive: start one"
    if quiet:
        return "all its workers are quiet: Q wakes them on the workers screen"
    return ""


def nothing(
    stats: QueueStats | None, state: State | None, workers: int | None, *, quiet: bool = False
) -> str:
    """What an empty list says: that there are none, why, and what to do. ``state`` None: of all."""
    if state is None:
        return "The queue has no jobs: n adds one."
    text = EMPTY
    if stats is not None and state is State.ACTIVE and stats.waiting:
        text += f" {jobs_wait(stats.waiting)}"
        stuck = cause(stats, workers, quiet=quiet)
        return f"{text}: {stuck}." if stuck else f"{text}."
    return f"{text} {_NONE[state]}"


def what(job: JobRecord, stuck: str = "") -> str:
    """The one thing that matters about a job: its error, what it waits for, or its progress.

    ``stuck``: why no job of its queue starts.
    """
    if job.superseded_by:
        return f"superseded by {job.superseded_by}; {_error(job)}"
    if job.waits_for:
        return one_line(job.waits_for)
    if job.status is State.DELAYED and job.postponed:
        return _postponed(job.postponed)
    if job.status is State.FAILED:
        return _error(job)
    if job.status in (State.WAITING, State.DELAYED) and job.failed_reason:
        retry = f"retry {job.attempts_made + 1} of {job.attempts} after "
        return retry + _error(job)
    if job.status is State.WAITING and stuck:
        return stuck
    if job.status is State.DELAYED and job.run_at and not job.failed_reason:
        return "added with a delay"
    return remark(job)


def _postponed(reason: str) -> str:
    code, _, about = reason.partition(" ")
    if code != "circuit_open":
        return "its task postponed it"
    # Of ``webhook:<organization>:<host>:<port>`` and ``smtp:<host>:<port>``, cut off if it is long.
    kind_of, _, place = about.partition(":")
    host = place.partition(":")[2] if kind_of == "webhook" else place
    return one_line(f"held by the circuit of {host}" if host else "held by a circuit")


def _error(job: JobRecord) -> str:
    return titled(kind(job), one_line(job.failed_reason or ""))


def titled(word: str, text: str) -> str:
    """An error's text with its kind before it, unless it says nothing new; without the class's module."""
    short = _MODULE.sub("", text)
    plain = word == "error" or short.startswith(word) or not text
    return short if plain else f"{word}: {text}"


def figures(job: JobRecord, now: int) -> tuple[str, str]:
    """``waited`` and ``ran`` in short form."""
    return duration(waited(job, now)), duration(ran(job, now))
