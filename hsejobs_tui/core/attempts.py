"""The attempts of a job on one time line: how long it waited, ran and was held back between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from hsejobs.model import FINISHED, JobRecord, State, whole_number
from hsejobs.wording import WAITED, during
from hsejobs_tui.core.text import clock, duration, safe
from hsejobs_tui.core.view import kind_of

#: Attempts drawn: the newest.
MOST = 8
_WORKER = re.compile(r"(?P<host>.+):(?P<pid>\d+):\w+(?:\.(?P<slot>\d+))?")
#: What a bar is made of: waited, ran, held back; with and without ASCII.
_MARKS = {"wait": ("░", "."), "run": ("█", "#"), "backoff": ("┄", "-")}


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


def bars(found: Sequence[Attempt], width: int, *, ascii_only: bool) -> list[Text]:
    """One line for each attempt on one axis, below the axis itself; nothing for no attempt."""
    if not found:
        return []
    shown = found[-MOST:]
    start, end = shown[0].since, max(one.ended for one in shown)
    cells = max(10, min(60, width - 62))
    length = max(1, end - start)

    def at(moment: int) -> int:
        return max(0, min(cells, round((moment - start) / length * cells)))

    lines = []
    for number, one in enumerate(shown):
        first = number == 0 and len(found) == len(shown)
        kind = "wait" if first or (one.began is None and one.outcome == "waiting") else "backoff"
        begun = at(one.began if one.began is not None else one.ended)
        ended = cells if one.ended == end else at(one.ended)
        line = Text(f"   {one.name:>2} ", "dim").append(" " * at(one.since))
        before = max(0, begun - at(one.since))
        run = max(1, ended - begun) if one.began is not None else 0
        if before + run + at(one.since) > cells:
            before = max(0, cells - run - at(one.since))
        line.append(_MARKS[kind][ascii_only] * before, "delay" if kind == "backoff" else "wait")
        line.append(_MARKS["run"][ascii_only] * run, one.color)
        line.append(" " * max(0, cells + 6 - line.cell_len))
        lines.append(line.append_text(_words(one, kind)))
        lines[-1].no_wrap, lines[-1].overflow = True, "crop"
    axis = Text("      ", "dim")
    left, right = clock(start)[11:], clock(end)[11:]
    gap = max(1, cells - len(left) - len(right))
    whole = f"  {duration(length)} in all, UTC"
    axis.append(left + ("-" if ascii_only else "─") * gap + right + whole, "dim")
    if len(found) > len(shown):
        axis.append(f"; the last {MOST} of {len(found)}", "dim")
    return [axis, *lines]


def _words(one: Attempt, kind: str) -> Text:
    waited = (one.began or one.ended) - one.since
    word = "waited" if kind == "wait" else "held"
    if one.began is None and one.outcome in ("due", "waiting"):
        text = Text("  ").append(f"next: {one.outcome}", one.color)
        return text.append(f" {duration(max(0, waited))}", "dim")
    text = Text(f"  {word} {duration(max(0, waited)):>5}", "dim")
    if one.began is not None:
        text.append(f"  ran {duration(max(0, one.ended - one.began)):>5}", "dim")
    text.append("  ").append(safe(one.outcome, 40), one.color)
    if one.where:
        text.append(f"  {one.where}", "dim")
    return text
