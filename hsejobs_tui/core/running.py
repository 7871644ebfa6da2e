"""The running jobs of all queues, the oldest first, with the consumer that reports each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.model import JobRecord
from hsejobs.store.keys import DEAD_MS
from hsejobs.store.read_live import Snapshot
from hsejobs_tui.core.source import LiveSource

#: Running jobs read of each queue.
READ = 100


@dataclass(frozen=True, slots=True)
class Running:
    """A running job. Times in ms; ``worker``: the consumer that reports it, None if none does.

    ``stalled``: since when its lease is over, None while it is renewed.
    """

    job: JobRecord
    ran: int
    stalled: int | None
    worker: Mapping[str, Any] | None
    slot: int = 0

    @property
    def alone(self) -> bool:
        """Whether no consumer reports it although each has sent a heartbeat since it began."""
        return self.worker is None and self.ran > DEAD_MS


def read(source: LiveSource, seen: Snapshot) -> list[Running]:
    """The running jobs: stalled ones first, then the oldest. Takes one pipeline; raises RedisUnavailable.

    Of a queue that runs more than ``READ`` jobs, those that its consumers have run for longest.
    """
    places = {
        (queue, slot["job"]): (worker, at)
        for queue, workers in seen.workers.items()
        for worker in workers
        for at, slot in enumerate(worker.get("slots") or (), 1)
        if slot
    }
    wanted = {
        one.name: _oldest(seen.workers.get(one.name, ())) if one.active > READ else []
        for one in seen.queues
        if one.active
    }
    found = []
    for job, lease in source.running(wanted, READ):
        worker, slot = places.get((job.queue, job.id), (None, 0))
        began = job.processed_at or job.created_at
        over = seen.now - lease if lease is not None and lease < seen.now else None
        found.append(Running(job, max(0, seen.now - began), over, worker, slot))
    return sorted(found, key=lambda one: (one.stalled is None, -one.ran, one.job.id))


def _oldest(workers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of the jobs that the consumers of a queue have run for longest."""
    slots = [slot for worker in workers for slot in worker.get("slots") or () if slot]
    slots.sort(key=lambda slot: -int(slot.get("runningFor") or 0))
    return [str(slot["job"]) for slot in slots[:READ]]


@dataclass(frozen=True, slots=True)
class Busy:
    """How many jobs run, by what is listed: in all, and by consumer. Stalled jobs run nowhere.

    ``None``: more jobs run than are listed; then the heartbeats tell, as it was some seconds ago.
    """

    jobs: int
    consumers: Mapping[str, int | None]


def busy(seen: Snapshot, found: Sequence[Running]) -> Busy:
    """Counts the running jobs of a list, so that what is said above it and below it is what it shows."""
    active = {one.name: one.active for one in seen.queues}
    runs = [one for one in found if one.stalled is None]
    jobs = 0
    consumers: dict[str, int | None] = {}
    for queue in active.keys() | seen.workers.keys():
        own = [one for one in runs if one.job.queue == queue]
        listed = active.get(queue, 0) <= READ
        jobs += len(own) if listed else max(len(own), active[queue])
        workers = seen.workers.get(queue, ())
        for worker in workers:
            # A job that no heartbeat names yet has just begun: in the only consumer, if there is one.
            mine = (
                one.worker["id"] == worker["id"] if one.worker else len(workers) == 1 for one in own
            )
            consumers[worker["id"]] = sum(mine) if listed else None
    return Busy(jobs, consumers)


def worker_order(worker: Mapping[str, Any]) -> tuple[Any, ...]:
    """Sorts consumers, those in trouble first: silent, with hung threads, then by queue.

    How many slots are busy changes with each job.
    """
    silent = worker.get("heartbeatAge", 0) > DEAD_MS
    return not silent, -int(worker.get("hung") or 0), str(worker.get("queue")), worker["id"]
