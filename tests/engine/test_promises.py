"""Promises of docs/guarantees.md that a consumer keeps; each test fails without its line of code."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from hsejobs.engine import JobFailed
from hsejobs.engine.context import JobContext
from hsejobs.engine.runtime import runtime
from hsejobs.errors import LeaseLost
from hsejobs.store.work import Claim, WorkerStore
from tests.engine import jobs
from tests.engine.conftest import Consumer
from tests.support import wait_until
from tests.support.server import Server

Start = Callable[..., Consumer]
SECRET = "hunter2hunter2"


@pytest.fixture
def work(trial: Path) -> WorkerStore:
    """Another worker of the same queue: this test."""
    return WorkerStore(runtime().redis, runtime().prefix, "trial", patience=3)


def take(work: WorkerStore, lease_ms: int) -> Claim:
    """Claims one job as this worker."""
    (claim,) = work.step([], 1, "ours", lease_ms)[1]
    return claim


def stalled_at(job_id: str) -> int:
    """Redis time in ms at which the job was taken for stalled; waits for it."""

    def told() -> int | None:
        _, events = runtime().reader.recent_events("trial", 500)
        return next(
            (one.at for one in events if one.kind == "stalled" and job_id in dict(one.jobs)), None
        )

    return wait_until(told, 30, f"{job_id} to stall") or 0


def test_no_secret_leaves_through_result_log_or_progress(consumer: Start) -> None:
    consumer("-k", "thread", "-w", "1")
    job = jobs.leak.add({"password": SECRET})
    assert job.wait(20) == {"said": "in as ***", "list": ["***"]}
    assert job.refresh().progress_message == "as ***"
    assert runtime().reader.logs("trial", job.id) == (["went in as ***"], 1)


def test_a_start_takes_nothing_for_stalled_at_first(consumer: Start, work: WorkerStore) -> None:
    jobs.echo.add({"n": 1}, job_id="dead")
    take(work, 0)
    consumer("-w", "1")
    at = stalled_at("dead")
    (started,) = [one["startedAt"] for one in runtime().reader.workers(["trial"])]
    # Two seconds; two clocks that are read one after the other may differ by a few ms.
    assert at - started >= 1_950


def test_an_outage_leaves_the_holders_time_to_renew(
    consumer: Start, work: WorkerStore, redis_server: Server
) -> None:
    redis_server.restart(appendonly=True)
    jobs.echo.add({"n": 1}, job_id="dead")
    take(work, 0)
    jobs.echo.add({"n": 2}, job_id="held")
    held = take(work, 60_000)
    consumer("-w", "1")
    # Its own start is long ago once it takes something for stalled.
    stalled_at("dead")
    assert work.renew([(held.id, held.token)], 2_000) == set()
    redis_server.stop()
    over = time.monotonic() + 2
    wait_until(lambda: time.monotonic() > over, what="the end of the lease")
    before = int(time.time() * 1000)
    redis_server.start()
    assert stalled_at("held") - before >= 1_950


def test_a_process_that_dies_is_seen_at_once(consumer: Start) -> None:
    """Not when its lease ends, which is twice as long as this waits."""
    consumer("-k", "process", "-w", "2", QUEUE_LEASE_MS="60000", QUEUE_MAX_STALLS="0")
    job = jobs.kill.add({})
    wait_until(lambda: job.refresh().status == "failed", 30, "the death to be seen")
    assert (job.refresh().code, job.refresh().stalls) == ("stalled", 1)


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_refused_renewal_is_known_to_the_job(
    consumer: Start, trial: Path, redis_client: redis.Redis, kind: str
) -> None:
    consumer("-k", kind, "-w", "1")
    job = jobs.hold_on.add({"n": 1}, timeout=120)
    wait_until(lambda: "begin:1" in trial.read_text(), 20, "the job to run")
    redis_client.hset(f"hsejobs:{{trial}}:j:{job.id}", "tk", "another")
    wait_until(lambda: "let-go:1" in trial.read_text(), 20, "the job to notice")


def test_check_asks_after_a_third_of_a_lease(work: WorkerStore) -> None:
    """A process that was frozen meanwhile was not notified."""
    jobs.echo.add({"n": 1})
    claim = take(work, 0)
    job = JobContext(claim, "trial", work, lease_ms=60_000, log_work=work)
    assert work.stall([(claim.id, claim.token)], 5) == ["waiting"]
    # Confirmed a moment ago: it sends no request.
    job.check()
    frozen = JobContext(claim, "trial", work, lease_ms=30, log_work=work)
    thawed = time.monotonic() + 0.02
    wait_until(lambda: time.monotonic() > thawed, what="a third of a lease")
    with pytest.raises(LeaseLost):
        frozen.check()


def test_a_process_that_does_not_yield_is_killed(consumer: Start, trial: Path) -> None:
    consumer("-k", "process", "-w", "1")
    job = jobs.deaf.add({"seconds": 300}, timeout=0.3, attempts=1)
    with pytest.raises(JobFailed) as caught:
        job.wait(30)
    assert caught.value.failure_code == "timeout"
    pid = int(trial.read_text().split()[1])
    wait_until(lambda: not Path(f"/proc/{pid}/stat").exists(), what="the end of the process")
    assert jobs.echo.add({"n": 1, "say": "on"}).wait(20) == "on"


def test_a_job_that_needed_redis_and_did_not_get_it_uses_no_attempt(consumer: Start) -> None:
    consumer("-w", "1")
    job = jobs.without_redis.add({}, attempts=1)
    wait_until(lambda: job.refresh().status == "delayed", 20, "the postponing")
    seen = job.refresh()
    assert (seen.attempts_made, len(seen.errors)) == (0, 0)


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_job_waits_for_redis_until_its_deadline_and_then_timed_out(
    consumer: Start, trial: Path, redis_server: Server, kind: str
) -> None:
    redis_server.restart(appendonly=True)
    consumer("-k", kind, "-w", "1", QUEUE_LEASE_MS="60000")
    job = jobs.careful.add({"n": 1, "seconds": 0.5}, timeout=2.5, attempts=1)
    wait_until(lambda: "begin:1" in trial.read_text(), 20, "the job to run")
    redis_server.stop()
    over = time.monotonic() + 5
    wait_until(lambda: time.monotonic() > over, what="the end of the job's time")
    redis_server.start()
    wait_until(lambda: job.refresh().status != "active", 30, "its outcome")
    seen = job.refresh()
    assert (seen.status, seen.code, seen.attempts_made) == ("failed", "timeout", 1)
    assert jobs.echo.add({"n": 2, "say": "on"}).wait(30) == "on"
