"""View models: queues and jobs as plain values for the screens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hsejobs.model import JobRecord, State
from hsejobs.store.read import QueueStats, percentile
from hsejobs.store.read_live import Snapshot
from hsejobs.wording import WAITED, during
from hsejobs_tui.core.text import clock, duration, one_line

#: A state's glyph, its ASCII glyph and its color (a signal of ``core.colors``).
LOOK: dict[str, tuple[str, str, str]] = {
    "waiting": ("○", "o", "wait"),
    "paused": ("‖", "=", "warn"),
    "active": ("▶", ">", "run"),
    "delayed": ("◷", "~", "delay"),
    "completed": ("✓", "+", "ok"),
    "failed": ("✗", "x", "fail"),
    "gone": ("∅", "-", "dim"),
}

#: Shown when Redis has no queues yet.
NO_QUEUE = "No queues are registered in this Redis: start a worker."

STATES = (State.WAITING, State.ACTIVE, State.DELAYED, State.COMPLETED, State.FAILED)
#: States listed with the next job first; the others list the newest first.
AHEAD = (State.WAITING, State.DELAYED)


class QueueRow(NamedTuple):
    """One queue of the overview; durations in ms, rates per minute."""

    name: str
    waiting: int
    active: int
    delayed: int
    completed: int
    failed: int
    paused: bool
    rate_in: float
    rate_out: float
    oldest: int | None
    wait_p50: float | None
    wait_p95: float | None
    run_p50: float | None
    run_p95: float | None
    failing: float
    drain_ms: float | None
    workers: int


def queue_row(stats: QueueStats) -> QueueRow:
    """A queue's row in the overview: rates and times of the last five minutes."""
    last = stats.window()
    # The current minute is incomplete: rates use the time that has passed.
    minutes = 4 + max(1, stats.now % 60_000) / 60_000
    rate_in, rate_out = last.added / minutes, last.ended / minutes
    net = rate_out - rate_in
    drain = stats.waiting / net * 60_000 if stats.waiting and net > 0.01 else None
    return QueueRow(
        stats.name,
        stats.waiting,
        stats.active,
        stats.delayed,
        stats.completed,
        stats.failed,
        stats.is_paused,
        rate_in,
        rate_out,
        stats.oldest_waiting,
        percentile(last.wait, 0.5),
        percentile(last.wait, 0.95),
        percentile(last.run, 0.5),
        percentile(last.run, 0.95),
        last.failure_ratio,
        drain,
        stats.consumers,
    )


def is_empty(seen: Snapshot) -> bool:
    """Whether no queue has a job, nor had one in the last hour."""
    return not any(
        one.waiting + one.active + one.delayed + one.completed + one.failed
        or any(minute.added or minute.ended for minute in one.minutes)
        for one in seen.queues
    )


def when(job: JobRecord, now: int) -> str:
    """The relative time that matters in the job's state."""
    if job.status is State.DELAYED and job.run_at:
        return f"in {duration(max(0, job.run_at - now))}"
    if job.status is State.ACTIVE and job.processed_at:
        return f"for {duration(max(0, now - job.processed_at))}"
    return f"{duration(max(0, now - (job.finished_at or job.created_at)))} ago"


#: ``module.KeyError: text``, as the engine records an error; does not match a sentence with a colon.
_CLASS = re.compile(r"(?:\w+\.)*([A-Z]\w*)(?=:|$| \(its text)")


def kind_of(error: Mapping[str, Any]) -> str:
    """The kind of an error: its code, or the exception class where the code is just ``error``."""
    code = str(error.get("code") or "error")
    if code != "error":
        return code
    found = _CLASS.match(str(error.get("error") or "").partition("\n")[0])
    return found[1] if found else code


def kind(job: JobRecord) -> str:
    """The kind of the job's latest error."""
    newest = dict(job.errors[-1]) if job.errors else {}
    return kind_of({**newest, "code": job.code or newest.get("code")})


def remark(job: JobRecord) -> str:
    """The job's error or its progress, for a list; '' for neither."""
    if job.failed_reason:
        return one_line(job.failed_reason)
    if job.progress_message or 0 < job.progress < 100:
        return f"{job.progress:.0f}% {one_line(job.progress_message or '')}"
    return ""


def timeline(job: JobRecord) -> list[tuple[str, str]]:
    """The job's history as (time, text), oldest first."""
    entries: list[tuple[int, str]] = [(job.created_at, "added")]
    for error in job.errors:
        began, ended = error.get("startedAt"), error.get("failedAt")
        took = f" after {duration(ended - began)}" if began and ended else ""
        which = during(error)
        text = f"{which} failed{took} ({kind_of(error)})"
        if which == WAITED:
            text = f"cancelled {WAITED}"
        entries.append((ended or began or job.created_at, text))
    if job.processed_at and job.status in (State.ACTIVE, State.COMPLETED):
        waited = duration(job.processed_at - job.created_at) if job.attempts_made <= 1 else None
        began = f"attempt {job.attempts_made} began" + (f", waited {waited}" if waited else "")
        entries.append((job.processed_at, began))
    if job.finished_at:
        ran = job.processed_at and job.finished_at - job.processed_at
        entries.append(
            (job.finished_at, f"{job.status}" + (f", ran {duration(ran)}" if ran else ""))
        )
    if job.run_at:
        entries.append((job.run_at, "runs again" if job.errors else "may run"))
    return [(clock(at), text) for at, text in sorted(entries, key=lambda pair: pair[0])]
