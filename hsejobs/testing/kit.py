"""Run an application's jobs in a test: in this thread, in memory, with a clock that the test moves."""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from hsejobs import forks
from hsejobs.engine import runtime as runtimes
from hsejobs.engine.huey import LOADED, JobHuey
from hsejobs.engine.outage import Outage
from hsejobs.engine.periodic import Scheduler
from hsejobs.engine.ports import StopFlag
from hsejobs.engine.queue import Queue
from hsejobs.engine.slots import Slot
from hsejobs.engine.worker import JobWorker
from hsejobs.errors import JobsError
from hsejobs.handle import Job
from hsejobs.model import JobRecord, State, iso_time
from hsejobs.settings import Settings, load_settings
from hsejobs.store.read import JobReader
from hsejobs.store.write import Added, JobWriter
from hsejobs.testing.memory import MemoryClient
from hsejobs.testing.records import raw

#: Jobs that one `run` executes at most: a job that adds itself again would never end.
MOST = 10_000
_MINUTE_US = 60_000_000


class _NeverStops:
    """The stop flag of a worker that ends when there is nothing left to do."""

    def is_set(self) -> bool:
        return False

    def wait(self, _timeout: float) -> bool:
        return False


class _Host:
    """What a worker needs of its consumer."""

    max_tasks: int | None = None
    max_rss = 0
    worker_id = "test"

    def __init__(self, queue: JobHuey) -> None:
        self.queue: Queue = queue
        self.huey: Any = queue
        self.pid = os.getpid()
        self.outage = Outage(queue.name)
        self.stop_flag: StopFlag = _NeverStops()

    def wake_maintenance(self) -> None:
        """No other thread has a part in it."""


class _Worker(JobWorker):
    """The consumer's worker, which takes one job at a time and does not wait for more."""

    def __init__(self, queue: JobHuey) -> None:
        super().__init__(_Host(queue), Slot(1, forks.lock()))
        self.idle = False
        self.initialize()
        # One store has no connections that could meet.
        self.line = self.work

    def _wait(self) -> None:
        self.idle = True

    def run_one(self) -> bool:
        """Runs the next job and writes its outcome; False if none waits."""
        self.idle, before = False, self.task_count
        while not self.idle:
            # Claimed alone: a job may add others that come before those that wait.
            self.pace = type(self.pace)()
            self.loop()
            if self.task_count > before:
                self.shutdown_batch()
                return True
        return False


class _Reader(JobReader):
    """Runs what waits when a program waits for a job; handles show each state as it is now."""

    def __init__(self, client: MemoryClient, prefix: str, kit: TestJobs) -> None:
        super().__init__(client, prefix)
        self._kit = kit

    def shown(self, queue: str, job_id: str, _seen: State) -> State:
        return super().status(queue, job_id) or _seen

    def status(self, queue: str, job_id: str) -> State | None:
        state = super().status(queue, job_id)
        if state in (State.WAITING, State.DELAYED) and not self._kit.running:
            self._kit.run()
            state = super().status(queue, job_id)
            if state is State.DELAYED:
                job = self.job(queue, job_id)
                why = f" after {job.errors[-1].get('error')!r}" if job.errors else ""
                until = iso_time(job.run_at)
                raise JobsError(
                    f"job {job_id!r} is delayed until {until}{why}: call jobs.advance()"
                )
            if state is State.WAITING:
                raise JobsError(f"job {job_id!r} waits, and its queue {queue} does not run here")
        return state


class _Runtime(runtimes.Runtime):
    """The process's runtime, with the store in memory."""

    has_consumers = False

    def __init__(self, settings: Settings, kit: TestJobs) -> None:
        super().__init__(settings)
        self.__dict__["redis"] = kit.memory
        self.__dict__["writer"] = JobWriter(kit.memory, self.prefix)
        self.__dict__["reader"] = _Reader(kit.memory, self.prefix, kit)


class TestJobs:
    """The jobs of a test; `testing` makes it."""

    __test__ = False  # not a class of tests, whatever its name

    def __init__(self, queues: Sequence[JobHuey], now: datetime.datetime) -> None:
        self._given = {queue.name: queue for queue in queues}
        self._now_us = int(now.timestamp() * 1_000_000)
        self.memory = MemoryClient(lambda: self._now_us)
        self._workers: dict[str, _Worker] = {}
        self._schedulers: dict[str, Scheduler] = {}
        #: Whether a job runs: one that waits for another cannot run it.
        self.running = False

    @property
    def _queues(self) -> dict[str, JobHuey]:
        return self._given or {queue.name: queue for queue in list(LOADED.values())}

    @property
    def now(self) -> datetime.datetime:
        """The time of the test, in UTC: it goes on only by `advance`."""
        return datetime.datetime.fromtimestamp(self._now_us / 1_000_000, datetime.UTC)

    def added(self, queue: str | None = None, name: str | None = None) -> list[Job[Any]]:
        """The jobs of a queue (None: of all) in the order in which they were added.

        ``name``: only those of this task, its full or short name. Jobs that were removed are not among them.
        """
        found = []
        for one in self._chosen(queue):
            for job in list(self.memory.queues[one.base].jobs.values()):
                full = (job.get("n") or b"").decode()
                if name in (None, full, full.rpartition(".")[2]):
                    reply = Added(job.id, True, State.of_letter(job.state))
                    found.append((job.added, Job[Any](one.runtime.reader, one.name, reply)))
        return [job for _, job in sorted(found, key=lambda pair: pair[0])]

    def records(self, queue: str | None = None, name: str | None = None) -> list[JobRecord]:
        """As `added`, but the complete records: data, state, result, errors."""
        return [job.refresh() for job in self.added(queue, name)]

    def run(self, queue: str | None = None) -> int:
        """Runs the jobs of a queue (None: of all) that can run now, and those that they add.

        In the order in which a consumer with one worker would. Returns how many runs there were; a job
        that failed counts too: see its record. Raises JobsError after 10,000 runs.
        """
        if self.running:
            raise JobsError("a task cannot run other jobs: call jobs.run() in the test")
        self.running, total = True, 0
        try:
            while ran := sum(self._run_all(one) for one in self._chosen(queue)):
                total += ran
                if total > MOST:
                    raise JobsError(f"more than {MOST:,} runs: a job adds another one forever")
        finally:
            self.running = False
        return total

    def _run_all(self, queue: JobHuey) -> int:
        worker = self._workers.get(queue.name)
        if worker is None:
            worker = self._workers[queue.name] = _Worker(queue)
        runs = 0
        while runs <= MOST and worker.run_one():
            runs += 1
        return runs

    def advance(
        self,
        by: datetime.timedelta | None = None,
        *,
        seconds: float = 0,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
    ) -> int:
        """Lets time pass, and runs what becomes due on the way: delays, retries, schedules, each at its time.

        Returns how many runs there were.
        """
        span = by or datetime.timedelta()
        span += datetime.timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        if span < datetime.timedelta():
            raise JobsError("time cannot go back: give advance() a positive duration")
        end = self._now_us + span // datetime.timedelta(microseconds=1)
        runs = self.run()
        while (due := self._next_due()) is not None and due <= end:
            self._now_us = max(self._now_us, due)
            for queue in self._queues.values():
                self._scheduler(queue).check(self._now_us // 1000)
            runs += self.run()
        self._now_us = end
        return runs

    def _scheduler(self, queue: JobHuey) -> Scheduler:
        scheduler = self._schedulers.get(queue.name)
        if scheduler is None:
            scheduler = self._schedulers[queue.name] = Scheduler(queue)
        for name in queue.schedules:
            # The minute that has begun already has no run.
            self.memory.queues[queue.base].slots.setdefault(name, raw(self._now_us // _MINUTE_US))
        return scheduler

    def _next_due(self) -> int | None:
        """When the next delayed job is due, or the next minute begins in which a schedule may be; in us."""
        found = [
            job.score * 1000
            for queue in self._queues.values()
            for job in self.memory.queues[queue.base].in_state("d")[:1]
        ]
        for queue in self._queues.values():
            if queue.schedules:
                self._scheduler(queue)
                found.append((self._now_us // _MINUTE_US + 1) * _MINUTE_US)
        return min(found, default=None)

    def _chosen(self, name: str | None) -> list[JobHuey]:
        if name is None:
            return list(self._queues.values())
        if name not in self._queues:
            known = ", ".join(self._queues) or "none"
            raise JobsError(
                f"the queue {name!r} has no part in this test; those that have: {known}"
            )
        return [self._queues[name]]


@contextlib.contextmanager
def testing(
    *queues: JobHuey,
    now: datetime.datetime | None = None,  # noqa: PT028  # not a test
) -> Iterator[TestJobs]:
    """Keeps all jobs in memory while the block runs; needs no Redis, no consumer and no thread.

    ``queues``: those whose jobs `TestJobs.run` executes; none: all that the process has loaded. ``now``: the
    time at the start, with a time zone; None: the real one. Jobs run with the engine's own worker, so that
    validation, retries, backoff, marks, locks, follow-ups and outcomes are those of production; deadlines,
    turns of organizations and limits are not enforced. Not for several threads.
    """
    if now is not None and now.tzinfo is None:
        raise JobsError("now must have a time zone, such as datetime.UTC")
    kit = TestJobs(queues, now or datetime.datetime.fromtimestamp(time.time(), datetime.UTC))
    with runtimes.use(_Runtime(load_settings(), kit)), contextlib.ExitStack() as stack:
        for queue in queues or list(LOADED.values()):
            huey: Any = queue
            # What it has registered in a real Redis it has not in memory, and the other way round.
            for name, value in (("immediate", False), ("_registered", None)):
                stack.callback(setattr, huey, name, getattr(huey, name))
                setattr(huey, name, value)
        yield kit


# pytest would take the name for a test's.
testing.__test__ = False  # type: ignore[attr-defined]
