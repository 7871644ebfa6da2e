"""A job under which workers have died runs alone in its consumer, so that it takes no other with it.

It is a suspect from its second stall on. The worker that has claimed it waits; the maintenance thread
meanwhile holds all other workers, until nothing else runs, and then lets it begin.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hsejobs.engine.slots import Slot
from hsejobs.store.work import Claim, WorkerStore

#: The number of stalls that make a job a suspect, unless QUEUE_MAX_STALLS is less.
STALLS = 2
#: The part of the time since a suspect first waited for which it may hold the other workers at once;
#: a third of a lease at least.
PART = 0.25
#: Seconds between two looks at whether a worker may go on.
POLL = 0.1


class Waiting(Protocol):
    """A worker, as far as a suspect needs it."""

    slot: Slot
    work: WorkerStore
    #: Milliseconds.
    lease: int
    stop_flag: Any

    def retry(self, act: Callable[[], Any]) -> Any:
        """Calls *act* until Redis replies; None if it does not."""

    def postponed(self, claim: Claim, delay: int, why: str) -> None:
        """Postpones a claimed job that was not started; ``delay`` is in ms."""


def suspected_from(max_stalls: int) -> int:
    """The number of stalls from which on a job may run only alone."""
    return max(1, min(STALLS, max_stalls))


def wait(worker: Waiting, claim: Claim) -> Claim | None:
    """Waits until the suspect in the worker's slot may run, and begins it.

    None if it does not run here: it was taken back, its lease is lost, or it has waited long enough
    and was postponed, so that jobs which take long do not keep the other workers idle.
    """
    slot, work = worker.slot, worker.work
    since = worker.retry(lambda: work.alone(claim.id, claim.token, begins=False))
    if since is None:
        slot.load(())
        return None
    patience = max(worker.lease / 3000, since / 1000 * PART)
    give_up = time.monotonic() + patience
    while slot.left and not worker.stop_flag.wait(POLL):
        if slot.alone:
            if worker.retry(lambda: work.alone(claim.id, claim.token, begins=True)) is None:
                slot.load(())
            return slot.begin(time.monotonic())
        if time.monotonic() >= give_up and slot.left:
            why = (
                f"its worker died {claim.stalls} times, so it runs alone, and other jobs of this"
                f" consumer ran for longer than the {patience:.0f} s that it waited"
            )
            worker.postponed(claim, int(max(worker.lease, patience * 1000)), why)
            slot.load(())
    return None


class Host(Protocol):
    """The consumer, as far as this needs it."""

    def slots(self) -> Sequence[Slot]:
        """The slots of the current workers."""

    def settle_all(self, slots: Sequence[Slot]) -> bool:
        """Releases what these have not started; whether nothing runs in them, and all is written."""


class Isolation:
    """Holds a consumer's workers while a suspect waits or runs, or before the consumer restarts."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._chosen: Slot | None = None
        #: Whether all workers are to be held, because the consumer is about to restart.
        self.draining = False
        self.holding = False

    def check(self) -> bool:
        """Holds the workers, lets a suspect begin, lets the workers go on; calls no Redis.

        Returns whether the consumer has drained.
        """
        slots = self._host.slots()
        chosen = self._choose(slots)
        holding = self.draining or chosen is not None
        if not holding and not self.holding:
            return False
        self.holding = holding
        others = [slot for slot in slots if slot is not chosen]
        for slot in slots:
            held = holding and slot is not chosen
            if slot.held != held:
                slot.hold(held=held)
        if not holding or not self._host.settle_all(others):
            return False
        if chosen is not None and not chosen.alone:
            chosen.let_alone()
        return chosen is None

    def _choose(self, slots: Sequence[Slot]) -> Slot | None:
        """The slot whose suspect may run next, or runs; the others go back to the queue meanwhile."""
        chosen = self._chosen
        waits = [slot for slot in slots if slot.suspect and not slot.abandoned]
        if chosen not in waits:
            chosen = next(iter(waits), None)
        if self.draining and chosen is not None and not chosen.alone:
            chosen = None
        self._chosen = chosen
        return chosen
