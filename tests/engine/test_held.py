"""A task that is held in real consumers: its jobs wait, others go on, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.model import State
from hsejobs.store.verify import RecordVerifier
from tests.engine.conftest import Consumer
from tests.engine.held_jobs import huey, other, send
from tests.support import wait_until

Start = Callable[..., Consumer]


@pytest.fixture
def file(
    redis_url: str, no_leaks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The file in which the tasks note their runs."""
    found = tmp_path / "runs"
    found.touch()
    monkeypatch.setenv("HELD_FILE", str(found))
    monkeypatch.setenv("QUEUE_LEASE_MS", "1500")
    reset_runtime()
    huey._registered = None
    huey.register()
    yield found
    runtime().redis.close()
    reset_runtime()


@pytest.fixture
def start(file: Path, tmp_path: Path) -> Iterator[Start]:
    running = []

    def begin(kind: str, workers: int) -> Consumer:
        log, place = tmp_path / "consumer.log", "tests.engine.held_jobs.huey"
        one = Consumer("-k", kind, "-w", str(workers), log=log, place=place)
        running.append(one)
        return one

    yield begin
    for one in running:
        one.kill_all()


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_held_task_waits_through_a_kill_and_goes_on_in_order(
    start: Start, file: Path, kind: str
) -> None:
    slow, works = Path(f"{file}.slow"), Path(f"{file}.works")
    slow.touch()
    consumer = start(kind, 2)
    runs = send.add({"n": 0, "slow": True})
    fails = send.add({"n": 1, "fails": True}, backoff=0.5)
    wait_until(lambda: fails.refresh().status is State.DELAYED, 20, "the first failure")
    assert huey.set_task("send", paused=True).paused
    jobs = [send.add({"n": n}) for n in range(2, 12)]
    later = send.add({"n": 12}, delay=0.05)
    others = [other.add({"n": n}, organization_id="one") for n in range(5)]
    assert {one.wait(20) for one in others} == {None}
    # The retry and the delayed job are due by now, and wait.
    wait_until(lambda: runtime().reader.stats(["held"])[0].delayed == 0, 20, "all to be due")
    assert other.add({"n": 9}).wait(20) is None
    [held] = [one.held for one in huey.list_tasks().tasks if one.held]
    assert held.task == "tests.engine.held_jobs.send"
    assert [one.refresh().status for one in (*jobs, later, fails)] == [State.WAITING] * 12
    # One that ran already goes on.
    slow.unlink()
    assert runs.wait(20) is None
    consumer.kill_all()
    works.touch()
    start(kind, 1)
    assert other.add({"n": 10}).wait(20) is None
    assert [one.refresh().attempts_made for one in (*jobs, later)] == [0] * 11
    assert fails.refresh().attempts_made == 1
    assert not RecordVerifier(runtime().redis, runtime().prefix).verify("held").faults
    assert not huey.set_task("send", paused=False).paused
    for job in (*jobs, later, fails):
        job.wait(20)
    sent = [int(line.split()[1]) for line in file.read_text().splitlines() if line[0] == "s"]
    assert sent[:2] in ([0, 1], [1, 0])
    assert [n for n in sent[2:] if n in range(2, 12)] == list(range(2, 12))
    assert sorted(sent[2:]) == [1, *range(2, 13)]
    assert {job.refresh().attempts_made for job in (*jobs, later)} == {1}
