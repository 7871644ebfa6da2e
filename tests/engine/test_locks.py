"""Locks hand over to the next job that waits, in the order of the queue."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from huey.exceptions import TaskLockedException

from hsejobs.engine.runtime import runtime
from tests.engine import jobs
from tests.engine.conftest import Consumer, wait_for
from tests.support import wait_until

Start = Callable[..., Consumer]
WAITERS = "hsejobs:{trial}:lw:trial.lock."


def turns(trial: Path) -> list[int]:
    """The numbers of the jobs that had the lock, in order."""
    words = trial.read_text().split()[::2]
    return [int(word[5:]) for word in words if word.startswith("turn:")]


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_three_hundred_jobs_take_the_time_of_their_work(
    consumer: Start, trial: Path, redis_client: redis.Redis, kind: str
) -> None:
    """In the order in which they were added, the more important ones first."""
    number, seconds = 300, 0.01
    consumer("-k", kind, "-w", "4")
    first = jobs.in_turn.add({"n": 0, "until": "go"})
    wait_until(lambda: turns(trial) == [0], 20, "the first job")
    payloads = [{"n": n, "seconds": seconds} for n in range(1, number)]
    added = jobs.in_turn.add_many(payloads)
    urgent = jobs.in_turn.add({"n": number, "seconds": seconds}, priority=1)
    wait_until(lambda: redis_client.zcard(WAITERS + "turn") == number, 30, "all others to wait")
    began = time.monotonic()
    with trial.open("a") as file:
        file.write("go 0\n")
    wait_for("completed", number + 1, 60)
    took = time.monotonic() - began
    assert turns(trial) == [0, number, *range(1, number)]
    # 1.1 in benchmarks/locks.py; other work on the machine must not fail this test.
    assert took < 5 * number * seconds
    assert {job.refresh().attempts_made for job in (first, urgent, added[0], added[-1])} == {1}
    assert redis_client.exists(WAITERS + "turn", "hsejobs:{trial}:kv:trial.lock.turn") == 0


def test_a_killed_holder_hands_over(consumer: Start, trial: Path) -> None:
    first = consumer("-k", "thread", "-w", "1")
    jobs.in_turn.add({"n": 1, "until": "go"}, job_id="one")
    wait_until(lambda: turns(trial) == [1], 20, "the first job")
    second = consumer("-k", "thread", "-w", "2")
    jobs.in_turn.add({"n": 2}, job_id="two")
    wait_for("delayed", 1)
    first.kill_all()
    with trial.open("a") as file:
        file.write("go 0\n")
    wait_for("completed", 2)
    assert sorted(turns(trial)) == [1, 1, 2]
    assert second.process.poll() is None


def test_two_locks_in_opposite_orders_end(consumer: Start, trial: Path) -> None:
    """A job that cannot have its second lock gives up its first."""
    consumer("-k", "thread", "-w", "4")
    for n in range(10):
        names = ["left", "right"] if n % 2 else ["right", "left"]
        jobs.in_turn.add({"n": n, "locks": names, "seconds": 0.01})
    wait_for("completed", 10)
    events = trial.read_text().split()[::2]
    # Each began after the one before was over.
    assert [word[:4] for word in events] == ["turn", "over"] * 10


def test_a_lock_taken_outside_a_job(
    consumer: Start, trial: Path, redis_client: redis.Redis
) -> None:
    consumer("-k", "thread", "-w", "2")
    lock: Any = jobs.huey.lock_task("turn")
    with lock:
        assert jobs.huey.is_locked("turn")
        with pytest.raises(TaskLockedException), jobs.huey.lock_task("turn"):
            pass
        job = jobs.in_turn.add({"n": 1})
        wait_for("delayed", 1)
        assert job.refresh().failed_reason == "waits for the lock turn"
        shown = subprocess.run(
            [sys.executable, "-m", "hsejobs_cli", "jobs", "trial", "--status", "delayed"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "waits for the lock turn" in shown.stdout
    job.wait(10)
    assert job.refresh().failed_reason is None
    assert not jobs.huey.is_locked("turn")
    lock.acquire()
    job = jobs.in_turn.add({"n": 2})
    wait_for("delayed", 1)
    assert jobs.huey.flush_locks("turn") == {"turn"}
    job.wait(10)


def test_a_job_cannot_take_a_lock_twice(consumer: Start, trial: Path) -> None:
    """It would wait for itself: it tries again later, as any job did before."""
    consumer("-k", "thread", "-w", "1")
    job = jobs.in_turn.add({"n": 1, "locks": ["same", "same"]})
    wait_until(lambda: job.refresh().status == "delayed", 10, "the postponement")
    assert job.refresh().attempts_made == 0
    runtime().writer.remove("trial", job.id)
    assert not jobs.huey.is_locked("same")
