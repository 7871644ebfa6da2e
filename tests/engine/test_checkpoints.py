"""What an attempt stores for the next one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hsejobs.engine.context import JobContext
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidInput, LeaseLost
from hsejobs.model import CHECKPOINT_BYTES
from hsejobs.store.work import Claim, Done, WorkerStore
from tests.engine import jobs
from tests.engine.conftest import Consumer
from tests.support import wait_until
from tests.support.server import Server

Start = Callable[..., Consumer]
SECRET = "hunter2hunter2"


@pytest.fixture
def work(trial: Path) -> WorkerStore:
    """Another worker of the same queue: this test."""
    return WorkerStore(runtime().redis, runtime().prefix, "trial")


def attempt(work: WorkerStore, token: str) -> tuple[Claim, JobContext]:
    """Claims one job; returns it as its task would see it."""
    (claim,) = work.step([], 1, token, 60_000)[1]
    job = JobContext(claim, "trial", work, lease_ms=60_000, log_work=work)
    return claim, job


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_an_attempt_continues_where_the_last_one_got_to(consumer: Start, kind: str) -> None:
    """Through a failure, a postponement and the death of the worker."""
    options = ("-k", kind, "-w", "1")
    consumer(*options)
    endings = ["fail", "postpone", *(["kill"] if kind == "process" else [])]
    job = jobs.stepwise.add({"endings": endings}, attempts=2)
    assert job.wait(30) == [None, *range(1, len(endings) + 1)]
    assert runtime().redis.command("EXISTS", f"hsejobs:{{trial}}:cp:{job.id}") == 0


def test_each_ending_keeps_the_checkpoint_and_the_end_deletes_it(work: WorkerStore) -> None:
    writer = runtime().writer
    jobs.echo.add({"n": 1}, job_id="a", attempts=2)

    def released(claim: Claim) -> None:
        assert work.release([(claim.id, claim.token)]) == 1

    def stalled(claim: Claim) -> None:
        assert work.stall([(claim.id, claim.token)], 5) == ["waiting"]

    def retried(claim: Claim) -> None:
        told = {"code": "e", "error": b"{}", "run_us": 1, "final": True, "delay_ms": None}
        assert work.fail(claim.id, claim.token, **told)[0] == "f"  # type: ignore[arg-type]
        writer.retry("trial", "a")

    before = None
    for number, end in enumerate((released, stalled, retried)):
        claim, job = attempt(work, f"t{number}")
        assert job.resumed_from == before
        before = {"rows": number, "last": "x"}
        job.checkpoint("an earlier one")
        job.checkpoint(before)
        # Of the attempt before, not of this one.
        assert job.resumed_from != before
        end(claim)
    claim, job = attempt(work, "last")
    assert job.resumed_from == before
    assert work.step([Done(claim.id, claim.token, 5, b"1")], 0, "", 0)[0] == "c"
    assert work.checkpointed("a") is None


def test_only_the_holder_stores_it(work: WorkerStore) -> None:
    jobs.echo.add({"n": 1}, job_id="a")
    claim, stale = attempt(work, "first")
    stale.checkpoint(1)
    assert work.stall([(claim.id, claim.token)], 5) == ["waiting"]
    claim, job = attempt(work, "second")
    with pytest.raises(LeaseLost):
        stale.checkpoint(2)
    assert job.resumed_from == 1


def test_a_value_that_cannot_be_stored_is_refused(work: WorkerStore) -> None:
    jobs.echo.add({"n": 1, "password": SECRET})
    claim, job = attempt(work, "first")
    for value in (object(), float("nan"), "x" * CHECKPOINT_BYTES):
        with pytest.raises(InvalidInput, match="checkpoint: must be"):
            job.checkpoint(value)
    job.checkpoint("x" * (CHECKPOINT_BYTES - 2))
    # As in a result: the payload's secrets are not stored a second time.
    job.data, job.secret_paths = {"password": SECRET}, ["password"]
    job.checkpoint({"url": f"https://x?{SECRET}"})
    assert work.checkpointed(claim.id) == b'{"url":"https://x?***"}'


def test_an_outage_delays_a_checkpoint_and_raises_nothing(
    work: WorkerStore, redis_server: Server
) -> None:
    redis_server.restart(appendonly=True)
    jobs.echo.add({"n": 1})
    claim, job = attempt(work, "first")
    job.checkpoint(1)
    redis_server.stop()
    job.checkpoint(2)
    job.checkpoint(3)
    assert job.progress_log is not None
    assert job.progress_log.pending
    redis_server.start()
    wait_until(lambda: work.checkpointed(claim.id) == b"1", what="Redis")
    job.progress_log.flush_final()
    assert work.checkpointed(claim.id) == b"3"
