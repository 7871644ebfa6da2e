"""Everything the TUI can change: through the store's writes alone, noted in the audit log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hsejobs.control import schedules
from hsejobs.errors import JobsError, RedisFull, RedisRefused, RedisUnavailable, Refused
from hsejobs.model import STATE_OF_LETTER, State
from hsejobs.store.circuits import Circuits
from hsejobs.store.client import Link
from hsejobs.store.read import Reader
from hsejobs.store.registry import QueueInfo, ScheduleInfo
from hsejobs.store.write import (
    REMOVED_AT_ONCE,
    Added,
    Asked,
    NewJob,
    Refusal,
    Removed,
    Seen,
    Writer,
)
from hsejobs_tui.core.audit import Audit
from hsejobs_tui.core.options import Options

#: Jobs in one step of an act on many: what a cancel may still have to wait for.
STEP = 500
#: Seconds, jobs and bytes for which a removal can be undone.
UNDO_SECONDS, UNDO_JOBS, UNDO_BYTES = 60.0, 20_000, 64_000_000
#: Jobs and bytes that are brought back in one round trip.
BACK_JOBS, BACK_BYTES = 100, 2_000_000

Clock = Callable[[], float]


@dataclass(slots=True)
class Progress:
    """How far an act on many is, and at its end its report."""

    act: str
    queue: str
    total: int
    done: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    cancelled: bool = False
    undoable: bool = False
    #: Jobs that came after the question: they stay.
    later: int = 0
    #: What ended it early, and the jobs of the step for which no answer came.
    error: JobsError | None = None
    unsure: int = 0

    @property
    def seen(self) -> int:
        """Jobs that were tried."""
        return self.done + self.refused.total()

    def report(self, then: str = "") -> str:
        """A sentence: what was done, what was refused and why; ``then``: what ended it early."""
        words = [f"{PAST[self.act]} {self.done:,} of {self.total:,}"]
        words += [f"{count:,} left: {reason}" for reason, count in self.refused.most_common(5)]
        if self.later:
            words.append(f"{self.later:,} came later and stay")
        if self.cancelled:
            words.append(f"cancelled with {self.total - self.seen:,} not tried")
        if self.undoable:
            words.append(f"u brings them back for {UNDO_SECONDS:.0f} s")
        if then:
            words.append(f"then: {then}")
        if self.unsure:
            words.append(f"no answer for {self.unsure:,}: look at them again")
        left = self.total - self.seen - self.unsure
        if self.error is not None and left:
            words.append(f"{left:,} not tried")
        return "; ".join(words)


PAST = {"retry": "retried", "remove": "removed", "promote": "promoted", "clean": "removed",
        "drain": "removed", "obliterate": "removed", "undo": "brought back"}  # fmt: skip


@dataclass(slots=True)
class _Undo:
    until: float
    jobs: list[Removed]
    bytes: int


def _weight(removed: Removed) -> int:
    return sum(
        sum(len(part) for part in value if isinstance(part, bytes))
        if isinstance(value, list)
        else len(value)
        for value in removed.copy
        if isinstance(value, bytes | list)
    )


class Acts:
    """All writes. Every method blocks: it is called in a thread. Read-only it has no writer."""

    def __init__(self, options: Options, link: Link, clock: Clock = time.monotonic) -> None:
        self.options = options
        self.org = options.organization_id
        self.link = link
        viewer = options.viewer
        who = f"{viewer.user_id} ({viewer.role}, browser)" if viewer else None
        self.audit = Audit(options.home, options.place, self.org, who)
        self._writer = None if options.read_only else Writer(link, options.prefix)
        self._clock = clock
        self._undo: list[_Undo] = []

    @property
    def writer(self) -> Writer:
        """The store's writes. Raises Refused in a session that is read-only."""
        if self._writer is None:
            raise Refused("this session is read-only")
        return self._writer

    def _queue_wide(self) -> Writer:
        if self.org is not None:
            raise Refused("this act is about every organisation's jobs; this session sees one")
        return self.writer

    def many(
        self, act: str, queue: str, jobs: Sequence[Seen], stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Progress]:
        """Retries, removes or promotes these jobs in steps; yields the same Progress each time.

        A job that is not as it was seen any more stays, and is told in the report; so is an error
        that ends it, as what was done until then is done, and can be undone.
        """
        writer = self.writer
        progress = Progress(act, queue, len(jobs))
        undo = _Undo(0.0, [], 0)
        # A step is one call: of more, an error would take along what the calls before it returned.
        size = REMOVED_AT_ONCE if act == "remove" else STEP
        try:
            for at in range(0, len(jobs), size):
                if stop():
                    progress.cancelled = True
                    break
                chunk = jobs[at : at + size]
                try:
                    refused = self._step(writer, act, queue, chunk, undo)
                except JobsError as error:
                    progress.unsure = len(chunk) if _unanswered(error) else 0
                    if len(jobs) == 1 or not (progress.seen or progress.unsure):
                        raise
                    progress.error = error
                    break
                progress.done += len(chunk) - len(refused)
                progress.refused.update(map(_reason, refused))
                progress.undoable = bool(undo.jobs)
                yield progress
        finally:
            if undo.jobs:
                undo.until = self._clock() + UNDO_SECONDS
                self._undo.append(undo)
            about = {"ids": [job_id for job_id, _ in jobs]} if len(jobs) <= 20 else {}
            self.audit.write(act, queue, done=progress.done, of=progress.total,
                             refused=dict(progress.refused), **about)  # fmt: skip
        yield progress

    def _step(
        self, writer: Writer, act: str, queue: str, jobs: Sequence[Seen], undo: _Undo
    ) -> list[Refusal]:
        if act == "remove":
            removed, refused = writer.remove_many(queue, jobs, self.org)
            self._keep(undo, removed)
            return refused
        if act == "retry":
            return writer.retry_many(queue, jobs, self.org)
        if act == "promote":
            return writer.promote_many(queue, jobs, self.org)
        raise ValueError(act)

    def _keep(self, undo: _Undo, removed: list[Removed]) -> None:
        for one in removed:
            weight = _weight(one)
            if len(undo.jobs) >= UNDO_JOBS or undo.bytes + weight > UNDO_BYTES:
                return
            undo.jobs.append(one)
            undo.bytes += weight

    def undoable(self) -> tuple[int, float]:
        """How many jobs the next undo brings back, and for how many seconds more."""
        now = self._clock()
        self._undo = [one for one in self._undo if one.until > now]
        if not self._undo:
            return 0, 0.0
        return len(self._undo[-1].jobs), self._undo[-1].until - now

    def undo(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Brings the newest removal back in steps; yields the same Progress each time.

        What it did not come to, or Redis gave no answer for, can be brought back for another minute:
        this memory has the only copies. Raises Refused when there is nothing.
        """
        writer = self.writer
        if not self.undoable()[0]:
            raise Refused(f"nothing was removed in the last {UNDO_SECONDS:.0f} s")
        last = self._undo[-1]
        progress = Progress("undo", last.jobs[0].queue, len(last.jobs))
        try:
            while last.jobs:
                if stop():
                    progress.cancelled = True
                    break
                step = _back(last.jobs)
                last.until = self._clock() + UNDO_SECONDS
                refused = writer.restore_many(step, self.org)
                progress.done += len(step) - len(refused)
                progress.refused.update(map(_reason, refused))
                del last.jobs[-len(step) :]
                yield progress
        finally:
            last.bytes = sum(map(_weight, last.jobs))
            progress.undoable = bool(last.jobs)
            if not last.jobs:
                self._undo.remove(last)
            self.audit.write("undo", progress.queue, done=progress.done, of=progress.total,
                             refused=dict(progress.refused))  # fmt: skip
        yield progress

    def ask_clean(self, queue: str, state: State, grace_ms: int) -> Asked:
        """How many jobs a clean would remove now, and the moment to bind it to."""
        return self.writer.ask_clean(queue, state, grace_ms, self.org)

    def sweep(
        self, act: str, queue: str, asked: Asked, stop: Callable[[], bool], *,
        state: State = State.FAILED, grace_ms: int = 0, limit: int | None = None, force: bool = False,
    ) -> Iterator[Progress]:  # fmt: skip
        """Clean, drain or obliterate in steps; yields the same Progress each time.

        What was not there when it was ``asked`` stays, and is told in the report.
        """
        progress = Progress(act, queue, asked.count)
        if act == "clean":
            steps = self.writer.clean_steps(queue, state, grace_ms, self.org, limit, asked.at)
        elif act == "drain":
            steps = self._queue_wide().drain_steps(queue, asked=asked.at)
        else:
            steps = self._queue_wide().obliterate_steps(queue, force=force, asked=asked.at)
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
            self.audit.write(act, queue, done=progress.done, **about)
        yield progress

    def _tell_rest(self, progress: Progress) -> None:
        """Why the queue is not empty, or less was done than asked."""
        left = max(0, progress.total - progress.done)
        if left:
            progress.refused["moved on, or taken by others"] += left
        if progress.act != "clean":
            now = Reader(self.link, self.options.prefix).stats([progress.queue], minutes=0)[0]
            progress.later = now.waiting + now.delayed
            if progress.act == "obliterate":
                progress.later += now.active + now.completed + now.failed

    def pause(self, queue: str, on: bool) -> str:
        """Pauses or resumes; a sentence about it."""
        writer = self._queue_wide()
        changed = writer.pause(queue) if on else writer.resume(queue)
        self.audit.write("pause" if on else "resume", queue, changed=changed)
        state = "paused: running jobs finish, no new ones begin" if on else "resumed"
        return (
            f"{queue} is {state}" if changed else f"{queue} was {state.partition(':')[0]} already"
        )

    def add(self, info: QueueInfo, new: NewJob) -> Added:
        """Adds a job that was checked. Raises Refused where the role may not add to the queue."""
        viewer = self.options.viewer
        if viewer and viewer.role != "operator" and info.enqueue not in ("member", viewer.role):
            raise Refused(f"adding to {info.name} needs the role operator")
        added = self.writer.add(info.name, new)
        self.audit.write("enqueue", info.name, id=added.id, created=added.created)
        return added

    def run_schedule(self, info: QueueInfo, schedule: ScheduleInfo) -> Added:
        """Adds a run of a schedule beside its slots."""
        added = schedules.run(self._queue_wide(), info, schedule)
        self.audit.write("run", info.name, schedule=schedule.name, id=added.id)
        return added

    def circuit(self, name: str, act: str) -> None:
        """Opens or closes a circuit by hand. Raises UnknownCircuit."""
        self._queue_wide()
        circuits = Circuits(self.link, self.options.prefix)
        if act == "open":
            circuits.open(name)
        else:
            circuits.close(name)
        self.audit.write(f"circuit {act}", "", circuit=name)


def _unanswered(error: JobsError) -> bool:
    """Whether Redis may have done it all the same."""
    return isinstance(error, RedisUnavailable) and not isinstance(error, RedisFull | RedisRefused)


def _back(jobs: Sequence[Removed]) -> list[Removed]:
    """The last of them, as many as one round trip brings back."""
    step: list[Removed] = []
    size = 0
    for one in reversed(jobs):
        size += _weight(one)
        if step and (len(step) == BACK_JOBS or size > BACK_BYTES):
            break
        step.append(one)
    return step


def _reason(refusal: Refusal) -> str:
    if refusal.found == "missing":
        return "gone"
    if refusal.found == "exists":
        return "the id is in use again"
    if refusal.found == "changed":
        return "changed since they were looked at"
    return f"moved to {STATE_OF_LETTER.get(refusal.found, refusal.found)}"


def explain(error: BaseException) -> str:
    """An error as one sentence with its code; of ours only the text is told."""
    if isinstance(error, JobsError):
        return f"{error} ({error.code})"
    return f"unexpected {type(error).__name__}; please report it"
