"""The actions on jobs and queues, for every interface: checked, done in steps, recorded in the audit log.

An action applies only to what the user decided on: jobs in the version that they saw, or jobs that
existed at a given time. Later or changed jobs are left alone and reported. Every method blocks.
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
    jobs_left,
    unanswered,
)
from hsejobs.errors import JobsError, Refused
from hsejobs.model import ROLES, State, check_reason
from hsejobs.store.circuits import Circuits
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo, ScheduleInfo
from hsejobs.store.sweeps import check_cleanable
from hsejobs.store.write import (
    REMOVED_AT_ONCE,
    Added,
    Cancel,
    JobWriter,
    NewJob,
    RefusedJob,
    Seen,
    Selection,
)

__all__ = ["ACTS", "PAST", "UNDO_JOBS", "UNDO_SECONDS", "Acts", "Progress", "explain"]

#: Jobs in one step of an action on many jobs: a cancellation waits for the current step.
STEP = 500


@dataclass(frozen=True, slots=True)
class Act:
    """The least privileged role for an action, and whether it affects the jobs of all organizations."""

    role: str
    whole: bool = False


#: Every action, by its name in the audit log. A member cancels only the jobs that it added.
ACTS = {
    "retry": Act("admin"),
    "promote": Act("admin"),
    "cancel": Act("member"),
    "remove": Act("admin"),
    "undo": Act("admin"),
    "clean": Act("admin"),
    "remove file": Act("admin"),
    "repair": Act("operator", whole=True),
    "drain": Act("operator", whole=True),
    "obliterate": Act("operator", whole=True),
    "pause": Act("operator", whole=True),
    "resume": Act("operator", whole=True),
    "tenants set": Act("operator", whole=True),
    "run": Act("operator", whole=True),
    "circuit open": Act("operator", whole=True),
    "circuit close": Act("operator", whole=True),
}
#: The state that a job must be in for an action.
FROM = {"retry": State.FAILED, "promote": State.DELAYED}


@dataclass(slots=True)
class Hooks:
    """Callbacks of an interface.

    ``removed`` is called with the queue, and the job's id if it was a single job, once jobs are
    removed and cannot be restored, to remove their files. ``unwritten`` is called when an audit log
    entry could not be written.
    """

    removed: Callable[[str, str | None], None] | None = None
    unwritten: Callable[[], None] | None = None


class Acts:
    """The actions of one actor. With ``undo``, copies of removed jobs are kept in memory for a minute."""

    def __init__(
        self,
        client: RedisClient,
        prefix: str,
        actor: Actor,
        log: audit.Log,
        *,
        read_only: bool = False,
        undo: bool = False,
        hooks: Hooks | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.redis, self.prefix = client, prefix
        self.actor, self.org = actor, actor.organization_id
        self._log, self._hooks = log, hooks or Hooks()
        self._read_only = read_only
        self._writer, self._reader = JobWriter(client, prefix), JobReader(client, prefix)
        self._removals = Removals(clock) if undo else None

    def check(self, act: str) -> JobWriter:
        """Returns the job writer if the actor may perform the action.

        Raises Forbidden; Refused in a session that is read-only or limited to one organization.
        """
        self.actor.need(ACTS[act].role)
        if self._read_only:
            raise Refused("this session is read-only")
        if ACTS[act].whole and self.org is not None:
            raise Refused(
                "this affects the jobs of all organizations; this session is limited to one"
            )
        return self._writer

    def note(self, act: str, queue: str, **about: Any) -> None:
        """Writes an entry to the audit log; ``count``, ``ids`` and more as for ``audit.note``."""
        written = audit.note(self._log, self.actor, act, queue, **about)
        if not written and self._hooks.unwritten is not None:
            self._hooks.unwritten()

    def _removed(self, queue: str, job_id: str | None = None) -> None:
        # A job that can be restored keeps its file; the cleanup removes it later.
        if self._removals is None and self._hooks.removed is not None:
            self._hooks.removed(queue, job_id)

    # -- jobs

    def one(
        self, act: str, queue: str, job_id: str, seen: str = "", reason: str | None = None
    ) -> bool:
        """Retries, removes, promotes or cancels one job; with ``seen`` only if it still has that version.

        ``reason``: of a cancel. Returns whether it changed the job: a running one may be cancelled
        already. Raises JobNotFound, JobActive, WrongState, Forbidden, InvalidOption.
        """
        (*_, progress) = self.many(act, queue, [(job_id, seen)], reason=reason)
        for refusal in progress.refusals:
            if refusal.found != "again":
                raise refusal.error(act)
        return bool(progress.done)

    def many(
        self,
        act: str,
        queue: str,
        jobs: Sequence[Seen],
        stop: Callable[[], bool] = lambda: False,
        reason: str | None = None,
        where: str = "",
    ) -> Iterator[Progress]:
        """Retries, removes, promotes or cancels these jobs in steps; yields the same Progress each time.

        A job that has changed since it was seen is left alone and reported. An error that ends the
        action is reported too, because earlier steps are done and can be undone.
        ``where``: the filter that found the jobs, for the audit log.
        """
        self.check(act)
        cancel = None
        if act == "cancel":
            cancel = Cancel(self.actor.who, check_reason(reason), self.actor.owner)
        progress = Progress(act, queue, len(jobs))
        removal = Removal()
        # One call per step: an error in a later call would lose what the earlier calls returned.
        size = REMOVED_AT_ONCE if act == "remove" else STEP
        try:
            for at in range(0, len(jobs), size):
                if stop():
                    progress.cancelled = True
                    break
                chunk = jobs[at : at + size]
                try:
                    refused = self._step(act, queue, chunk, removal, cancel)
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
            about: dict[str, Any] = {"reason": cancel.reason} if cancel else {}
            if where:
                about["where"] = where
            self._record(progress, [job_id for job_id, _ in jobs], **about)
        if act == "remove" and progress.done:
            self._removed(queue, jobs[0][0] if len(jobs) == 1 else None)
        yield progress

    def _step(
        self, act: str, queue: str, jobs: Sequence[Seen], removal: Removal, cancel: Cancel | None
    ) -> list[RefusedJob]:
        writer = self._writer
        if cancel is not None:
            return writer.cancel_many(queue, jobs, cancel, self.org)
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

        Jobs that enter the state meanwhile are left alone. Yields the same Progress each time.
        """
        writer = self.check(act)
        # By Redis time. The list may grow while it is read, so that its end alone is no bound.
        as_of = self._reader.now(queue)
        progress, ids = Progress(act, queue, 0), list[str]()
        try:
            for page in self._reader.walk(queue, FROM[act], self.org, payload_bytes=0, errors=1):
                jobs = [
                    (job.id, job.version)
                    for job in page
                    if (job.finished_at or job.created_at) <= as_of
                ]
                if not jobs:
                    continue
                progress.total += len(jobs)
                ids += [job_id for job_id, _ in jobs][: audit.IDS + 1 - len(ids)]
                progress.step(
                    len(jobs), self._move(writer, act)(queue, jobs, self.org, as_of=as_of)
                )
                yield progress
                if stop():
                    progress.cancelled = True
                    break
        finally:
            self._record(progress, ids)
        yield progress

    def _record(self, progress: Progress, ids: Sequence[str], **about: Any) -> None:
        unseen = [one for one in progress.refusals if one.found in ("missing", "forbidden")]
        if unseen and len(unseen) == progress.seen:
            return  # no job existed for this actor
        about |= {"of": progress.total, "refused": dict(progress.refused)}
        self.note(progress.act, progress.queue, count=progress.done, ids=ids, **about)

    def undoable(self) -> tuple[int, float]:
        """How many jobs the next undo would restore, and for how many more seconds it can."""
        newest, left = self._removals.newest() if self._removals else (None, 0.0)
        return (len(newest.jobs), left) if newest else (0, 0.0)

    def undo(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Restores the newest removal in steps; yields the same Progress each time.

        Jobs not tried, or without a reply from Redis, can be restored for another minute: the only
        copies are in this process's memory. Raises Refused when there is nothing to restore.
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
            self._record(progress, ids)
        yield progress

    # -- states and queues

    def select_clean(self, queue: str, state: State, grace_ms: int) -> Selection:
        """How many jobs a clean would remove now, and the time that limits it, for ``sweep``."""
        return self.check("clean").select_clean(queue, state, grace_ms, self.org)

    def select(self, act: str, queue: str) -> Selection:
        """How many jobs a drain or an obliteration would remove now, and the time that limits it."""
        self.check(act)
        now = self._reader.stats([queue], minutes=0)[0]
        return Selection(jobs_left(act, now), now.now)

    def sweep(
        self,
        act: str,
        queue: str,
        selection: Selection,
        stop: Callable[[], bool] = lambda: False,
        *,
        state: State = State.FAILED,
        grace_ms: int = 0,
        limit: int | None = None,
        force: bool = False,
    ) -> Iterator[Progress]:
        """Cleans, drains or obliterates a queue in steps; yields the same Progress each time.

        Jobs that did not exist at the time in ``selection`` are left alone and reported.
        """
        writer = self.check(act)
        progress = Progress(act, queue, selection.count)
        if act == "clean":
            check_cleanable(state)
            steps = writer.clean_steps(queue, state, grace_ms, self.org, limit, selection.at)
        elif act == "drain":
            steps = writer.drain_steps(queue, as_of=selection.at)
        else:
            steps = writer.obliterate_steps(queue, force=force, as_of=selection.at)
        try:
            for removed in steps:
                progress.done += removed
                yield progress
                if stop():
                    progress.cancelled = True
                    break
            if not progress.cancelled:
                self._report_rest(progress)
        finally:
            about = {"state": state.value, "graceMs": grace_ms} if act == "clean" else {}
            self.note(act, queue, count=progress.done, **about)
        if progress.done:
            self._removed(queue)
        yield progress

    def _report_rest(self, progress: Progress) -> None:
        """Records why the queue is not empty, or why fewer jobs were removed than expected."""
        left = max(0, progress.total - progress.done)
        if left:
            progress.refused["moved on, or taken by others"] += left
        if progress.act != "clean":
            now = self._reader.stats([progress.queue], minutes=0)[0]
            progress.later = jobs_left(progress.act, now)

    def pause(self, queue: str, on: bool) -> str:
        """Pauses or resumes a queue; returns a sentence about it."""
        act = "pause" if on else "resume"
        writer = self.check(act)
        changed = writer.pause(queue) if on else writer.resume(queue)
        self.note(act, queue, changed=changed)
        state = "paused: running jobs finish, no new ones begin" if on else "resumed"
        return (
            f"{queue} is {state}" if changed else f"{queue} was {state.partition(':')[0]} already"
        )

    def add(self, info: QueueInfo, new: NewJob) -> Added:
        """Adds a checked job. Raises Forbidden, or BacklogFull (never for operators)."""
        if self._read_only:
            raise Refused("this session is read-only")
        self.actor.need(info.enqueue if info.enqueue in ROLES else "operator")
        if self.actor.role == "operator":
            new = new._replace(tenant_backlog=0)
        added = self._writer.add(info.name, new)
        self.note("enqueue", info.name, count=int(added.created), ids=[added.id])
        return added

    def run_schedule(self, info: QueueInfo, schedule: ScheduleInfo) -> Added:
        """Adds an extra run of a schedule, outside its slots."""
        writer = self.check("run")
        added = schedules.run(writer, info, schedule)
        self.note("run", info.name, count=1, ids=[added.id], schedule=schedule.name)
        return added

    def circuit(self, name: str, act: str) -> None:
        """Opens or closes a circuit manually. Raises UnknownCircuit."""
        self.check(f"circuit {act}")
        circuits = Circuits(self.redis, self.prefix)
        if act == "open":
            circuits.open(name)
        else:
            circuits.close(name)
        self.note(f"circuit {act}", "", circuit=name)
