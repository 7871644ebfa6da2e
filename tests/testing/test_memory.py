"""The store in memory passes the state machine of the real one."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from hsejobs.store.read import JobReader
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import JobWriter
from hsejobs.testing.memory import MemoryClient
from tests.store.life import IDS_LEFT, ORGS
from tests.store.plain import PlainQueue
from tests.store.test_machine import Life


class _Probe:
    """What the machine asks the server itself."""

    def __init__(self, memory: MemoryClient) -> None:
        self._memory = memory

    def time(self) -> tuple[int, int]:
        seconds, us = divmod(time.time_ns() // 1000, 1_000_000)
        return seconds, us

    def zscore(self, _key: str, job_id: str) -> int:
        return self._memory.queues["t:{q}:"].jobs[job_id].score

    def smembers(self, key: str) -> set[bytes]:
        return set(self._memory.queues["t:{q}:"].jobs[key.rpartition(":k:")[2]].marks)


class MemoryLife(Life):
    """The same rules, without a server."""

    @initialize()
    def begin(self) -> None:
        self.said: dict[tuple[str, str], int] = {}
        self.redis = MemoryClient(lambda: time.time_ns() // 1000)  # type: ignore[assignment]
        self.client = _Probe(self.redis)  # type: ignore[assignment, arg-type]
        self.writer, self.reader = JobWriter(self.redis, "t"), JobReader(self.redis, "t")
        self.work = WorkerStore(self.redis, "t", "q", patience=1)
        self.model = PlainQueue()
        self.tokens, self.gone, self.calls = [], [], 0
        for number in range(5):
            org, priority, attempts = (None, *ORGS)[number % 3], 1 + number % 3, 1 + number % 2
            self.add(IDS_LEFT[number], org, priority, 0, attempts, b"", False)
        self.step(4, False, [])

    def teardown(self) -> None:
        """Nothing is open."""

    @rule()
    def verify(self) -> None:
        """There are no indexes that could disagree with the records."""

    @invariant()
    def nothing_is_left_over(self) -> None:
        """There are no keys beside the records."""


@pytest.mark.timeout(300)  # shrinking a failure takes time
def test_any_life_in_memory() -> None:
    run_state_machine_as_test(
        MemoryLife,
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
