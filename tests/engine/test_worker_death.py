"""A worker process may die at any moment: what it has claimed is never lost, and never run twice.

The kind: a claim that only Redis and a socket know of. Each test stops the worker at one moment.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hsejobs import process_tree
from hsejobs.engine.stepping import CALM
from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.store import scripts
from tests.engine import jobs
from tests.engine.bench import BATCH, Bench, Far, Steady, benched
from tests.engine.conftest import Consumer, counts, wait_for
from tests.support import wait_until
from tests.support.proxy import FlakyProxy


@pytest.fixture(params=[Steady, Far])
def bench(trial: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benched(trial, request.param)


def _claim_is_not_sent(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    def begin(*args: Any, **options: Any) -> Any:
        raise RedisUnavailable("not now")

    patch.setattr(bench.worker.line, "begin", begin)
    bench.until(lambda: bool(bench.worker.flights))


def _outcomes_are_not_sent(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    """Those of as many batches as there are steps on their way."""

    def begin(*args: Any, **options: Any) -> Any:
        raise RedisUnavailable("not now")

    bench.ahead()
    patch.setattr(bench.worker.line, "begin", begin)
    for _ in tuple(bench.worker.flights):
        bench.until(lambda: not bench.slot.unbegun())
        bench.worker._turn()


def _reply_is_not_read(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    bench.ahead()


def _reply_is_read(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    bench.ahead()
    while (claim := bench.slot.begin(time.monotonic())) is not None:
        bench.worker._execute(claim)
    assert bench.worker.flights
    bench.worker._land()


class Killed(BaseException):
    """Ends a worker as a kill would: nothing of it runs any more."""


def _dies_in_a_claim(bench: Bench, patch: pytest.MonkeyPatch, calls: Callable[[Any], Any]) -> None:
    """It waits for the reply to a claim with outcomes, by ``calls`` of Redis, when it is killed."""
    patch.setattr(bench.worker, "_ahead", lambda *_: "")
    bench.until(lambda: len(bench.worker.done) == BATCH)

    def step(*args: Any, **options: Any) -> None:
        calls(lambda: step_of_redis(*args, **options))
        raise Killed

    step_of_redis = bench.worker.line.step
    patch.setattr(bench.worker.line, "step", step)
    with pytest.raises(Killed):
        bench.worker.loop()


def _a_claim_is_not_sent(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    _dies_in_a_claim(bench, patch, lambda call: None)


def _a_claim_has_no_reply(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    _dies_in_a_claim(bench, patch, lambda call: call())


def _a_claim_was_sent_twice(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    seen = []

    def calls(call: Callable[[], Any]) -> None:
        seen.append(call())
        if len(seen) == 1:
            raise RedisUnavailable("no reply")

    _dies_in_a_claim(bench, patch, calls)


def _a_claim_without_a_reply_is_refused(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    """Redis has executed it; sent again, it meets an error that is no outage, which ends the turn."""
    seen = []

    def calls(call: Callable[[], Any]) -> None:
        seen.append(call())
        raise RedisUnavailable("no reply") if len(seen) == 1 else JobsError("a fault")

    patch.setattr(bench.worker, "_ahead", lambda *_: "")
    bench.until(lambda: len(bench.worker.done) == BATCH)
    step_of_redis = bench.worker.line.step
    patch.setattr(bench.worker.line, "step", lambda *a, **o: calls(lambda: step_of_redis(*a, **o)))
    bench.worker.loop()
    assert bench.worker._unanswered


def _with_a_wait(bench: Bench, patch: pytest.MonkeyPatch, *, executed: bool) -> None:
    """As `_dies_in_a_claim`, when the step and the wait at the doorbell are one packet."""
    patch.setattr(bench.worker, "_ahead", lambda *_: "")
    bench.worker.calm = CALM
    bench.until(lambda: len(bench.worker.done) == BATCH)
    bench.worker.calm = CALM
    begin, finish = bench.worker.line.begin_and_wait, bench.worker.line.finish

    def begins(*args: Any) -> Any:
        if executed:
            sent = begin(*args)
            assert finish(sent, args[2])[1]
            sent.disconnect()
        raise Killed

    patch.setattr(bench.worker.line, "begin_and_wait", begins)
    with pytest.raises(Killed):
        bench.worker.loop()


def _a_claim_with_a_wait_is_not_sent(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    _with_a_wait(bench, patch, executed=False)


def _a_claim_with_a_wait_has_no_reply(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    _with_a_wait(bench, patch, executed=True)


def _in_the_middle_of_a_batch(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    bench.ahead()
    bench.worker.loop()
    bench.worker.loop()


@pytest.mark.parametrize(
    "death",
    [
        _claim_is_not_sent,
        _outcomes_are_not_sent,
        _reply_is_not_read,
        _reply_is_read,
        _a_claim_is_not_sent,
        _a_claim_has_no_reply,
        _a_claim_was_sent_twice,
        _a_claim_without_a_reply_is_refused,
        _a_claim_with_a_wait_is_not_sent,
        _a_claim_with_a_wait_has_no_reply,
        _in_the_middle_of_a_batch,
    ],
)
def test_a_worker_may_die_at_any_moment(
    bench: Bench, death: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        death(bench, patch)
    bench.bury()
    wait_until(lambda: counts()["active"] == 0, what="nothing held")
    bench.employ()
    bench.finish()


def test_a_killed_process_holds_no_job_that_it_has_just_claimed(
    consumer: Callable[..., Consumer], trial: Path, redis_url: str, redis_client: redis.Redis
) -> None:
    """Between Redis' answer to a claim and the worker: no lease has to end first."""
    redis_client.script_load(scripts.COMPLETE.text)
    job = jobs.echo.add({"n": 1})
    with FlakyProxy(redis_url) as proxy:
        proxy.lose_reply(match=scripts.COMPLETE.sha.encode())
        urls = {"QUEUE_REDIS_URL": proxy.url, "QUEUE_LEASE_MS": "60000"}
        one = consumer("-k", "process", "-w", "1", **urls)
        wait_for("active", 1)
        [guard] = process_tree.children(one.process.pid)
        [worker] = process_tree.children(guard.pid)
        os.kill(worker.pid, signal.SIGKILL)
        wait_for("completed", 1)
        one.stop()
    assert (job.refresh().stalls, job.refresh().attempts_made) == (0, 1)
