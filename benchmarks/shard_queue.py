"""A trial, not a part of hsejobs: one queue over several bases, each on a Redis of its own.

Worked by ``huey_consumer benchmarks.shard_queue.huey``; filled by `benchmarks.adder`. The bases are
the servers of ``BENCH_REDIS_BASES``. The hash of a job's id names its base; a worker owns one base,
waits at the doorbells of all of them, and works where one rang, until that base is empty.

It is the least that shows rates and costs: what `docs/scaling.md` lists beyond that (pauses, limits,
turns, keys, locks) is missing.
"""

from __future__ import annotations

import os
import select
import time
import zlib
from collections.abc import Sequence
from typing import Any

from benchmarks import subject
from hsejobs.engine import adding, doorbell, maintenance, workers
from hsejobs.engine.worker import JobWorker
from hsejobs.model import LARGEST, new_job_id
from hsejobs.store.arrival import arrived
from hsejobs.store.client import RedisClient
from hsejobs.store.work import Swept, WorkerStore
from hsejobs.store.write import JobWriter

#: A job's id and token.
Pair = tuple[str, str]

BASES = os.environ["BENCH_REDIS_BASES"].split(",")

huey = subject.huey


def _base_of(job_id: str) -> int:
    return zlib.crc32(job_id.encode()) % len(BASES)


class Bell:
    """A base's doorbell, at which one connection waits until `answer` or `leave`."""

    def __init__(self, url: str, store: WorkerStore) -> None:
        self._client, self._store = RedisClient(url, probe_after=doorbell.WAIT * 5), store
        self._of: Any = None
        self._id = 0

    def wait(self) -> Any:
        """Begin to wait; return the connection."""
        connection = self._client.blocking(self._store.bell)
        if connection is not self._of:
            connection.send_command("CLIENT", "ID")
            self._of, self._id = connection, connection.read_response()
        connection.send_command("BLPOP", self._store.bell, f"{doorbell.WAIT:g}")
        return connection

    def leave(self) -> bool:
        """End the wait; return whether the bell rang after all.

        A connection that kept waiting would take a ring while its worker is busy, and the job
        would wait for that worker although others are idle.
        """
        self._store.redis.command("CLIENT", "UNBLOCK", self._id)
        return self._of.read_response() is not None


class EveryBase(WorkerStore):
    """What the maintenance thread calls: the base of each job renews, releases, stalls and sweeps it."""

    def __init__(
        self, client: RedisClient, prefix: str, queue: str, *, patience: float = 0.0
    ) -> None:
        super().__init__(client, prefix, queue, patience=patience)
        self._all = [
            WorkerStore(RedisClient(url), prefix, queue, patience=patience) for url in BASES
        ]

    def _by_base(self, jobs: Sequence[Pair]) -> list[tuple[WorkerStore, list[Pair]]]:
        mine = [[job for job in jobs if _base_of(job[0]) == n] for n in range(len(BASES))]
        return [(store, some) for store, some in zip(self._all, mine, strict=True) if some]

    def renew(self, jobs: Sequence[Pair], lease_ms: int) -> set[Pair]:
        found = [store.renew(some, lease_ms) for store, some in self._by_base(jobs)]
        return set().union(*found)

    def release(self, jobs: Sequence[Pair]) -> int:
        return sum(store.release(some) for store, some in self._by_base(jobs))

    def stall(self, jobs: Sequence[Pair], max_stalls: int) -> list[str]:
        became: dict[Pair, str] = {}
        for store, some in self._by_base(jobs):
            became.update(zip(some, store.stall(some, max_stalls), strict=True))
        return [became[job] for job in jobs]

    def sweep(self, max_stalls: int, *, ended_by: int = LARGEST) -> Swept:
        swept = [store.sweep(max_stalls, ended_by=ended_by) for store in self._all]
        due = [one.next_due for one in swept if one.next_due is not None]
        ends = [one.next_end for one in swept if one.next_end is not None]
        return Swept(
            sum(one.moved for one in swept),
            min(due, default=None),
            [job for one in swept for job in one.stalled],
            swept[0].now,
            [job for one in swept for job in one.cancelled],
            [job for one in swept for job in one.ended],
            min(ends, default=None),
        )


class ShardWorker(JobWorker):
    """The shipped worker, which changes to another base where the shipped one waits for jobs."""

    def initialize(self) -> None:
        super().initialize()
        runtime = self.queue.runtime

        def stores() -> list[WorkerStore]:
            clients = [RedisClient(url) for url in BASES]
            return [WorkerStore(one, runtime.prefix, self.queue.name) for one in clients]

        self.stores, self.lines = stores(), stores()
        self.bells = [Bell(url, store) for url, store in zip(BASES, self.stores, strict=True)]
        self.own = (self.slot.number - 1) % len(BASES)
        self._go_to(self.own)
        self._owed: list[int] = []

    def _wait(self) -> None:
        if not self._owed:
            self._owed = self._ring_of_any()
        self._go_to(self._owed.pop(0) if self._owed else self.own)

    def _go_to(self, place: int) -> None:
        self.work, self.line = self.stores[place], self.lines[place]

    def _ring_of_any(self) -> list[int]:
        """The bases whose bells rang within two seconds, the own one first; all after that time."""
        order = [(self.own + n) % len(BASES) for n in range(len(BASES))]
        waiting = {place: self.bells[place].wait() for place in order}
        poller = select.poll()
        for connection in waiting.values():
            poller.register(connection._sock.fileno(), select.POLLIN)
        poller.register(self.stop_flag._r, select.POLLIN)
        give_up = time.monotonic() + doorbell.WAIT + 1
        rang: list[int] = []
        timed_out = False
        while not rang and not timed_out and time.monotonic() < give_up:
            poller.poll((give_up - time.monotonic()) * 1000)
            if self.stop_flag.is_set():
                for connection in waiting.values():
                    connection.disconnect()
                return []
            for place, connection in list(waiting.items()):
                if arrived(connection):
                    del waiting[place]
                    if connection.read_response() is None:
                        timed_out = True
                    else:
                        rang.append(place)
        rang += [place for place in waiting if self.bells[place].leave()]
        return rang or order


# A trial: no seam is made for it.
setattr(workers, "JobWorker", ShardWorker)  # noqa: B010
setattr(maintenance, "WorkerStore", EveryBase)  # noqa: B010

_writers = [JobWriter(RedisClient(url), huey.runtime.prefix) for url in BASES]


def add(
    task: str, payload: dict[str, Any], organization: str | None, delay: float | None = None
) -> None:
    if delay is not None:
        raise ValueError("only jobs without a delay are a part of the trial")
    job_id = new_job_id()
    (job,) = adding.new_jobs(
        subject.TASKS[task], [payload], ids=[job_id], organization_id=organization
    )
    _writers[_base_of(job_id)].add_each(huey.name, [job])


def add_many(task: str, payloads: list[dict[str, Any]], organization: str | None) -> None:
    ids = [new_job_id() for _ in payloads]
    jobs = adding.new_jobs(subject.TASKS[task], payloads, ids=ids, organization_id=organization)
    for place, writer in enumerate(_writers):
        mine = [job for job in jobs if _base_of(job.id) == place]
        if mine:
            writer.add_each(huey.name, mine)
