"""The outcome of a job for each way in which a task can end, with threads and processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine import JobFailed, runtime
from tests.engine import jobs
from tests.engine.conftest import Consumer, wait_for
from tests.support import wait_until

KINDS = ("thread", "process")
Start = Callable[..., Consumer]


def record(job: Any) -> Any:
    return job.refresh()


@pytest.mark.parametrize("kind", KINDS)
def test_each_ending(consumer: Start, kind: str) -> None:
    consumer("-k", kind, "-w", "2")
    said = jobs.echo.add({"say": [1, "é"]}, organization_id="org-1", job_id="mine")
    assert said.wait(20) == [1, "é"]
    assert said.created
    assert not jobs.echo.add({"say": 2}, job_id="mine").created

    failed = jobs.fail.add({"password": "hunter2hunter2"}, organization_id="org-1")
    with pytest.raises(JobFailed, match="no good"):
        failed.wait(20)
    seen = record(failed)
    assert [error["attempt"] for error in seen.errors] == [1, 2, 3]
    assert "hunter2" not in str(seen.errors)
    assert "ValueError" in seen.errors[-1]["traceback"]

    never = jobs.stubborn.add({})
    with pytest.raises(JobFailed) as caught:
        never.wait(20)
    assert caught.value.failure_code == "unrecoverable"
    assert record(never).attempts_made == 1

    cancelled = jobs.cancel.add({})
    with pytest.raises(JobFailed) as caught:
        cancelled.wait(20)
    assert caught.value.failure_code == "cancelled"
    assert record(cancelled).attempts_made == 1

    assert jobs.later.add({}).wait(20) == "attempt 1"
    assert jobs.again.add({}).wait(20) == "attempt 1"

    told = jobs.tell.add({}, organization_id="org-2")
    assert told.wait(20) == {"id": told.id, "org": "org-2", "attempt": 1}
    assert runtime.runtime().reader.logs("trial", told.id) == (["a line"], 1)
    assert record(told).progress_message == "nearly"


def test_postponing_can_have_an_end(consumer: Start) -> None:
    consumer("-k", "thread", "-w", "2")
    job = jobs.never_now.add({"limit": 0.3})
    with pytest.raises(JobFailed, match="not now; the job was first postponed") as caught:
        job.wait(20)
    assert caught.value.failure_code == "postponed"
    seen = record(job)
    assert (seen.attempts_made, len(seen.errors)) == (1, 1)
    # A manual retry gets the whole time again.
    runtime.runtime().writer.retry("trial", job.id)
    with pytest.raises(JobFailed):
        job.wait(20)
    times = [error["failedAt"] for error in record(job).errors]
    assert times[1] - times[0] >= 300


def test_a_retry_comes_no_sooner_than_was_asked(consumer: Start) -> None:
    consumer("-k", "thread", "-w", "2")
    job = jobs.busy.add({})
    with pytest.raises(JobFailed, match="busy") as caught:
        job.wait(20)
    assert caught.value.failure_code == "busy"
    first, second, third = record(job).errors
    # The backoff alone would be 50 ms, then 250 ms.
    assert second["startedAt"] - first["failedAt"] >= 390
    assert third["startedAt"] - second["failedAt"] >= 390


@pytest.mark.parametrize("kind", KINDS)
def test_a_timeout_ends_a_job_that_does_not_yield(consumer: Start, kind: str) -> None:
    consumer("-k", kind, "-w", "2")
    job = jobs.work.add({"n": 1, "seconds": 30}, timeout=0.3, attempts=1)
    with pytest.raises(JobFailed) as caught:
        job.wait(20)
    assert caught.value.failure_code == "timeout"
    assert jobs.echo.add({"say": "on"}).wait(20) == "on"


def test_as_many_hung_threads_as_workers_restart_the_consumer(consumer: Start) -> None:
    one = consumer("-k", "thread", "-w", "1")
    job = jobs.work.add({"n": 1, "seconds": 60}, timeout=0.3, attempts=1)
    with pytest.raises(JobFailed):
        job.wait(20)
    assert jobs.echo.add({"say": "on"}).wait(30) == "on"
    wait_until(lambda: "restarting" in one.log.read_text(), timeout=30, what="the restart")
    assert jobs.echo.add({"say": "after"}).wait(30) == "after"
    assert one.process.poll() is None


def test_short_timeouts_do_not_count_as_hung_threads(consumer: Start) -> None:
    """A sender chooses how long its job may take; that must not restart the shared consumer."""
    one = consumer("-k", "thread", "-w", "2")
    late = [jobs.work.add({"n": n, "seconds": 2.0}, timeout=0.001, attempts=1) for n in range(10)]
    for job in late:
        with pytest.raises(JobFailed) as caught:
            job.wait(30)
        assert caught.value.failure_code == "timeout"
    assert jobs.echo.add({"say": "on"}).wait(30) == "on"
    told = one.log.read_text()
    assert "restarting" not in told
    assert "worker hung" not in told


def test_a_job_that_kills_its_worker_fails_alone(consumer: Start) -> None:
    consumer("-k", "process", "-w", "2")
    killer = jobs.kill.add({})
    neighbors = jobs.echo.add_many([{"n": n} for n in range(50)])
    with pytest.raises(JobFailed) as caught:
        killer.wait(30)
    assert caught.value.failure_code == "stalled"
    assert record(killer).stalls == 4
    wait_for("completed", len(neighbors))


def test_hueys_own_ways(consumer: Start, trial: Path) -> None:
    consumer("-k", "thread", "-w", "2")
    assert jobs.add(1, 2).get(blocking=True, timeout=20) == 3
    first = jobs.pair.s(1).then(jobs.add)
    results = jobs.huey.enqueue(first)
    assert results[1] == 3
    held = jobs.add.schedule((5, 6), delay=0.1)
    assert held.get(blocking=True, timeout=20) == 11

    jobs.nothing.revoke()
    revoked = jobs.nothing()
    wait_for("failed", 1)
    assert runtime.runtime().reader.job("trial", revoked.id).code == "revoked"
    assert jobs.nothing.restore()
    assert jobs.nothing().get(blocking=True, timeout=20) == "done"


def test_a_lock_postpones_and_a_dead_holder_frees_it(consumer: Start, trial: Path) -> None:
    one = consumer("-k", "thread", "-w", "2")
    a = jobs.locked.add({"seconds": 1})
    b = jobs.locked.add({"seconds": 0})
    assert a.wait(20) == b.wait(20) == "had it"
    assert record(b).attempts_made == 1
    c = jobs.locked.add({"seconds": 60})
    wait_until(lambda: "slept:60" in trial.read_text(), what="the lock to be held")
    one.kill_all()
    consumer("-k", "thread", "-w", "2")
    d = jobs.locked.add({})
    assert c.wait(30) == d.wait(30) == "had it"


def test_delays_priorities_pause(consumer: Start, trial: Path) -> None:
    writer = runtime.runtime().writer
    writer.pause("trial")
    for n, priority in enumerate((5, 3, 1, 3, 1)):
        jobs.echo.add({"n": n}, priority=priority)
    delayed = jobs.echo.add({"n": 9, "say": "late"}, delay=0.2)
    consumer("-k", "thread", "-w", "1")
    wait_for("waiting", 6)
    assert trial.read_text() == ""
    writer.resume("trial")
    assert delayed.wait(20) == "late"
    wait_for("completed", 6)
    order = [line.split()[0] for line in trial.read_text().splitlines()]
    assert order == ["2", "4", "1", "3", "9", "0"]


def test_a_wrong_setting_ends_with_one_line(consumer: Start) -> None:
    one = consumer(QUEUE_TRIAL_CONCURRENCY="many")
    assert one.process.wait(20) == 2
    text = one.log.read_text()
    assert "QUEUE_TRIAL_CONCURRENCY" in text
    assert "Traceback" not in text


def test_greenlets_are_refused(consumer: Start) -> None:
    one = consumer("-k", "greenlet")
    assert one.process.wait(20) == 2
    assert "greenlet" in one.log.read_text()
