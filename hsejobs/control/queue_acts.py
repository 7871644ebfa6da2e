"""The acts on whole queues, on schedules and on circuits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hsejobs.control import schedules
from hsejobs.control.acting import Acting
from hsejobs.control.progress import Progress, jobs_left
from hsejobs.model import ROLES, State
from hsejobs.store.circuits import Circuits, organization_of_circuit
from hsejobs.store.registry import QueueInfo, ScheduleInfo
from hsejobs.store.sweeps import check_cleanable
from hsejobs.store.write import Added, NewJob, Selection


class QueueActs(Acting):
    """The part of ``Acts`` that acts on more than given jobs."""

    def select_clean(
        self, queue: str, state: State, grace_ms: int, limit: int | None = None
    ) -> Selection:
        """How many jobs a clean would remove now, and the time that limits it, for ``sweep``.

        ``limit``: at most that many; the selection then lists them.
        """
        return self.check("clean").select_clean(queue, state, grace_ms, self.org, limit)

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
        self.check(act)
        where = "force" if force else ""
        if act == "clean":
            check_cleanable(state)
            where = f"status={state} older={grace_ms}ms" + (f" limit={limit}" if limit else "")
        with self.recorded(act, queue, where=where) as record:
            entry = record.packed
            if act == "clean":
                steps = self._writer.clean_steps(
                    queue,
                    state,
                    grace_ms,
                    self.org,
                    limit,
                    selection.at,
                    jobs=selection.jobs,
                    entry=entry,
                )
            elif act == "drain":
                steps = self._writer.drain_steps(queue, as_of=selection.at, entry=entry)
            else:
                steps = self._writer.obliterate_steps(
                    queue, force=force, as_of=selection.at, entry=entry
                )
            yield from self._sweep(Progress(act, queue, selection.count), steps, stop)

    def _sweep(
        self, progress: Progress, steps: Iterator[int], stop: Callable[[], bool]
    ) -> Iterator[Progress]:
        for removed in steps:
            progress.done += removed
            yield progress
            if stop():
                progress.cancelled = True
                break
        if not progress.cancelled:
            self._report_rest(progress)
        if progress.done:
            self._removed(progress.queue)
        yield progress

    def _report_rest(self, progress: Progress) -> None:
        """Records why the queue is not empty, or why fewer jobs were removed than expected."""
        left = max(0, progress.total - progress.done)
        if left:
            progress.refused["moved on, or taken by others"] += left
        if progress.act != "clean":
            now = self._reader.stats([progress.queue], minutes=0)[0]
            progress.later = jobs_left(progress.act, now)

    def pause(self, queue: str, on: bool, *, since: int | None = None) -> str:
        """Pauses or resumes a queue; returns a sentence about it.

        ``since``: resumes only the pause that began then (Redis ms). Raises WrongState.
        """
        with self.recorded("pause" if on else "resume", queue) as record:
            if on:
                changed = self._writer.pause(queue, entry=record.packed)
            else:
                changed = self._writer.resume(queue, since=since, entry=record.packed)
        state = "paused: running jobs finish, no new ones begin" if on else "resumed"
        return (
            f"{queue} is {state}" if changed else f"{queue} was {state.partition(':')[0]} already"
        )

    def add(self, info: QueueInfo, new: NewJob, *, quota: bool = False) -> Added:
        """Adds a checked job that a person wrote. Raises Forbidden, or BacklogFull.

        ``quota``: the organization's quota applies to operators, too.
        """
        self.actor.need(info.enqueue if info.enqueue in ROLES else "operator")
        if self.actor.role == "operator" and not quota:
            new = new._replace(tenant_backlog=0)
        with self.recorded("enqueue", info.name) as record:
            return self._writer.add_by_hand(info.name, new, entry=record.packed)

    def supersede(self, info: QueueInfo, new: NewJob, job_id: str, seen: str = "") -> Added:
        """Adds an edited copy of a failed job, which is marked as superseded by it, both at once.

        ``seen``: only if the failed job still has that version. A superseded job is not retried while the
        copy exists. Raises Forbidden, BacklogFull, JobNotFound, JobActive, WrongState.
        """
        self.actor.need(info.enqueue if info.enqueue in ROLES else "operator")
        if self.actor.role == "operator":
            new = new._replace(tenant_backlog=0)
        with self.recorded("supersede", info.name, where=f"job={job_id}") as record:
            return self._writer.add_instead(
                info.name, new, (job_id, seen), self.org, entry=record.packed
            )

    def run_schedule(self, info: QueueInfo, schedule: ScheduleInfo, *, last: str = "") -> Added:
        """Adds an extra run of a schedule, outside its slots.

        ``last``: the id of its last run as the user saw it, ``-`` for none, '' for any. Raises
        WrongState if it ran since.
        """
        with self.recorded("run", info.name, where=f"schedule={schedule.name}") as record:
            return schedules.run(self._writer, info, schedule, last=last, entry=record.packed)

    def circuit(self, name: str, act: str, *, since: int | None = None) -> None:
        """Opens or closes a circuit manually. Raises UnknownCircuit.

        ``since``: since when it is in the state that the user saw (Redis ms). Raises WrongState.
        """
        circuits, owner = Circuits(self.redis, self.prefix), organization_of_circuit(name)
        with self.recorded(
            f"circuit {act}", None, where=f"circuit={name}", organization_id=owner
        ) as record:
            if act == "open":
                circuits.open(name, since=since, entry=record.packed)
            else:
                circuits.close(name, since=since, entry=record.packed)
