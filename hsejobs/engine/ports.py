"""The consumer's interfaces for its workers and its maintenance thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from hsejobs.engine.outage import Outage
from hsejobs.engine.queue import Queue
from hsejobs.engine.slots import Running, Slot


class StopFlag(Protocol):
    """Set once, when workers must not claim any more jobs."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool: ...


class WorkerHost(Protocol):
    """The consumer, as a worker sees it."""

    queue: Queue
    #: The Huey object: Huey's worker runs its startup hooks; ours calls its ``execute``.
    huey: Any
    worker_id: str
    #: The consumer's process id.
    pid: int
    outage: Outage
    stop_flag: StopFlag
    #: Number of jobs after which a worker is replaced; None: never.
    max_tasks: int | None
    #: The MB of memory beyond which a worker process is replaced; 0: never.
    max_rss: int

    def wake_maintenance(self) -> None:
        """Wakes the maintenance thread: the worker has begun to claim jobs in batches."""


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
    #: What an operator asked for: ``quiet``, ``restart`` or '' for nothing.
    order: str

    @property
    def forking(self) -> bool:
        """Whether the workers are processes."""

    @property
    def hung(self) -> int:
        """How many threads still run although their job was failed some time ago."""

    def obey(self, order: str) -> bool:
        """Follows what an operator asked for, '' for nothing; returns whether that changed anything."""

    def slots(self) -> Sequence[Slot]:
        """The slots of the current workers."""

    def supervise(self) -> None:
        """Enforces deadlines and replaces dead workers; called while this thread waits for Redis."""

    def cancel_requested(self, slot: Slot, running: Running, now: float) -> None:
        """Ends the job in a slot that is cancelled; ``now`` is by the monotonic clock."""

    def lease_lost(self, slot: Slot, running: Running, now: float) -> None:
        """Ends the job in a slot that another worker may have by now; ``now`` as above."""

    def deadline_passed(self, slot: Slot, running: Running, now: float) -> None:
        """Ends the job in a slot that is past its deadline; ``now`` is by the monotonic clock."""
