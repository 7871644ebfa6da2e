"""The attempts of a job on one time line: how long it waited, ran and was held back between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.model import FINISHED, JobRecord, State, whole_number
from hsejobs.wording import WAITED, during
from hsejobs_tui.core.text import safe
from hsejobs_tui.core.view import kind_of

_WORKER = re.compile(r"(?P<host>.+):(?P<pid>\d+):\w+(?:\.(?P<slot>\d+))?")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, or the wait for the next one. Times in ms; ``began`` None: it did not begin yet.

    ``since``: from when it waited; ``outcome``: a state or the kind of an error; ``where``: its worker.
    """

    name: str
    since: int
    began: int | None
    ended: int
    outcome: str
    color: str
    where: str = ""


def attempts(job: JobRecord, now: int, workers: Sequence[Mapping[str, Any]] = ()) -> list[Attempt]:
    """The attempts that are known, the oldest first. ``workers``: the heartbeats of its queue's consumers."""
    found: list[Attempt] = []
    since = job.created_at
    for error in job.errors:
        ended = whole_number(error.get("failedAt")) or job.finished_at or job.created_at
        began = whole_number(error.get("startedAt"))
        waited = during(error) == WAITED
        name = "-" if waited else str(error.get("attempt") or "?")
        where = named(str(error.get("worker") or ""))
        found.append(Attempt(name, since, began, ended, kind_of(error), "fail", where))
        since = ended
    last = job.processed_at
    if job.status is State.ACTIVE and last:
        where = slot_of(job.id, workers) or safe(job.token or "", 40)
        found.append(Attempt(str(job.attempts_made), since, last, now, "running", "run", where))
    elif job.status is State.COMPLETED and last and job.finished_at:
        name = str(job.attempts_made)
        found.append(Attempt(name, since, last, job.finished_at, "completed", "ok"))
    elif job.status not in FINISHED:
        outcome = "due" if job.run_at and job.run_at > now else "waiting"
        until = max(now, job.run_at or 0)
        color = "delay" if outcome == "due" else "wait"
        found.append(Attempt(str(job.attempts_made + 1), since, None, until, outcome, color))
    return found


def named(worker: str) -> str:
    """The name of a worker, ``host:pid:tag.slot``, in words; other text as it is."""
    found = _WORKER.fullmatch(worker)
    if found is None:
        return safe(worker, 60)
    slot = "" if found["slot"] is None else f" slot {found['slot']}"
    return safe(f"{found['host']} pid {found['pid']}{slot}", 80)


def slot_of(job_id: str, workers: Sequence[Mapping[str, Any]]) -> str:
    """Host, process and slot that run a job; '' if no heartbeat names it."""
    for one in workers:
        for number, slot in enumerate(one.get("slots") or (), 1):
            if slot and slot.get("job") == job_id:
                return safe(f"{one.get('host')} pid {one.get('pid')} slot {number}", 80)
    return ""
