"""Tasks that fork, that are interrupted late, that only store checkpoints, and that end at a stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from hsejobs.engine import JobFailed
from hsejobs.engine.runtime import runtime
from hsejobs.model import State
from hsejobs.store import keys
from tests.engine import edge_jobs
from tests.engine.conftest import Consumer, counts, note
from tests.support import wait_until
from tests.support.server import Server

Start = Callable[..., Consumer]
PLACE = "tests.engine.edge_jobs.huey"


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_forked_child_is_no_worker(consumer: Start, trial: Path, kind: str) -> None:
    """It ends where the task ends: the outcome is the parent's, and it claims nothing."""
    one = consumer("-k", kind, "-w", "1", place=PLACE)
    children = set()
    for how, code in (("raises", 1), ("returns", 0), ("exits", 3)):
        child, ended = edge_jobs.forks.add({"how": how}, timeout=10, attempts=1).wait(20)
        assert ended == code
        children.add(child)
    ran = {job.wait(20) for job in edge_jobs.whose.add_many([{"seconds": 0.01}] * 20)}
    assert len(ran) == 1
    assert not ran & children
    assert one.log.read_text().count("forked child ended") == 3


def test_an_interrupt_after_the_task_ends_no_worker(consumer: Start, trial: Path) -> None:
    one = consumer("-k", "process", "-w", "1", place=PLACE)
    with pytest.raises(JobFailed) as caught:
        edge_jobs.late.add({}, timeout=0.3, attempts=1).wait(20)
    assert (caught.value.failure_code, "late" in str(caught.value)) == ("error", True)
    edge_jobs.whose.add({"seconds": 0}).wait(20)
    assert one.stop() == 0
    assert "died" not in one.log.read_text()


def test_checkpoint_ends_a_cancelled_job(consumer: Start, trial: Path) -> None:
    """At its next call, not when the grace is over and the thread is given up."""
    one = consumer("-k", "thread", "-w", "1", place=PLACE, QUEUE_CANCEL_GRACE_MS="60000")
    job = edge_jobs.points.add({})
    wait_until(lambda: job.refresh().status is State.ACTIVE, 20, "the job to begin")
    job.cancel("enough")
    with pytest.raises(JobFailed) as caught:
        job.wait(20)
    assert caught.value.failure_code == "cancelled"
    assert one.stop() == 0


STOPPED = {"QUEUE_SHUTDOWN_GRACE_MS": "100", "QUEUE_LEASE_MS": "60000"}


@pytest.mark.parametrize("fails", [False, True])
def test_a_process_killed_before_it_wrote_how_its_job_ended(
    consumer: Start, trial: Path, redis_server: Server, fails: bool
) -> None:
    """The kind: a job that is in no one's hands at a stop, and stays active until its lease ends."""
    root = redis_server.url
    one = consumer("-k", "process", "-w", "1", place=PLACE, ROOT_URL=root, **STOPPED)
    job = edge_jobs.ends_in_a_pause.add({"ms": 1_800, "fails": fails})
    wait_until(lambda: "begun" in trial.read_text(), 20, "the job to begin")
    assert one.stop() == 0
    assert "paused" in trial.read_text()
    assert (counts()["waiting"], job.refresh().attempts_made) == (1, 0)


def test_a_thread_has_time_to_write_how_its_job_ended(
    consumer: Start, trial: Path, redis_server: Server
) -> None:
    """Its job is not run again because the grace ended just before."""
    root = redis_server.url
    one = consumer("-k", "thread", "-w", "1", place=PLACE, ROOT_URL=root, **STOPPED)
    job = edge_jobs.ends_in_a_pause.add({"ms": 700}, attempts=2)
    wait_until(lambda: "begun" in trial.read_text(), 20, "the job to begin")
    note(trial, "go on")
    wait_until(lambda: "paused" in trial.read_text(), 20, "the pause")
    assert one.stop() == 0
    assert (counts()["delayed"], job.refresh().attempts_made) == (1, 1)


def test_leases_are_renewed_while_workers_are_ended(
    consumer: Start, trial: Path, redis_client: redis.Redis
) -> None:
    """What still runs here begins nowhere else."""
    lease = 1_200
    stopped = {**STOPPED, "QUEUE_LEASE_MS": str(lease)}
    one = consumer("-k", "process", "-w", "1", place=PLACE, **stopped)
    job = edge_jobs.deaf.add({})
    wait_until(lambda: "deaf" in trial.read_text(), 20, "the job to begin")
    active = keys.base(runtime().prefix, "trial") + "active"
    leases = [0.0]
    begun = time.time() * 1000
    one.process.terminate()
    while one.process.poll() is None:
        leases.append(float(redis_client.zscore(active, job.id) or 0))
        time.sleep(0.01)
    # The last renewal within the grace comes 100 ms after the signal, at the latest.
    assert max(leases) - lease - begun > 400
    assert (counts()["waiting"], job.refresh().attempts_made) == (1, 0)
