"""Batches ahead: what is on its way while jobs run is never lost, and never run twice.

The kind: a claim that only Redis and a socket know of. Each test stops the worker with a batch in its
hands and the next one on its way, and then breaks something.
"""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hsejobs.engine.pace import Pace
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.store import keys, scripts
from hsejobs.store.work import Claim, WorkerStore
from tests.engine import jobs
from tests.engine.bench import BATCH, TOTAL, Bench, Far, Steady, benched
from tests.engine.conftest import Consumer, counts, wait_for
from tests.support import wait_until
from tests.support.proxy import FlakyProxy


class Single(Pace):
    batch = 1


@pytest.fixture(params=[Steady, Far])
def bench(trial: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benched(trial, request.param)


def test_claim_and_outcomes_are_on_their_way_while_jobs_run(bench: Bench) -> None:
    bench.ahead()
    wait_for("completed", bench.ended)
    assert counts()["active"] == bench.claimed
    bench.finish()
    assert not bench.worker.flights


def test_jobs_claimed_one_at_a_time_are_not_claimed_ahead(bench: Bench) -> None:
    bench.worker.pace = Single()
    while counts()["completed"] < TOTAL:
        bench.worker.loop()
        assert not bench.worker.flights
        assert counts()["active"] <= 1


def test_jobs_that_come_one_by_one_cost_no_call_more(
    trial: Path, redis_client: redis.Redis
) -> None:
    """A claim that finds fewer jobs than it asks for is not followed by one ahead."""
    bench = Bench()
    for n in range(3):
        jobs.echo.add({"n": n})
        bench.until(lambda n=n: counts()["active"] == 1)  # type: ignore[misc]
        assert not bench.worker.flights
        before = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"]
        bench.worker.loop()
        bench.worker._step(0)
        after = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert after - before == 1


@pytest.mark.parametrize("pace", [Steady, Far])
def test_nothing_is_claimed_behind_a_job_that_stalled(trial: Path, pace: type[Pace]) -> None:
    """It may end its worker again, and would make others stall that only waited there."""
    work = WorkerStore(runtime().redis, runtime().prefix, "trial")
    made = jobs.echo.add_many([{"n": n} for n in range(TOTAL)])
    claims = work.step([], TOTAL, "dead", 9_000)[1]
    work.stall([(claims[12].id, "dead")], 3)
    work.release([(one.id, "dead") for one in claims])
    bench, seen = Bench(pace), list[tuple[int, bool]]()
    execute = bench.worker._execute

    def look(claim: Claim) -> None:
        seen.append((claim.stalls, not bench.worker.flights))
        if claim.stalls:
            assert counts()["active"] == 1
        execute(claim)

    bench.worker._execute = look  # type: ignore[method-assign]
    bench.finish()
    assert (1, True) in seen
    assert (0, False) in seen
    assert sum(job.refresh().stalls for job in made) == 1


def test_a_long_job_keeps_no_batch_behind_it(bench: Bench) -> None:
    bench.ahead()
    claim = bench.slot.begin(time.monotonic() - 1)
    assert claim is not None
    bench.maintenance.check_slots()
    # One call writes for a limited time.
    while bench.maintenance.pending.writes:
        bench.maintenance.pending.flush()
    assert (counts()["active"], counts()["completed"]) == (1, bench.ended)
    assert counts()["waiting"] == TOTAL - bench.ended - 1
    bench.maintenance.check_slots()
    assert bench.maintenance.pending.writes == []
    # Nothing stays behind for each long job.
    assert [*itertools.chain(*runtime().redis.scan("hsejobs:{trial}:resent:", 100))] == []
    # Another worker takes them meanwhile, and the first one runs none of what it reads later.
    first, slot = bench.worker, bench.slot
    bench.employ()
    bench.until(lambda: counts()["completed"] == TOTAL - 1)
    bench.worker, bench.host.slot = first, slot
    first._execute(claim)
    bench.finish()


def test_after_a_slow_job_the_batch_behind_is_not_begun(bench: Bench) -> None:
    bench.ahead()
    bench.worker.pace = Pace()
    bench.worker.pace.ran(50_000)
    bench.worker._write_now()
    assert not bench.worker.flights
    assert counts()["active"] == BATCH
    bench.finish()


@pytest.mark.parametrize("begun", [0, 2])
def test_a_stop_hands_back_both_batches_in_their_order(bench: Bench, begun: int) -> None:
    bench.ahead()
    for _ in range(begun):
        bench.worker.loop()
    bench.host.stop_flag.set()
    bench.worker.shutdown()
    assert (counts()["active"], counts()["completed"]) == (0, bench.ended + begun)
    waiting = runtime().redis.command("ZRANGE", keys.of(bench.worker.work.base, "waiting"), 0, -1)
    assert len(waiting) == TOTAL - bench.ended - begun
    assert waiting == sorted(waiting)
    bench.host.stop_flag = type(bench.host.stop_flag)()
    bench.employ()
    bench.finish()


def test_while_workers_are_held_nothing_is_on_its_way(bench: Bench) -> None:
    """Before a suspect runs alone, nothing else may run in its consumer, or be about to."""
    bench.ahead()
    bench.slot.hold(held=True)
    assert not bench.slot.empty
    bench.until(lambda: bench.slot.empty)
    assert (counts()["active"], counts()["completed"]) == (0, bench.ended)
    bench.slot.hold(held=False)
    bench.finish()


def _cut(client: redis.Redis) -> Callable[[], Any]:
    for one in client.client_list():
        if "evalsha" in one["cmd"] and one["id"] != str(client.client_id()):
            client.client_kill_filter(_id=one["id"])
    return lambda: None


def _forget_scripts(client: redis.Redis) -> Callable[[], Any]:
    client.script_flush()
    return lambda: None


def _fill(client: redis.Redis) -> Callable[[], Any]:
    client.config_set("maxmemory", 1)
    return lambda: client.config_set("maxmemory", 0)


def _refuse_writes(client: redis.Redis) -> Callable[[], Any]:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
    return lambda: client.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("when", ["before", "behind"])
@pytest.mark.parametrize("trouble", [_cut, _forget_scripts, _fill, _refuse_writes])
def test_whatever_redis_answers_meanwhile(
    bench: Bench, redis_client: redis.Redis, trouble: Any, when: str
) -> None:
    """Before the step of the next turn is sent, or behind the one that is on its way."""
    bench.ahead()
    if when == "before":
        bench.until(lambda: bench.slot.left == len(bench.worker.flights))
    heal = trouble(redis_client)
    healer = threading.Timer(0.4, heal)
    healer.start()
    try:
        bench.until(lambda: not healer.is_alive())
    finally:
        healer.join()
    bench.finish()


@pytest.mark.parametrize("pace", [Steady, Far])
def test_cut_replies_to_steps_that_are_on_their_way(
    trial: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, pace: type[Pace]
) -> None:
    made = jobs.echo.add_many([{"n": n} for n in range(TOTAL)])
    with FlakyProxy(redis_url) as proxy:
        monkeypatch.setenv("QUEUE_REDIS_URL", proxy.url)
        reset_runtime()
        jobs.huey._registered = None
        proxy.cut_reply(match=scripts.COMPLETE.sha.encode(), times=3, after_bytes=2, skip=1)
        bench = Bench(pace)
        bench.finish()
        assert proxy.cuts == 3
        runtime().redis.close()
    assert {job.refresh().stalls for job in made} == {0}
    assert len(trial.read_text().splitlines()) == TOTAL


@pytest.mark.parametrize("pace", [Steady, Far])
def test_a_cancel_of_a_job_on_its_way_is_honored(
    trial: Path, redis_client: redis.Redis, pace: type[Pace]
) -> None:
    made = jobs.echo.add_many([{"n": n} for n in range(TOTAL)])
    bench = Bench(pace)
    bench.ahead()
    wait_until(lambda: counts()["active"] == bench.claimed, what="the claims ahead")
    chosen = made[bench.ended + bench.claimed - 1]
    assert chosen.refresh().status == "active"
    chosen.cancel("enough")
    bench.maintenance._sweep()
    bench.until(lambda: counts()["completed"] == TOTAL - 1)
    assert chosen.refresh().status == "failed"
    assert "enough" in (chosen.refresh().failed_reason or "")


def test_a_recall_may_overtake_its_claim(trial: Path) -> None:
    job = jobs.echo.add({"n": 1})
    work = WorkerStore(runtime().redis, runtime().prefix, "trial")
    assert work.recall("late", 9_000) == 0
    assert work.step([], 1, "late", 9_000)[1] == []
    assert job.refresh().status == "waiting"


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_long_job_in_front_holds_up_nothing_while_a_worker_is_idle(
    consumer: Callable[..., Consumer], trial: Path, kind: str
) -> None:
    jobs.echo.add_many([{"n": n} for n in range(400)])
    jobs.work.add({"n": 1, "seconds": 20})
    jobs.echo.add_many([{"n": n} for n in range(400, 500)])
    consumer("-k", kind, "-w", "2")
    wait_for("completed", 500, timeout=15)
    assert counts()["active"] == 1


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_stopped_drain_runs_nothing_twice(
    consumer: Callable[..., Consumer], trial: Path, kind: str
) -> None:
    total = 800
    jobs.echo.add_many([{"n": n} for n in range(total)])
    one = consumer("-k", kind, "-w", "2", QUEUE_LEASE_MS="60000")
    wait_until(lambda: counts()["completed"] >= 200, 20, "200 done")
    assert one.stop() in (0, -signal.SIGTERM)
    assert counts()["active"] == 0
    consumer("-k", kind, "-w", "2", QUEUE_LEASE_MS="60000")
    wait_for("completed", total)
    assert len(trial.read_text().splitlines()) == total


def test_landed_outcomes_are_reported_before_a_call_that_may_wait_for_redis(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a step that is sent ahead comes first: another one may wait through an outage."""
    worker = bench.worker
    seen: list[str] = []

    def noted(name: str) -> None:
        real = getattr(worker, name)

        def call(*args: Any) -> Any:
            if name != "_report" or args[0]:
                seen.append(name)
            return real(*args)

        monkeypatch.setattr(worker, name, call)

    for name in ("_report", "_step", "_send_ahead", "_release"):
        noted(name)
    bench.ahead()
    bench.until(lambda: not bench.slot.unbegun())
    seen.clear()
    worker._turn()
    assert seen[:2] == ["_send_ahead", "_report"]
    bench.until(lambda: not bench.slot.unbegun())
    # After as many jobs as the next batch has, this worker is to be replaced: nothing is claimed ahead.
    worker.max_tasks = worker.task_count + BATCH
    seen.clear()
    worker._turn()
    assert seen[:2] == ["_report", "_step"]
    worker.max_tasks = 0
    bench.finish()
