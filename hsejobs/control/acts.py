"""The acts on jobs and queues, for every interface: checked, done in steps, recorded in the audit log.

Which acts there are, and who may do them, says ``act_table.py``. The scripts of an act write its entry in
the audit log.

An action applies only to what the user decided on: jobs in the version that they saw, or jobs that
existed at a given time. Later or changed jobs are left alone and reported. Every method blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hsejobs.control.act_table import ACTS
from hsejobs.control.acting import Hooks
from hsejobs.control.progress import (
    PAST,
    UNDO_JOBS,
    UNDO_SECONDS,
    Progress,
    Removal,
    Removals,
    Retried,
    explain,
    unanswered,
)
from hsejobs.control.queue_acts import QueueActs
from hsejobs.errors import JobsError, Refused
from hsejobs.model import State, check_reason
from hsejobs.store.write import REMOVED_AT_ONCE, Cancel, JobWriter, RefusedJob, Seen

__all__ = ["ACTS", "PAST", "UNDO_JOBS", "UNDO_SECONDS", "Acts", "Hooks", "Progress", "explain"]

#: Jobs in one step of an action on many jobs: a cancellation waits for the current step.
STEP = 500
#: The state that a job must be in for an action.
FROM = {"retry": State.FAILED, "promote": State.DELAYED}


def _states(jobs: Sequence[Seen]) -> str:
    """The states of the jobs as they were seen, such as ``status=waiting,delayed``."""
    letters = {version[:1] for _, version in jobs}
    states = ",".join(state.value for state in State if state.letter in letters)
    return f"status={states}" if states else ""


class Acts(QueueActs):
    """The actions of one actor. With ``undo``, copies of removed jobs are kept in memory for a minute."""

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
        where: str | None = None,
    ) -> Iterator[Progress]:
        """Retries, removes, promotes or cancels these jobs in steps; yields the same Progress each time.

        A job that has changed since it was seen is left alone and reported. An error that ends the
        action is reported too, because earlier steps are done and can be undone.
        ``where``: the filter that found the jobs, '' for all; the audit log has it, and the states that
        they were in. None: they were chosen one by one.
        """
        self.check(act)
        cancel = None
        if act == "cancel":
            cancel = Cancel(self.actor.who, check_reason(reason), self.actor.owner)
        why = cancel.reason if cancel else None
        found_by = "" if where is None else f"{_states(jobs)} {where}".strip()
        with self.recorded(act, queue, where=found_by, reason=why) as record:
            yield from self._many(act, queue, jobs, stop, cancel, record.packed)

    def _many(
        self,
        act: str,
        queue: str,
        jobs: Sequence[Seen],
        stop: Callable[[], bool],
        cancel: Cancel | None,
        entry: str,
    ) -> Iterator[Progress]:
        progress = Progress(act, queue, len(jobs))
        removal = Removal()
        # One call per step: an error in a later call would lose what the earlier calls returned.
        size = REMOVED_AT_ONCE if act == "remove" else STEP
        try:
            # An act on no job has one step, too, which writes its entry.
            for at in range(0, max(1, len(jobs)), size):
                if stop():
                    progress.cancelled = True
                    break
                chunk = jobs[at : at + size]
                try:
                    refused = self._step(act, queue, chunk, removal, cancel, entry)
                except JobsError as error:
                    progress.unsure = len(chunk) if unanswered(error) else 0
                    if len(jobs) <= 1 or not (progress.seen or progress.unsure):
                        raise
                    progress.error = error
                    break
                progress.step(len(chunk), refused)
                progress.undoable = bool(removal.jobs)
                yield progress
        finally:
            if removal.jobs and self._removals is not None:
                self._removals.add(removal)
            if act == "retry" and progress.done > 1 and self._removals is not None:
                left = {one.id for one in progress.refusals}
                # Those without a reply may have been retried: the undo looks at what became of each.
                tried = jobs[: progress.seen + progress.unsure]
                self._removals.retry(queue, [one for one, _ in tried if one not in left])
                progress.undoable = True
        if act == "remove" and progress.done:
            self._removed(queue, jobs[0][0] if len(jobs) == 1 else None)
        yield progress

    def _step(
        self,
        act: str,
        queue: str,
        jobs: Sequence[Seen],
        removal: Removal,
        cancel: Cancel | None,
        entry: str,
    ) -> list[RefusedJob]:
        writer = self._writer
        if cancel is not None:
            return writer.cancel_many(queue, jobs, cancel, self.org, entry=entry)
        if act == "remove":
            removed, refused = writer.remove_many(queue, jobs, self.org, entry=entry)
            if self._removals is not None:
                removal.keep(removed)
            return refused
        return self._move(writer, act)(queue, jobs, self.org, entry=entry)

    @staticmethod
    def _move(writer: JobWriter, act: str) -> Callable[..., list[RefusedJob]]:
        return {"retry": writer.retry_many, "promote": writer.promote_many}[act]

    def every(
        self,
        act: str,
        queue: str,
        stop: Callable[[], bool] = lambda: False,
        *,
        as_of: int | None = None,
    ) -> Iterator[Progress]:
        """Retries all failed jobs, or promotes all delayed ones, in steps.

        Jobs that enter the state after ``as_of``, in ms of Redis' time (None: now), are left alone.
        Yields the same Progress each time.
        """
        self.check(act)
        # The list may grow while it is read, so that its end alone is no bound.
        now = self._reader.now(queue)
        as_of = now if as_of is None else min(as_of, now)
        with self.recorded(act, queue, where=f"status={FROM[act]}") as record:
            yield from self._every(act, queue, stop, as_of, record.packed)

    def _every(
        self, act: str, queue: str, stop: Callable[[], bool], as_of: int, entry: str
    ) -> Iterator[Progress]:
        progress, move = Progress(act, queue, 0), self._move(self._writer, act)
        for page in self._reader.walk(queue, FROM[act], self.org, payload_bytes=0, errors=1):
            jobs = [
                (job.id, job.version)
                for job in page
                if (job.finished_at or job.created_at) <= as_of
            ]
            if not jobs:
                continue
            progress.total += len(jobs)
            progress.step(len(jobs), move(queue, jobs, self.org, as_of=as_of, entry=entry))
            yield progress
            if stop():
                progress.cancelled = True
                break
        if not progress.total:
            move(queue, [], self.org, entry=entry)
        yield progress

    def undoable(self) -> tuple[int, float]:
        """How many jobs the next undo is about, and for how many more seconds it can."""
        if self._removals is None:
            return 0, 0.0
        retried, left = self._removals.retried()
        if retried is not None:
            return len(retried.jobs), left
        newest, left = self._removals.newest()
        return (len(newest.jobs), left) if newest else (0, 0.0)

    def retried(self) -> Retried | None:
        """The retry that the next undo is about; None if that is a removal, or nothing."""
        return self._removals.retried()[0] if self._removals else None

    def retry_undone(self) -> None:
        """Forgets the retry that was undone."""
        if self._removals is not None:
            self._removals.drop_retry()

    def undo(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Restores the newest removal in steps; yields the same Progress each time.

        Jobs not tried, or without a reply from Redis, can be restored for another minute: the only
        copies are in this process's memory. Raises Refused when there is nothing to restore.
        """
        self.check("undo")
        removals = self._removals
        last = removals.newest()[0] if removals else None
        if removals is None or last is None:
            seconds = f"{UNDO_SECONDS:.0f} s"
            raise Refused(f"nothing to undo: nothing was removed or retried in the last {seconds}")
        queue = last.jobs[0].queue
        with self.recorded("undo", queue) as record:
            yield from self._undo(removals, last, queue, stop, record.packed)

    def _undo(
        self,
        removals: Removals,
        last: Removal,
        queue: str,
        stop: Callable[[], bool],
        entry: str,
    ) -> Iterator[Progress]:
        progress = Progress("undo", queue, len(last.jobs))
        try:
            while last.jobs:
                if stop():
                    progress.cancelled = True
                    break
                step = last.step()
                removals.renew(last)
                refused = self._writer.restore_many(step, self.org, entry=entry)
                progress.step(len(step), refused)
                last.restored(len(step))
                yield progress
        finally:
            progress.undoable = bool(last.jobs)
            if not last.jobs:
                removals.drop(last)
        yield progress
