"""Where workers, the maintenance thread and their consumer meet: what each may ask of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from hsejobs.engine.outage import Outage
from hsejobs.engine.queue import Queue
from hsejobs.engine.slots import Running, Slot
from hsejobs.store.work import Claim


class StopFlag(Protocol):
    """Set once, when nothing more is to be claimed."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool: ...


class WorkerHost(Protocol):
    """The consumer, as a worker sees it."""

    queue: Queue
    #: Huey's own worker looks into it for start-up hooks; ours calls its ``execute``.
    huey: Any
    worker_id: str
    #: The consumer's own process.
    pid: int
    outage: Outage
    stop_flag: StopFlag
    #: After so many jobs a worker is replaced; None: never.
    max_tasks: int | None

    def poke(self) -> None:
        """A worker began to claim ahead: its slot is to be looked at often."""

    def is_late(self, claim: Claim) -> bool:
        """Whether an interrupted job was interrupted for its deadline, not for a shutdown."""


class MaintenanceHost(Protocol):
    """The consumer, as its maintenance thread sees it."""

    queue: Queue
    worker_id: str
    outage: Outage
    #: Whether this consumer runs schedules.
    periodic: bool
    #: How many workers there are.
    workers: int
    #: Milliseconds since the epoch.
    started_at: int

    @property
    def forking(self) -> bool:
        """Whether the workers are processes."""

    @property
    def hung(self) -> int:
        """Threads that do not end, though their job was failed some time ago."""

    def slots(self) -> Sequence[Slot]:
        """The slots of the workers that are at work."""

    def mind(self) -> None:
        """Sees to deadlines and dead workers, while this thread waits for a reply of Redis."""

    def deadline_passed(self, slot: Slot, running: Running, now: float) -> None:
        """Ends what runs in a slot past its deadline; ``now`` by the monotonic clock."""
