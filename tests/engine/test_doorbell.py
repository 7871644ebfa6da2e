"""A worker that expects no more jobs sends its wait with the step: the kind of fault is a reply that is
read by another call, and a signal that is taken by one who does not need it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hsejobs import forks
from hsejobs.engine.runtime import runtime
from hsejobs.engine.slots import Slot
from hsejobs.engine.stepping import CALM
from hsejobs.engine.worker import JobWorker
from hsejobs.store import keys, scripts
from hsejobs.store.claims import read_step
from tests.engine import jobs
from tests.engine.conftest import Consumer, wait_for
from tests.engine.test_queue import Host
from tests.support import wait_until

OWN = "hsejobs:{trial}:bell:*"


class Bench:
    """A worker in a thread. ``waits``: of each wait, whether it was sent with a step."""

    def __init__(self) -> None:
        self.host = Host(jobs.huey)
        self.host.slot = Slot(1, forks.lock())
        self.worker = JobWorker(self.host, self.host.slot)
        self.waits: list[bool] = []
        #: Holds the worker before its next step that may carry a wait.
        self.held, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.stopping = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        worker = self.worker
        worker.initialize()
        wait, step = worker._wait, worker._step_and_wait

        def waits() -> None:
            self.waits.append(worker.waiting is not None)
            wait()

        def steps(want: int) -> Any:
            if worker.done and not self.go.is_set():
                self.held.set()
                self.go.wait(20)
            return step(want)

        worker._wait, worker._step_and_wait = waits, steps  # type: ignore[method-assign]
        while not self.stopping:
            worker.loop()
        worker.line.redis.close()

    def run_one(self, n: int) -> None:
        """Adds a job and waits until the worker waits again."""
        before = len(self.waits)
        jobs.echo.add({"n": n}).wait(20)
        wait_until(lambda: len(self.waits) > before, what="the worker to wait")

    def calm(self) -> None:
        """Until its waits are sent with its steps."""
        for n in range(CALM + 1):
            self.run_one(n)
        assert self.waits[-1], self.waits

    def hold(self, n: int) -> None:
        """Adds a job; returns when it has run, and is not written yet."""
        self.go.clear()
        jobs.echo.add({"n": n})
        assert self.held.wait(20)

    def stop(self) -> None:
        self.stopping = True
        self.go.set()
        self.host.stop_flag.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def bench(trial: Path) -> Iterator[Bench]:
    made = Bench()
    yield made
    made.stop()


def blocked(client: redis.Redis) -> int:
    return int(client.info("clients")["blocked_clients"])


def test_the_wait_of_a_calm_worker_is_sent_with_its_step(
    bench: Bench, redis_client: redis.Redis
) -> None:
    bench.calm()
    wait_until(lambda: blocked(redis_client) == 1, what="the worker to wait")
    for n in range(5):
        bench.run_one(10 + n)
    assert bench.waits[-5:] == [True] * 5


def test_a_job_that_comes_meanwhile_ends_the_wait_at_once(
    bench: Bench, redis_client: redis.Redis
) -> None:
    bench.calm()
    bench.hold(8)
    jobs.echo.add({"n": 9})
    before = len(bench.waits)
    bench.go.set()
    wait_for("completed", CALM + 3)
    # The wait with the step, which was over before it began, and the one after the next job: not calm.
    wait_until(lambda: len(bench.waits) >= before + 2, what="the worker to wait")
    assert bench.waits[before : before + 2] == [True, False]
    assert not list(redis_client.scan_iter(OWN))


def test_it_takes_no_signal_from_another_worker(bench: Bench, redis_client: redis.Redis) -> None:
    bench.calm()
    bench.hold(8)
    jobs.echo.add({"n": 9})
    bell = bench.worker.line.bell
    redis_client.delete(bell)
    took: list[Any] = []
    other = threading.Thread(target=lambda: took.append(redis_client.blpop([bell], timeout=20)))
    other.start()
    wait_until(lambda: blocked(redis_client) == 1, what="the other worker to wait")
    bench.go.set()
    wait_for("completed", CALM + 3)
    assert not took
    # Its turn: it waited before the worker that has just run both.
    jobs.echo.add({"n": 10})
    other.join(20)
    assert took[0]
    redis_client.lpush(bell, "1")
    wait_for("completed", CALM + 4)


def test_an_error_leaves_no_reply_behind(bench: Bench, redis_client: redis.Redis) -> None:
    bench.calm()
    bench.hold(8)
    # As after a failover to a server that has not seen the script.
    redis_client.script_flush()
    bench.go.set()
    wait_for("completed", CALM + 2)
    for n in range(3):
        bench.run_one(10 + n)


def test_the_own_bell_of_a_worker_that_never_waits_ends(
    trial: Path, redis_client: redis.Redis
) -> None:
    jobs.echo.add({"n": 0})
    base = keys.base("hsejobs", "trial")
    args = (1, "token", 60_000, 0, "gone")
    _, claims = read_step(runtime().redis.run(scripts.COMPLETE, base, args), "token")
    assert claims
    assert 0 < redis_client.pttl(keys.of(base, "ownbell", "gone")) <= keys.OWN_BELL_TTL_MS


@pytest.mark.parametrize("how", ["thread", "process"])
def test_jobs_one_at_a_time_under_a_real_consumer(
    trial: Path, consumer: Any, redis_client: redis.Redis, how: str
) -> None:
    """None waits for the end of a wait, 2 s."""
    running: Consumer = consumer("-w", "2", "-k", how)
    jobs.echo.add({"n": 0}).wait(30)
    began = time.monotonic()
    for n in range(1, 30):
        jobs.echo.add({"n": n}).wait(20)
    assert time.monotonic() - began < 30
    assert running.stop() == 0
    assert not list(redis_client.scan_iter(OWN))
