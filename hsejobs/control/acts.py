"""Everything that people do to jobs and queues, through every door: checked, in steps, written down.

An act is bound to what was asked about: the jobs as they were seen, or a moment. What came later, or
moved on meanwhile, stays and is reported. Every method blocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.control import audit, schedules
from hsejobs.control.actors import Actor
from hsejobs.control.progress import (
    PAST,
    UNDO_JOBS,
    UNDO_SECONDS,
    Clock,
    Progress,
    Removal,
    Removals,
    explain,
    unanswered,
)
from hsejobs.errors import JobsError, Refused
from hsejobs.model import ROLES, State
from hsejobs.store.circuits import Circuits
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader, QueueStats
from hsejobs.store.registry import QueueInfo, ScheduleInfo
from hsejobs.store.sweeps import check_cleanable
from hsejobs.store.write import (
    REMOVED_AT_ONCE,
    Added,
    Asked,
    JobWriter,
    NewJob,
    RefusedJob,
    Seen,
)

__all__ = ["ACTS", "PAST", "UNDO_JOBS", "UNDO_SECONDS", "Acts", "Progress", "explain"]

#: Jobs in one step of an act on many: what a cancel may still have to wait for.
STEP = 500


@dataclass(frozen=True, slots=True)
class Act:
    """The least role that may do it, and whether it is about all organizations' jobs at once."""

    role: str
    whole: bool = False


#: Every act by its name in the audit log.
ACTS = {
    "retry": Act("admin"),
    "promote": Act("admin"),
    "remove": Act("admin"),
    "undo": Act("admin"),
    "clean": Act("admin"),
    "remove file": Act("admin"),
    "repair": Act("operator", whole=True),
    "drain": Act("operator", whole=True),
    "obliterate": Act("operator", whole=True),
    "pause": Act("operator", whole=True),
    "resume": Act("operator", whole=True),
    "run": Act("operator", whole=True),
    "circuit open": Act("operator", whole=True),
    "circuit close": Act("operator", whole=True),
}
#: From which state an act on a single job leads away.
FROM = {"retry": State.FAILED, "promote": State.DELAYED}


@dataclass(slots=True)
class Hooks:
    """What a door adds.

    ``removed``: called with the queue, and the job's id if it was one, once jobs are gone for good:
    where there are files, they go too. ``unwritten``: called when the audit log took no entry.
    """

    removed: Callable[[str, str | None], None] | None = None
    unwritten: Callable[[], None] | None = None


class Acts:
    """The acts of one actor. ``undo``: copies of removed jobs are kept here for a minute."""

    def __init__(
        self,
        link: RedisClient,
        prefix: str,
        actor: Actor,
        log: audit.Log,
        *,
        read_only: bool = False,
        undo: bool = False,
        hooks: Hooks | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.link, self.prefix = link, prefix
        self.actor, self.org = actor, actor.organization_id
        self._log, self._hooks = log, hooks or Hooks()
        self._read_only = read_only
        self._writer, self._reader = JobWriter(link, prefix), JobReader(link, prefix)
        self._removals = Removals(clock) if undo else None

    def check(self, act: str) -> JobWriter:
        """The store's writes, if this actor may do it.

        Raises Forbidden; Refused in a session that is read-only or sees one organization only.
        """
        self.actor.need(ACTS[act].role)
        if self._read_only:
            raise Refused("this session is read-only")
        if ACTS[act].whole and self.org is not None:
            raise Refused("this act is about every organization's jobs; this session sees one")
        return self._writer

    def note(self, act: str, queue: str, **about: Any) -> None:
        """An entry in the audit log; ``count``, ``ids`` and more as for ``audit.note``."""
        written = audit.note(self._log, self.actor, act, queue, **about)
        if not written and self._hooks.unwritten is not None:
            self._hooks.unwritten()

    def _gone(self, queue: str, job_id: str | None = None) -> None:
        # What can be brought back keeps its file; the cleanup takes it when nobody can want it.
        if self._removals is None and self._hooks.removed is not None:
            self._hooks.removed(queue, job_id)

    # -- jobs

    def one(self, act: str, queue: str, job_id: str, seen: str = "") -> None:
        """Retries, removes or promotes one job; with ``seen`` only if it is of that version still.

        Raises JobNotFound, JobActive, WrongState.
        """
        (*_, progress) = self.many(act, queue, [(job_id, seen)])
        for refusal in progress.refusals:
            raise refusal.error(act)

    def many(
        self, act: str, queue: str, jobs: Sequence[Seen], stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Progress]:
        """Retries, removes or promotes these jobs in steps; yields the same Progress each time.

        A job that is not as it was seen any more stays, and is told in the report; so is an error
        that ends it, as what was done until then is done, and can be undone.
        """
        writer = self.check(act)
        progress = Progress(act, queue, len(jobs))
        removal = Removal()
        # A step is one call: of more, an error would take along what the calls before it returned.
        size = REMOVED_AT_ONCE if act == "remove" else STEP
        try:
            for at in range(0, len(jobs), size):
                if stop():
                    progress.cancelled = True
                    break
                chunk = jobs[at : at + size]
                try:
                    refused = self._step(writer, act, queue, chunk, removal)
                except JobsError as error:
                    progress.unsure = len(chunk) if unanswered(error) else 0
                    if len(jobs) == 1 or not (progress.seen or progress.unsure):
                        raise
                    progress.error = error
                    break
                progress.step(len(chunk), refused)
                progress.undoable = bool(removal.jobs)
                yield progress
        finally:
            if removal.jobs and self._removals is not None:
                self._removals.add(removal)
            self._noted(progress, [job_id for job_id, _ in jobs])
        if act == "remove" and progress.done:
            self._gone(queue, jobs[0][0] if len(jobs) == 1 else None)
        yield progress

    def _step(
        self, writer: JobWriter, act: str, queue: str, jobs: Sequence[Seen], removal: Removal
    ) -> list[RefusedJob]:
        if act == "remove":
            removed, refused = writer.remove_many(queue, jobs, self.org)
            if self._removals is not None:
                removal.keep(removed)
            return refused
        return self._move(writer, act)(queue, jobs, self.org)

    @staticmethod
    def _move(writer: JobWriter, act: str) -> Callable[..., list[RefusedJob]]:
        return {"retry": writer.retry_many, "promote": writer.promote_many}[act]

    def every(
        self, act: str, queue: str, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Progress]:
        """Retries all failed jobs, or promotes all delayed ones, in steps.

        Those that come to that state while it works stay. Yields the same Progress each time.
        """
        writer = self.check(act)
        # By Redis' clock. The list goes on growing while it is read, so its end is no end.
        asked = self._reader.now(queue)
        progress, ids = Progress(act, queue, 0), list[str]()
        try:
            for page in self._reader.walk(queue, FROM[act], self.org, payload_bytes=0, errors=1):
                jobs = [
                    (job.id, job.version)
                    for job in page
                    if (job.finished_at or job.created_at) <= asked
                ]
                if not jobs:
                    continue
                progress.total += len(jobs)
                ids += [job_id for job_id, _ in jobs][: audit.IDS + 1 - len(ids)]
                progress.step(
                    len(jobs), self._move(writer, act)(queue, jobs, self.org, asked=asked)
                )
                yield progress
                if stop():
                    progress.cancelled = True
                    break
        finally:
            self._noted(progress, ids)
        yield progress

    def _noted(self, progress: Progress, ids: Sequence[str]) -> None:
        missing = [one for one in progress.refusals if one.found == "missing"]
        if missing and len(missing) == progress.seen:
            return  # there was nothing to act on
        self.note(
            progress.act,
            progress.queue,
            count=progress.done,
            ids=ids,
            of=progress.total,
            refused=dict(progress.refused),
        )

    def undoable(self) -> tuple[int, float]:
        """How many jobs the next undo brings back, and for how many seconds more."""
        newest, left = self._removals.newest() if self._removals else (None, 0.0)
        return (len(newest.jobs), left) if newest else (0, 0.0)

    def undo(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Brings the newest removal back in steps; yields the same Progress each time.

        What it did not come to, or Redis gave no answer for, can be brought back for another minute:
        this memory has the only copies. Raises Refused when there is nothing.
        """
        writer = self.check("undo")
        removals = self._removals
        last = removals.newest()[0] if removals else None
        if removals is None or last is None:
            raise Refused(f"nothing was removed in the last {UNDO_SECONDS:.0f} s")
        progress = Progress("undo", last.jobs[0].queue, len(last.jobs))
        ids = [one.id for one in last.jobs]
        try:
            while last.jobs:
                if stop():
                    progress.cancelled = True
                    break
                step = last.step()
                removals.renew(last)
                refused = writer.restore_many(step, self.org)
                progress.step(len(step), refused)
                last.restored(len(step))
                yield progress
        finally:
            progress.undoable = bool(last.jobs)
            if not last.jobs:
                removals.drop(last)
            self._noted(progress, ids)
        yield progress

    # -- states and queues

    def ask_clean(self, queue: str, state: State, grace_ms: int) -> Asked:
        """How many jobs a clean would remove now, and the moment to bind it to."""
        return self.check("clean").ask_clean(queue, state, grace_ms, self.org)

    def ask(self, act: str, queue: str) -> Asked:
        """The same of a drain or an obliteration."""
        self.check(act)
        now = self._reader.stats([queue], minutes=0)[0]
        return Asked(_left(act, now), now.now)

    def sweep(
        self,
        act: str,
        queue: str,
        asked: Asked,
        stop: Callable[[], bool] = lambda: False,
        *,
        state: State = State.FAILED,
        grace_ms: int = 0,
        limit: int | None = None,
        force: bool = False,
    ) -> Iterator[Progress]:
        """Clean, drain or obliterate in steps; yields the same Progress each time.

        What was not there when it was ``asked`` stays, and is told in the report.
        """
        writer = self.check(act)
        progress = Progress(act, queue, asked.count)
        if act == "clean":
            check_cleanable(state)
            steps = writer.clean_steps(queue, state, grace_ms, self.org, limit, asked.at)
        elif act == "drain":
            steps = writer.drain_steps(queue, asked=asked.at)
        else:
            steps = writer.obliterate_steps(queue, force=force, asked=asked.at)
        try:
            for removed in steps:
                progress.done += removed
                yield progress
                if stop():
                    progress.cancelled = True
                    break
            if not progress.cancelled:
                self._tell_rest(progress)
        finally:
            about = {"state": state.value, "graceMs": grace_ms} if act == "clean" else {}
            self.note(act, queue, count=progress.done, **about)
        if progress.done:
            self._gone(queue)
        yield progress

    def _tell_rest(self, progress: Progress) -> None:
        """Why the queue is not empty, or less was done than asked."""
        left = max(0, progress.total - progress.done)
        if left:
            progress.refused["moved on, or taken by others"] += left
        if progress.act != "clean":
            now = self._reader.stats([progress.queue], minutes=0)[0]
            progress.later = _left(progress.act, now)

    def pause(self, queue: str, on: bool) -> str:
        """Pauses or resumes; a sentence about it."""
        act = "pause" if on else "resume"
        writer = self.check(act)
        changed = writer.pause(queue) if on else writer.resume(queue)
        self.note(act, queue, changed=changed)
        state = "paused: running jobs finish, no new ones begin" if on else "resumed"
        return (
            f"{queue} is {state}" if changed else f"{queue} was {state.partition(':')[0]} already"
        )

    def add(self, info: QueueInfo, new: NewJob) -> Added:
        """Adds a job that was checked. Raises Forbidden where the role may not add to the queue."""
        if self._read_only:
            raise Refused("this session is read-only")
        self.actor.need(info.enqueue if info.enqueue in ROLES else "operator")
        added = self._writer.add(info.name, new)
        self.note("enqueue", info.name, count=int(added.created), ids=[added.id])
        return added

    def run_schedule(self, info: QueueInfo, schedule: ScheduleInfo) -> Added:
        """Adds a run of a schedule beside its slots."""
        writer = self.check("run")
        added = schedules.run(writer, info, schedule)
        self.note("run", info.name, count=1, ids=[added.id], schedule=schedule.name)
        return added

    def circuit(self, name: str, act: str) -> None:
        """Opens or closes a circuit by hand. Raises UnknownCircuit."""
        self.check(f"circuit {act}")
        circuits = Circuits(self.link, self.prefix)
        if act == "open":
            circuits.open(name)
        else:
            circuits.close(name)
        self.note(f"circuit {act}", "", circuit=name)


def _left(act: str, now: QueueStats) -> int:
    """How many jobs a drain or an obliteration is about."""
    left = now.waiting + now.delayed
    return left if act == "drain" else left + now.active + now.completed + now.failed
