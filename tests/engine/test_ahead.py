"""Two steps on their way: one connection, two claims, and outcomes of two batches.

The kind: what comes behind something that fails, takes long, or comes late.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine.pace import SLOW_JOB, SLOW_OUTCOMES, Pace
from hsejobs.errors import JobsError
from hsejobs.store.work import Claim
from tests.engine import jobs
from tests.engine.bench import BATCH, TOTAL, Bench, Far, Steady, benched
from tests.engine.conftest import counts


@pytest.fixture(params=[Steady, Far])
def bench(trial: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benched(trial, request.param)


@pytest.mark.parametrize("pace", [Steady, Far])
def test_nothing_waits_behind_jobs_whose_ends_take_long_to_write(
    trial: Path, monkeypatch: pytest.MonkeyPatch, pace: type[Pace]
) -> None:
    """Each outcome but success takes a round trip of its own, in which no job runs. Seen: behind a batch of
    failing jobs, two claims outlived their leases.
    """
    good = [jobs.echo.add({"n": n}) for n in range(4 * BATCH)]
    bad = [jobs.fail.add({"n": 0}, attempts=1) for _ in range(SLOW_OUTCOMES)]
    behind = [jobs.echo.add({"n": n}) for n in range(4 * BATCH)]
    bench = Bench(pace)
    write, seen = bench.worker._write, list[tuple[int, int]]()

    def slow_write(*args: Any) -> None:
        # What a far Redis does.
        time.sleep(2 * SLOW_JOB)
        write(*args)

    wrote = bench.worker._wrote

    def look(seconds: float) -> None:
        held = counts()["active"]
        wrote(seconds)
        # What has ended is written with the next claim.
        seen.append((held, counts()["active"] - len(bench.worker.done)))

    monkeypatch.setattr(bench.worker, "_write", slow_write)
    monkeypatch.setattr(bench.worker, "_wrote", look)
    bench.until(lambda: len(seen) == SLOW_OUTCOMES)
    # One alone is no reason: a failing job now and then must not cost a claim of its own.
    assert min(after for _, after in seen[:-1]) > 0
    assert seen[-1][0] > BATCH - SLOW_OUTCOMES
    assert seen[-1][1] == 0
    assert not bench.worker.flights
    bench.until(lambda: counts()["completed"] == len(good) + len(behind))
    assert {job.refresh().status for job in bad} == {"failed"}
    assert {job.refresh().attempts_made for job in good + behind} == {1}


@pytest.mark.parametrize("pace", [Steady, Far])
def test_no_job_of_a_late_reply_begins(
    trial: Path, monkeypatch: pytest.MonkeyPatch, pace: type[Pace]
) -> None:
    """Its leases may have ended, and other workers may run the jobs: nothing renews what no slot has."""
    made = jobs.echo.add_many([{"n": n} for n in range(TOTAL)])
    bench = Bench(pace)
    bench.ahead()
    bench.until(lambda: not bench.slot.unbegun())
    late, ran, execute = set[str](), set[str](), bench.worker._execute
    for flight in bench.worker.flights:
        late.add(flight.token)
        flight.at -= bench.worker.lease / 3000

    def look(claim: Claim) -> None:
        ran.add(claim.token)
        execute(claim)

    monkeypatch.setattr(bench.worker, "_execute", look)
    bench.until(lambda: counts()["completed"] == TOTAL)
    assert [(job.refresh().stalls, job.refresh().attempts_made) for job in made] == [(0, 1)] * TOTAL
    assert late
    assert ran
    assert not late & ran


def test_steps_that_claim_nothing_take_no_number(bench: Bench) -> None:
    """Redis keeps the jobs of a worker's last claims: steps that only write must not push them out."""
    bench.ahead()
    before = bench.worker._calls
    for _ in range(20):
        bench.worker._step(0)
    assert bench.worker._calls == before
    bench.finish()


def test_a_step_behind_another_is_sent_without_a_look_at_the_connection(
    trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind: a call that takes the reply of another one for its own. After a pause of the machine, an idle
    connection is probed before use, and the answer to the probe would be that of the step before.
    """
    jobs.echo.add_many([{"n": n} for n in range(TOTAL)])
    bench = Bench(Far)
    bench.ahead()
    bench.worker.line.redis.probe_after = -1.0
    bench.until(lambda: not bench.slot.unbegun())
    used = bench.worker.flights[-1].sent
    bench.worker.loop()
    assert bench.worker.flights[-1].sent is used
    landed = list[str]()
    real = bench.worker._land

    def land() -> Any:
        flight, letters, claims = real()
        assert letters == "c" * len(flight.done)
        landed.append(letters)
        return flight, letters, claims

    monkeypatch.setattr(bench.worker, "_land", land)
    bench.until(lambda: counts()["completed"] == TOTAL)
    assert landed


@pytest.mark.parametrize("error", [JobsError("no such thing"), RuntimeError("a fault")])
def test_a_refused_step_takes_the_one_behind_it_along(
    trial: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Their connection is closed: the reply that is left there belongs to no later call."""
    made = jobs.echo.add_many([{"n": n} for n in range(TOTAL)])
    bench = Bench(Far)
    bench.ahead()
    bench.until(lambda: not bench.slot.unbegun())
    with monkeypatch.context() as patch:

        def refuse(sent: Any, token: str) -> Any:
            sent.read_response()
            raise error

        patch.setattr(bench.worker.line, "finish", refuse)
        if isinstance(error, JobsError):
            bench.worker._land()
        else:
            with pytest.raises(RuntimeError):
                bench.worker._land()
    assert (bench.worker._unanswered, len(bench.worker._behind)) != ("", 0)
    # Both belong to the worker, and to who cleans up after its death.
    assert bench.slot.left == 0
    assert not bench.worker.flights
    bench.until(lambda: counts()["completed"] == TOTAL)
    assert [(job.refresh().stalls, job.refresh().attempts_made) for job in made] == [(0, 1)] * TOTAL
    assert len(trial.read_text().splitlines()) == TOTAL


def test_a_claim_whose_return_fails_is_given_up_by_its_token(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ahead()
    worker, release = bench.worker, bench.worker.work.release

    def fault(*args: Any) -> int:
        monkeypatch.setattr(worker.work, "release", release)
        raise RuntimeError("a fault")

    monkeypatch.setattr(worker.work, "release", fault)
    token = worker.flights[0].token
    with pytest.raises(RuntimeError):
        worker._land_all()
    if worker.flights:
        # The one behind it is lost.
        worker.line.redis.close()
        worker._land()
    assert token in worker._behind
    bench.host.stop_flag.set()
    worker.shutdown()
    assert counts()["active"] == 0
    bench.host.stop_flag = type(bench.host.stop_flag)()
    bench.employ()
    bench.finish()
