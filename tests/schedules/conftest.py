"""Finished jobs of any age, and schedules that fall due."""

from __future__ import annotations

import pytest
import redis

from hsejobs.engine.runtime import runtime
from hsejobs.model import FINISHED, State
from hsejobs.store import keys, registry
from hsejobs.store.registry import QueueInfo
from hsejobs.store.work import Done, WorkerStore
from hsejobs.store.write import NewJob
from tests.support import wait_until
from tests.support.consumers import Consumers

HOUR_US = 3_600_000_000
MINUTE_MS = 60_000


class Board:
    """The queues as the test's own process sees and changes them.

    ``client`` may more than a program of ours.
    """

    def __init__(self, client: redis.Redis) -> None:
        self.client = client

    def key(self, queue: str, name: str, rest: str = "") -> str:
        return keys.of(keys.base(runtime().prefix, queue), name, rest)

    def command(self, *words: str | int | bytes) -> object:
        answered: object = self.client.execute_command(*words)  # type: ignore[no-untyped-call]
        return answered

    def register(self, queue: str) -> None:
        """A queue of somebody else's program, which does not run now."""
        registry.save(runtime().redis, runtime().prefix, QueueInfo(queue))

    def finished(self, queue: str, state: State, count: int, hours: float) -> None:
        """Adds finished jobs that ended at the given age."""
        names = [f"{state.value}-{hours:g}-{number}" for number in range(count)]
        runtime().writer.add_many(
            queue, [NewJob(name, "m.task", b"{}", 3, 1, 0, 0) for name in names]
        )
        work = WorkerStore(runtime().redis, runtime().prefix, queue, patience=1)
        while True:
            _, claims = work.step([], 100, f"t{state.value}{hours:g}", 30_000)
            if not claims:
                break
            if state is State.COMPLETED:
                work.step([Done(c.id, c.token, 5, b"1") for c in claims], 0, "", 0)
            for claim in claims if state is State.FAILED else ():
                work.fail(
                    claim.id,
                    claim.token,
                    code="error",
                    error=b'{"error":"no"}',
                    run_us=5,
                    final=True,
                    delay_ms=None,
                )
        for name in names:
            self.command("ZINCRBY", self.key(queue, state.value), -int(hours * HOUR_US), name)

    def count(self, queue: str, *states: State) -> int:
        """Jobs in these states, counted in one moment."""
        stats = runtime().reader.stats([queue])[0]
        return sum(getattr(stats, state.value) for state in states)

    def total(self, queue: str) -> int:
        return self.count(queue, *State)

    def ended(self, queue: str, job_id: str, timeout: float = 60) -> State:
        """The state in which a job ended."""

        def state() -> State | None:
            found = runtime().reader.status(queue, job_id)
            return found if found in FINISHED else None

        return wait_until(state, timeout, f"the end of {job_id}")  # type: ignore[return-value]

    def due(self, queue: str, task: str, minutes: int) -> None:
        """As if a schedule was last checked ``minutes`` ago: it makes up for a missed run."""
        slot = runtime().reader.now(queue) // MINUTE_MS - minutes
        self.command("HSET", self.key(queue, "slots"), task, slot)

    def hold(self, queue: str, task: str) -> None:
        """No more periodic runs, even if the hour turns during the test."""
        self.due(queue, task, -10_000_000)

    def run_of(self, queue: str, task: str) -> str:
        """The id of the periodic run that was added last; there will be no other."""

        def last() -> str:
            return runtime().reader.last_runs(queue).get(task, "")

        wait_until(last, 30, f"a run of {task}")
        self.hold(queue, task)
        return last()


@pytest.fixture
def board(platform_workers: Consumers, redis_client: redis.Redis) -> Board:
    """The empty queues; their consumers are started by the test."""
    return Board(redis_client)
