"""No job is lost, and only what ran at a kill runs twice."""

from __future__ import annotations

import itertools
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.engine import jobs
from tests.engine.conftest import Consumer, counts, wait_for
from tests.support import wait_until
from tests.support.server import Server

Start = Callable[..., Consumer]
KINDS = ("thread", "process")


def runs(trial: Path) -> Counter[str]:
    """How often each job began."""
    words = (line.split()[0] for line in trial.read_text().splitlines())
    return Counter(word.partition(":")[2] for word in words if word.startswith("begin:"))


def reached(done: int) -> bool:
    """Whether at least ``done`` jobs are completed."""
    return counts()["completed"] >= done


@pytest.mark.parametrize("kind", KINDS)
def test_kill_nine(consumer: Start, trial: Path, kind: str) -> None:
    total = 600
    jobs.work.add_many([{"n": n, "seconds": 0.005} for n in range(total)])
    pair = [consumer("-k", kind, "-w", "2") for _ in range(2)]
    for victim, done in zip(itertools.cycle((0, 1)), (100, 200, 300, 400), strict=False):
        wait_until(partial(reached, done), timeout=40, what=f"{done} done")
        pair[victim].kill_all()
        pair[victim] = consumer("-k", kind, "-w", "2")
    wait_for("completed", total, timeout=60)
    twice = {n for n, times in runs(trial).items() if times > 1}
    assert len(runs(trial)) == total
    # Killed between the end of the sleep and the write, a run has ended all the same.
    assert len(twice) <= 4 * 2 * 2
    assert counts()["failed"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_terminated_consumers_run_nothing_twice(consumer: Start, trial: Path, kind: str) -> None:
    total = 600
    jobs.work.add_many([{"n": n, "seconds": 0.005} for n in range(total)])
    pair = [consumer("-k", kind, "-w", "2", QUEUE_LEASE_MS="60000") for _ in range(2)]
    for victim, done in zip(itertools.cycle((0, 1)), (100, 200, 300, 400), strict=False):
        wait_until(partial(reached, done), timeout=40, what=f"{done} done")
        # One that gets the signal before it has begun ends by the signal itself.
        assert pair[victim].stop() in (0, -signal.SIGTERM)
        pair[victim] = consumer("-k", kind, "-w", "2", QUEUE_LEASE_MS="60000")
    wait_for("completed", total, timeout=60)
    assert set(runs(trial).values()) == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_grace_period_the_rest_is_handed_back(consumer: Start, kind: str) -> None:
    one = consumer("-k", kind, "-w", "2", QUEUE_SHUTDOWN_GRACE_MS="200", QUEUE_LEASE_MS="60000")
    job = jobs.work.add({"n": 1, "seconds": 60})
    wait_for("active", 1)
    assert one.stop() == 0
    assert counts()["waiting"] == 1
    assert job.refresh().attempts_made == 0


def test_a_late_result_is_refused(consumer: Start, trial: Path) -> None:
    first = consumer("-k", "thread", "-w", "1")
    job = jobs.work.add({"n": 1, "seconds": 1})
    wait_until(lambda: "begin:1" in trial.read_text(), what="the job's first run")
    first.send(signal.SIGSTOP)
    consumer("-k", "thread", "-w", "1")
    wait_until(lambda: runs(trial)["1"] == 2, what="the job's second run")
    first.send(signal.SIGCONT)
    assert job.wait(20) == 1
    wait_until(lambda: "refused" in first.log.read_text(), what="the refusal")
    assert job.refresh().stalls == 1
    assert counts()["completed"] == 1


def test_a_slow_job_gives_back_what_was_claimed_with_it(consumer: Start, trial: Path) -> None:
    consumer("-k", "process", "-w", "1")
    jobs.echo.add_many([{"n": n} for n in range(3000)])
    wait_for("completed", 3000)
    slow = jobs.work.add({"n": 1, "seconds": 20}, priority=1)
    rest = jobs.echo.add_many([{"n": n} for n in range(20)])
    consumer("-k", "process", "-w", "1")
    wait_for("completed", 3020, timeout=15)
    assert slow.refresh().status == "active"
    assert len(rest) == 20


def test_redis_back_empty_knows_the_queue_again(
    consumer: Start, trial: Path, redis_client: Any
) -> None:
    consumer("-w", "1")
    jobs.work.add({"n": 1, "seconds": 0})
    wait_for("completed", 1)
    redis_client.flushall()
    wait_until(lambda: bool(redis_client.keys("*}:queue")), 20, "its description")
    jobs.work.add({"n": 2, "seconds": 0})
    wait_for("completed", 1)


def test_redis_outage_and_recovery(consumer: Start, trial: Path, redis_server: Server) -> None:
    redis_server.restart(appendonly=True)
    one = consumer("-k", "thread", "-w", "2")
    jobs.work.add_many([{"n": n, "seconds": 0.01} for n in range(200)])
    wait_until(lambda: counts()["completed"] >= 20, what="a beginning")
    redis_server.stop()
    wait_until(lambda: "redis away" in one.log.read_text(), what="the outage's first line")
    redis_server.start()
    wait_for("completed", 200, timeout=40)
    wait_until(lambda: "redis back" in one.log.read_text(), what="the outage's last line")
    text = one.log.read_text()
    assert text.count("redis away") == text.count("redis back") == 1
