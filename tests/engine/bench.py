"""A worker and a maintenance thread in the test's own thread, which stop where a test wants them to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from hsejobs import forks
from hsejobs.engine.maintenance import Maintenance
from hsejobs.engine.pace import Pace
from hsejobs.engine.runtime import runtime
from hsejobs.engine.slots import Slot
from hsejobs.engine.worker import JobWorker
from tests.engine import jobs
from tests.engine.conftest import counts
from tests.engine.test_queue import Host

BATCH, TOTAL = 5, 43


class Steady(Pace):
    """Always the same batch, however slow the machine is."""

    batch, slow, far = BATCH, False, False


class Far(Steady):
    """Two claims ahead."""

    far = True


class Bench:
    """A worker and a maintenance thread, both in the test's own thread."""

    def __init__(self, pace: type[Pace] = Steady) -> None:
        self.pace = pace
        self.ended = self.claimed = 0
        self.host = Host(jobs.huey)
        self.maintenance = Maintenance(self.host)
        self.worker = self.employ()

    @property
    def slot(self) -> Slot:
        return self.host.slot

    def employ(self) -> JobWorker:
        """A new worker, as after the death of the one before."""
        self.host.slot = Slot(1, forks.lock())
        self.worker = JobWorker(self.host, self.host.slot)
        self.worker.initialize()
        self.worker.pace = self.pace()
        self.worker._wait = lambda: None  # type: ignore[method-assign]
        return self.worker

    def until(self, done: Callable[[], bool]) -> None:
        """Lets the worker go on until it is so."""
        give_up = time.monotonic() + 20
        while not done():
            assert time.monotonic() < give_up
            self.worker.loop()

    def ahead(self) -> None:
        """Until it has finished batches, is about to run one, and has as many steps with outcomes and claims
        on their way as it may. `ended` jobs have ended then, and `claimed` are active.
        """
        steps = 2 if self.worker.pace.far else 1
        self.until(lambda: [bool(one.done) for one in self.worker.flights] == [True] * steps)
        assert self.slot.left == BATCH + steps
        self.ended, self.claimed = self.worker.task_count, BATCH * (1 + steps)

    def bury(self) -> None:
        """Does what the consumer does for a worker process that has died without a running job."""
        for job_id, token in self.slot.unwritten():
            self.maintenance.stalled(job_id, token)
        self.maintenance.release_slot(self.slot, dead=True)
        # One call writes for a limited time.
        while self.maintenance.pending.writes:
            self.maintenance.pending.flush()

    def finish(self) -> None:
        self.until(lambda: counts()["completed"] == TOTAL)


def benched(trial: Path, pace: type[Pace] = Steady) -> Iterator[Bench]:
    """A bench with jobs, each of which must have run once, and never have stalled, at the end."""
    made = jobs.echo.add_many([{"n": n} for n in range(TOTAL)])
    yield Bench(pace)
    assert [job.refresh().stalls for job in made] == [0] * TOTAL
    assert [job.refresh().attempts_made for job in made] == [1] * TOTAL
    ran = Counter(line.split()[0] for line in trial.read_text().splitlines())
    assert ran == {str(n): 1 for n in range(TOTAL)}
    assert not runtime().redis.command("ZCARD", "hsejobs:{trial}:active")
