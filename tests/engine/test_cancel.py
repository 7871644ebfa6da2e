"""A cancelled job ends, whatever its task does, and nothing follows it."""

from __future__ import annotations

import datetime
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cancel import ends
from hsejobs import process_tree
from hsejobs.engine import Job, JobFailed, runtime
from hsejobs.errors import JobNotFound, WrongState
from hsejobs.model import JobRecord, State
from tests.engine import jobs
from tests.engine.conftest import Consumer, begun, counts
from tests.support import wait_until
from tests.support.proxy import FlakyProxy

KINDS = ("thread", "process")
Start = Callable[..., Consumer]


def ended(job: Job[Any], timeout: float = 20) -> JobRecord:
    """The record of a cancelled job, once it has ended."""
    with pytest.raises(JobFailed) as caught:
        job.wait(timeout)
    assert caught.value.failure_code == "cancelled"
    seen = job.refresh()
    assert seen.cancel is not None
    assert seen.failed_reason == f"cancelled by {seen.cancel['by']}: enough"
    assert len(seen.errors) == 1
    return seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["steady", "unheeding", "poll", "work"])
def test_a_running_job_ends(consumer: Start, trial: Path, kind: str, task: str) -> None:
    one = consumer("-k", kind, "-w", "1", QUEUE_CANCEL_GRACE_MS="400")
    job = getattr(jobs, task).add({"n": 1, "seconds": 60}, organization_id="one")
    begun(trial)
    running = job.cancel("enough")
    assert (running.status, running.code) == (State.ACTIVE, None)
    seen = ended(job)
    assert (seen.attempts_made, seen.result) == (1, None)
    # Its worker, or the one in its place, goes on.
    assert jobs.echo.add({"say": "on"}).wait(20) == "on"
    heard = {"unheeding": "heard:Job", "poll": "polled"}.get(task, "")
    assert heard in trial.read_text()
    assert "end:1" not in trial.read_text()
    assert one.stop() == 0
    told = one.log.read_text()
    assert '"event": "cancelled"' in told
    assert "restarting" not in told


def test_a_process_that_hears_nothing_is_killed_after_the_grace(
    consumer: Start, trial: Path
) -> None:
    consumer("-k", "process", "-w", "1", QUEUE_CANCEL_GRACE_MS="400")
    job = jobs.deaf.add({"seconds": 60})
    begun(trial, "deaf")
    job.cancel("enough")
    ended(job)
    assert jobs.echo.add({"say": "on"}).wait(20) == "on"


@pytest.mark.parametrize("delay", [None, 3600.0])
def test_what_has_not_begun_ends_at_once(trial: Path, delay: float | None) -> None:
    job = jobs.echo.add({"n": 1}, delay=delay)
    record = job.cancel("enough")
    assert (record.status, record.attempts_made, job.status) == (State.FAILED, 0, "failed")
    ended(job)
    with pytest.raises(WrongState):
        job.cancel()


def test_its_killed_consumer_does_not_save_it(consumer: Start, trial: Path) -> None:
    one = consumer("-k", "thread", "-w", "1", QUEUE_CANCEL_GRACE_MS="60000")
    job = jobs.work.add({"n": 1, "seconds": 60})
    begun(trial)
    job.cancel("enough")
    one.kill_all()
    other = consumer("-k", "thread", "-w", "1")
    assert ended(job, 30).stalls == 0
    wait_until(lambda: '"event": "cancelled"' in other.log.read_text(), what="the log line")


@pytest.mark.parametrize("kind", KINDS)
def test_a_consumer_that_stops_still_hears_of_it(consumer: Start, trial: Path, kind: str) -> None:
    one = consumer("-k", kind, "-w", "1", QUEUE_SHUTDOWN_GRACE_MS="60000")
    job = jobs.steady.add({"n": 1, "seconds": 60})
    begun(trial)
    one.send(signal.SIGTERM)
    time.sleep(0.3)  # long enough for the stop to begin; sooner, the cancel is like any other
    job.cancel("enough")
    ended(job)
    assert one.process.wait(20) == 0


def test_a_worker_that_dies_while_its_consumer_stops_keeps_no_job(
    consumer: Start, trial: Path
) -> None:
    """Its job stayed active until all others had ended."""
    options = {"QUEUE_SHUTDOWN_GRACE_MS": "60000", "QUEUE_CANCEL_GRACE_MS": "100"}
    # A lease that does not end before the test.
    one = consumer("-k", "process", "-w", "5", QUEUE_LEASE_MS="600000", **options)
    # Claimed one after the other, so that none waits behind another.
    deaf = jobs.deaf.add({"seconds": 60})
    begun(trial, "deaf")
    late = jobs.work.add({"n": 2, "seconds": 60}, timeout=2, attempts=1)
    begun(trial, "begin:2")
    dies = jobs.work.add({"n": 3, "seconds": 60})
    begun(trial, "begin:3")
    long = jobs.work.add({"n": 4, "seconds": 60})
    begun(trial, "begin:4")
    one.send(signal.SIGTERM)
    # The idle one ends first.
    wait_until(lambda: len(process_tree.children(one.process.pid)) == 4, 20, "the stop")
    deaf.cancel("enough")
    line = next(line for line in trial.read_text().splitlines() if line.startswith("begin:3"))
    os.kill(int(line.split()[1]), signal.SIGKILL)
    ended(deaf)
    wait_until(lambda: dies.refresh().status == "waiting", timeout=20, what="the stall")
    assert dies.refresh().stalls == 1
    with pytest.raises(JobFailed) as caught:
        late.wait(20)
    assert caught.value.failure_code == "timeout"
    assert long.refresh().status == "active"
    assert one.process.poll() is None
    one.send(signal.SIGTERM)
    assert one.process.wait(20) == 0
    assert long.refresh().status == "waiting"


def test_a_consumer_that_stops_at_once_does_not_put_it_back(consumer: Start, trial: Path) -> None:
    options = {"QUEUE_SHUTDOWN_GRACE_MS": "0", "QUEUE_CANCEL_GRACE_MS": "60000"}
    one = consumer("-k", "thread", "-w", "1", **options)
    job = jobs.work.add({"n": 1, "seconds": 60})
    begun(trial)
    job.cancel("enough")
    one.stop()
    ended(job)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_follows_it(consumer: Start, trial: Path, kind: str) -> None:
    consumer("-k", kind, "-w", "1")
    first = jobs.unheeding.s({"n": 1, "seconds": 60}).then(jobs.hear).error(jobs.hear)
    jobs.huey.enqueue(first)
    begun(trial)
    assert jobs.huey.revoke_by_id(first.id) is None
    wait_until(lambda: counts()["failed"] == 1, timeout=20, what="its end")
    record = runtime.runtime().reader.job("trial", first.id)
    assert (record.code, record.cancel and record.cancel["reason"]) == ("cancelled", "revoked")
    assert jobs.echo.add({"say": "on"}).wait(20) == "on"
    assert sum(counts().values()) == 2


def test_hueys_revoke_is_the_same_act(trial: Path) -> None:
    reader = runtime.runtime().reader
    result = jobs.add.schedule((1, 1), delay=3600)
    assert not result.is_revoked()
    result.revoke()
    assert reader.job("trial", result.id).code == "cancelled"
    assert result.is_revoked()
    # What has ended cannot be restored: a retry by hand is what brings it back.
    assert not result.restore()
    runtime.runtime().writer.retry("trial", result.id)
    assert not result.is_revoked()
    # Until a time, before its job exists, or for a task: a claim decides.
    later = jobs.add.schedule((1, 1), delay=3600)
    jobs.huey.revoke(later.task, revoke_until=datetime.datetime(2100, 1, 1))
    assert reader.job("trial", later.id).status is State.DELAYED
    assert later.is_revoked()
    jobs.huey.revoke_by_id("nobody")
    assert jobs.huey.storage.peek_data("r:nobody")
    jobs.add.revoke()
    assert reader.job("trial", later.id).status is State.DELAYED
    assert jobs.add.restore()
    assert later.restore()
    assert not later.is_revoked()


def test_one_that_is_gone_cannot_be_cancelled(trial: Path) -> None:
    job = jobs.echo.add({})
    runtime.runtime().writer.remove("trial", job.id)
    with pytest.raises(JobNotFound):
        job.cancel()


@pytest.mark.parametrize("how", ["waiting", "undone", "running", "timeout", "stalled"])
def test_its_chord_does_not_wait_forever(consumer: Start, trial: Path, how: str) -> None:
    """Whatever ends a member from outside, its chord's callback runs, and gets the error."""
    from huey.api import chord

    task = jobs.kill if how == "stalled" else jobs.work
    member = task.s({"n": 1, "seconds": 60})
    member.retries, member.timeout = 0, 0.3 if how == "timeout" else None
    member.organization_id = "one"
    whole = jobs.huey.enqueue(chord([member, jobs.add.s(1, 2)], jobs.hear.s()))
    if how in ("waiting", "undone"):
        jobs.huey.revoke_by_id(member.id)
    if how == "undone":
        writer = runtime.runtime().writer
        writer.restore(writer.remove("trial", member.id))
    consumer("-k", "process", "-w", "2", QUEUE_MAX_STALLS="0")
    if how == "running":
        begun(trial)
        jobs.huey.revoke_by_id(member.id)
    [[[failed], three]] = whole.get(blocking=True, timeout=20)
    assert three == 3
    expected = {
        "waiting": "revoked",
        "undone": "revoked",
        "running": "cancelled",
        "timeout": "longer than its timeout",
        "stalled": "went silent",
    }
    assert expected[how] in failed["error"]
    wait_until(lambda: runtime.runtime().redis.command("ZCARD", "hsejobs:{trial}:ended") == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_whenever_it_comes_no_job_completes_after_it(kind: str) -> None:
    """The short form of ``benchmarks/cancel.py``."""
    found = ends(kind, 60)
    assert found["accepted"] == 60, found
    assert (found["allEnded"], found["became"]) == (True, {"failed": 60})
    assert (found["completedAfterAccepted"], found["withoutWhoAndWhy"]) == (0, 0)


def test_what_was_marked_stays_marked(consumer: Start, trial: Path) -> None:
    """A retry by hand finds what the cancelled attempt did: the mark is set, and raises after that."""
    consumer("-k", "thread", "-w", "1")
    job = jobs.marking.add({})
    begun(trial, "begin")
    job.cancel("enough")
    ended(job)
    runtime.runtime().writer.retry("trial", job.id)
    assert job.wait(20) == "done before"
    assert "raised" in trial.read_text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("task", "seconds"), [("work", 1.0), ("steady", 60.0)])
def test_a_consumer_that_was_cut_off_hears_of_it_afterwards(
    consumer: Start, trial: Path, redis_url: str, kind: str, task: str, seconds: float
) -> None:
    """Its job is cancelled while it reaches no Redis, also if it ends well before it does."""
    with FlakyProxy(redis_url) as proxy:
        consumer("-k", kind, "-w", "1", QUEUE_REDIS_URL=proxy.url, QUEUE_LEASE_MS="30000")
        job = getattr(jobs, task).add({"n": 1, "seconds": seconds})
        begun(trial)
        proxy.down()
        job.cancel("enough")
        if task == "work":
            begun(trial, "end:1")
        proxy.up()
        ended(job, 30)


def test_without_a_subscription_the_sweep_tells_it(
    consumer: Start, trial: Path, redis_url: str
) -> None:
    with FlakyProxy(redis_url) as proxy:
        proxy.cut_request(b"SUBSCRIBE", times=1_000)
        consumer("-k", "process", "-w", "1", QUEUE_REDIS_URL=proxy.url)
        job = jobs.work.add({"n": 1, "seconds": 60})
        begun(trial)
        job.cancel("enough")
        ended(job)
        wait_until(lambda: proxy.cuts, 20, "an attempt to subscribe")
