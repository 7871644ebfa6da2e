"""The progress of an action on many jobs: what was done, what was left alone and why, what can be undone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hsejobs.control.act_table import ACTS
from hsejobs.errors import JobsError, RedisFull, RedisRefused, RedisUnavailable
from hsejobs.model import STATE_OF_LETTER
from hsejobs.store.read import QueueStats
from hsejobs.store.write import RefusedJob, Removed

#: Limits within which a removal can be undone.
UNDO_SECONDS, UNDO_JOBS, UNDO_BYTES = 60.0, 20_000, 64_000_000
#: Jobs and bytes that are restored in one round trip.
BACK_JOBS, BACK_BYTES = 100, 2_000_000

#: What was done, by the act.
PAST = {name: one.past for name, one in ACTS.items()}

Clock = Callable[[], float]


@dataclass(slots=True)
class Progress:
    """The progress of an action on many jobs and, at its end, its report."""

    act: str
    queue: str
    total: int
    done: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    #: The refused jobs one by one; ``refused`` counts them by reason.
    refusals: list[RefusedJob] = field(default_factory=list)
    cancelled: bool = False
    undoable: bool = False
    #: Jobs that were added after the user's decision and are left alone.
    later: int = 0
    #: What ended the action early, and the number of jobs in the step without a reply.
    error: JobsError | None = None
    unsure: int = 0

    @property
    def seen(self) -> int:
        """The number of jobs tried."""
        return self.done + self.refused.total()

    def step(self, count: int, refused: Sequence[RefusedJob]) -> None:
        """Counts a step of ``count`` jobs."""
        self.done += count - len(refused)
        self.refusals += refused
        self.refused.update(map(why, refused))

    def report(self, then: str = "") -> str:
        """A sentence: what was done, what was refused and why. ``then``: what ended the action early."""
        words = [f"{PAST[self.act]} {self.done:,} of {self.total:,}"]
        words += [f"{count:,} left: {reason}" for reason, count in self.refused.most_common(5)]
        if self.later:
            words.append(f"{self.later:,} came later and stay")
        if self.cancelled:
            words.append(f"cancelled with {self.total - self.seen:,} not tried")
        if self.undoable:
            undoes = "undoes it" if self.act == "retry" else "restores them"
            words.append(f"u {undoes} for {UNDO_SECONDS:.0f} s")
        if then:
            words.append(f"then: {then}")
        if self.unsure:
            words.append(f"no answer for {self.unsure:,}: look at them again")
        left = self.total - self.seen - self.unsure
        if self.error is not None and left:
            words.append(f"{left:,} not tried")
        return "; ".join(words)


def why(refusal: RefusedJob) -> str:
    """Why a job was refused, in words."""
    if refusal.found == "missing":
        return "gone"
    if refusal.found == "exists":
        return "the id is in use again"
    if refusal.found == "changed":
        return "changed since they were looked at"
    if refusal.found == "superseded":
        return "superseded by an edited copy"
    if refusal.found == "forbidden":
        return "added by another user"
    if refusal.found == "again":
        return "cancelled already"
    return f"moved to {STATE_OF_LETTER.get(refusal.found, refusal.found)}"


def unanswered(error: JobsError) -> bool:
    """Whether Redis may have executed the call in spite of the error."""
    return isinstance(error, RedisUnavailable) and not isinstance(error, RedisFull | RedisRefused)


def explain(error: BaseException) -> str:
    """An error as one sentence: our errors with text and code, others only by their type."""
    if isinstance(error, JobsError):
        return f"{error} ({error.code})"
    return f"unexpected {type(error).__name__}; please report it"


@dataclass(slots=True)
class Removal:
    """Copies of the jobs that one action removed, in this process's memory only."""

    until: float = 0.0
    jobs: list[Removed] = field(default_factory=list)
    bytes: int = 0

    def keep(self, removed: Sequence[Removed]) -> None:
        """Keeps copies up to the limits."""
        for one in removed:
            weight = _weight(one)
            if len(self.jobs) >= UNDO_JOBS or self.bytes + weight > UNDO_BYTES:
                return
            self.jobs.append(one)
            self.bytes += weight

    def step(self) -> list[Removed]:
        """The last jobs, as many as one round trip restores."""
        step: list[Removed] = []
        size = 0
        for one in reversed(self.jobs):
            size += _weight(one)
            if step and (len(step) == BACK_JOBS or size > BACK_BYTES):
                break
            step.append(one)
        return step

    def restored(self, count: int) -> None:
        """Drops the last ``count`` jobs: they are restored, or cannot be."""
        for one in self.jobs[-count:]:
            self.bytes -= _weight(one)
        del self.jobs[-count:]


@dataclass(frozen=True, slots=True)
class Retried:
    """The ids of the jobs that one action retried: those that have not begun can be cancelled."""

    queue: str
    jobs: tuple[str, ...]
    until: float


class Removals:
    """The removals that can be undone, the newest last; and the latest retry of many jobs."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._kept: list[Removal] = []
        self._retried: Retried | None = None

    def retry(self, queue: str, jobs: Sequence[str]) -> None:
        """Keeps which jobs were retried."""
        self._retried = Retried(queue, tuple(jobs), self._clock() + UNDO_SECONDS)

    def retried(self) -> tuple[Retried | None, float]:
        """The retry that the next undo is about, and for how many more seconds.

        None if a removal is newer.
        """
        last, (removal, _) = self._retried, self.newest()
        left = last.until - self._clock() if last is not None else 0.0
        if last is None or left <= 0 or (removal is not None and removal.until > last.until):
            return None, 0.0
        return last, left

    def drop_retry(self) -> None:
        """Drops the retry: it was undone."""
        self._retried = None

    def add(self, removal: Removal) -> None:
        """Adds a removal that can be undone from now on."""
        self.renew(removal)
        self._kept.append(removal)

    def renew(self, removal: Removal) -> None:
        """Extends by a minute the time in which a removal can be undone."""
        removal.until = self._clock() + UNDO_SECONDS

    def drop(self, removal: Removal) -> None:
        """Drops a removal that was undone."""
        self._kept.remove(removal)

    def newest(self) -> tuple[Removal | None, float]:
        """The removal that the next undo restores, and for how many more seconds it can."""
        now = self._clock()
        self._kept = [one for one in self._kept if one.until > now]
        return (self._kept[-1], self._kept[-1].until - now) if self._kept else (None, 0.0)


def _weight(removed: Removed) -> int:
    return sum(
        sum(len(part) for part in value if isinstance(part, bytes))
        if isinstance(value, list)
        else len(value)
        for value in removed.copy
        if isinstance(value, bytes | list)
    )


def jobs_left(act: str, now: QueueStats) -> int:
    """How many jobs a drain or an obliteration would remove."""
    left = now.waiting + now.delayed
    return left if act == "drain" else left + now.active + now.completed + now.failed
