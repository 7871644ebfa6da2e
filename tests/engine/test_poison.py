"""A job that kills what runs it fails alone: from its second stall on it runs beside nothing.

The kind: a fault that is charged to a neighbor. A worker's death stalls all that ran in its process, and
nothing tells which of them caused it.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from hsejobs.engine.runtime import runtime
from hsejobs.handle import Job
from tests.engine import jobs
from tests.engine.conftest import Consumer, counts, note, wait_for
from tests.support import wait_until

Start = Callable[..., Consumer]
KINDS = ("thread", "process")


@contextmanager
def supervised(start: Callable[[], Consumer]) -> Iterator[None]:
    """A consumer that comes back when it dies."""
    over = threading.Event()

    def keep() -> None:
        while not over.is_set():
            one = start()
            while not over.is_set():
                try:
                    one.process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
                break

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def suspect(client: redis.Redis, seconds: float) -> Job[int]:
    """A job whose worker has died before."""
    job = jobs.work.add({"n": 1000, "seconds": seconds}, delay=3600)
    client.hset(f"hsejobs:{{trial}}:j:{job.id}", "sl", 2)
    return job


def words(trial: Path) -> list[str]:
    """What began and ended, in order."""
    return [line.split()[0] for line in trial.read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_poison_job_fails_alone(consumer: Start, trial: Path, kind: str) -> None:
    """Twice in threads: ``benchmarks/poison.py`` does the same a hundred times."""
    innocent = jobs.work.add_many([{"n": n, "seconds": 0.02} for n in range(25)])
    poison = jobs.kill.add({})
    innocent += jobs.work.add_many([{"n": n, "seconds": 0.02} for n in range(25, 50)])
    options = {"QUEUE_MAX_STALLS": "1", "QUEUE_LEASE_MS": "500"}
    with supervised(lambda: consumer("-k", kind, "-w", "3", **options)):
        wait_for("completed", len(innocent), timeout=60)
        wait_for("failed", 1, timeout=60)
    assert (poison.refresh().code, poison.refresh().attempts_made) == ("stalled", 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_suspect_runs_beside_nothing(
    consumer: Start, trial: Path, redis_client: redis.Redis, kind: str
) -> None:
    """Two of them take turns, and the others go on afterwards."""
    pair = [suspect(redis_client, 0.15) for _ in range(2)]
    jobs.work.add_many([{"n": n, "seconds": 0.03} for n in range(30)])
    consumer("-k", kind, "-w", "4", QUEUE_LEASE_MS="30000")
    wait_until(lambda: "begin:5" in words(trial), 20, "a beginning")
    for one in pair:
        runtime().writer.promote("trial", one.id)
    wait_for("completed", 32)
    said = words(trial)
    starts = [at for at, word in enumerate(said) if word == "begin:1000"]
    assert [said[at + 1] for at in starts] == ["end:1000"] * 2
    for at in starts:
        begun = [word.partition(":")[2] for word in said[:at] if word.startswith("begin")]
        ended = [word.partition(":")[2] for word in said[:at] if word.startswith("end")]
        assert sorted(begun) == sorted(ended)


def test_a_suspect_does_not_wait_forever(
    consumer: Start, trial: Path, redis_client: redis.Redis
) -> None:
    """The others go on, and it tries again later; no attempt is used."""
    job = suspect(redis_client, 0)
    consumer("-k", "thread", "-w", "2", QUEUE_LEASE_MS="600")
    long = jobs.in_turn.add({"n": 1, "until": "enough"})
    wait_until(lambda: "turn:1" in words(trial), 20, "the long job")
    runtime().writer.promote("trial", job.id)
    wait_until(lambda: redis_client.hexists(f"hsejobs:{{trial}}:j:{job.id}", "aa"), 20, "the wait")
    after = jobs.work.add({"n": 2, "seconds": 0})
    wait_until(lambda: job.refresh().status == "delayed", 20, "the postponement")
    assert job.refresh().attempts_made == 0
    assert after.wait(10) == 2
    assert long.refresh().status == "active"
    note(trial, "enough")
    assert job.wait(20) == 1000


@pytest.mark.parametrize("kind", KINDS)
def test_a_suspect_that_waits_is_released_at_a_stop(
    consumer: Start, trial: Path, redis_client: redis.Redis, kind: str
) -> None:
    job = suspect(redis_client, 0)
    one = consumer("-k", kind, "-w", "2", QUEUE_LEASE_MS="60000")
    jobs.in_turn.add({"n": 1, "until": "enough"})
    wait_until(lambda: "turn:1" in words(trial), 20, "the other job")
    runtime().writer.promote("trial", job.id)
    wait_until(lambda: redis_client.hexists(f"hsejobs:{{trial}}:j:{job.id}", "aa"), 20, "the wait")
    one.send(signal.SIGTERM)
    wait_for("waiting", 1)
    note(trial, "enough")
    assert one.process.wait(20) == 0
    assert counts() == {"waiting": 1, "active": 0, "delayed": 0, "completed": 1, "failed": 0}
    assert (job.refresh().stalls, job.refresh().attempts_made) == (2, 0)
