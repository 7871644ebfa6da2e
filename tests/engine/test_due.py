"""A delayed job is swept at the moment at which it is due. The kind of fault is a wait that is longer than
what it waits for: rounded up, measured to the next look, or behind a duty that has time.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hsejobs.engine.maintenance import Maintenance
from hsejobs.engine.worker import JobWorker
from tests.engine import jobs
from tests.engine.bench import Steady
from tests.engine.test_queue import Host


@pytest.fixture
def maintenance(trial: Path) -> Maintenance:
    """The duties of a consumer that has just started."""
    made = Maintenance(Host(jobs.huey))
    while not made._registered:
        made.tick()
    return made


def test_what_is_due_is_not_late_because_nothing_may_count_as_stalled_yet(
    maintenance: Maintenance,
) -> None:
    """Seen: in the first two seconds of a consumer, delayed jobs waited for the next look at the slots."""
    now = time.monotonic()
    for duty in maintenance._duties:
        duty.at = now + 60
    maintenance._due_at = now + 0.003
    assert maintenance.calm.until > now
    assert maintenance._until_next(now) == pytest.approx(0.003)
    maintenance.calm.outage()
    assert maintenance._until_next(now) == pytest.approx(0.05)


def test_at_the_time_that_a_sweep_names_the_next_one_finds_the_job(
    maintenance: Maintenance,
) -> None:
    """To the microsecond: whole milliseconds are early, or late by one."""
    named = []
    for _ in range(20):
        jobs.echo.add({"n": 1}, delay=0.02)
        swept = maintenance.work.sweep(3)
        if swept.next_due is not None:
            named.append(swept.next_due)
            time.sleep(swept.next_due / 1000)
            assert maintenance.work.sweep(3).moved == 1
    assert any(due % 1 for due in named)


def test_a_sweep_that_is_due_goes_before_what_is_always_due(
    maintenance: Maintenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    now = time.monotonic()
    for duty in maintenance._duties:
        duty.at = now + 60
        monkeypatch.setattr(duty, "act", lambda name=duty.name: done.append(name))
    maintenance._listening.at = maintenance._due_at = now
    maintenance.tick()
    assert done == ["sweep"]
    # Not forever: one that is due all the time lets the other have its turn after a second.
    maintenance._listening.at = now - 2
    maintenance.tick()
    assert done == ["sweep", "listen"]


def test_only_jobs_that_others_wait_behind_are_watched_closely(
    trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that comes alone, however short, does not wake the maintenance thread."""
    host, woken = Host(jobs.huey), []
    monkeypatch.setattr(host, "wake_maintenance", lambda: woken.append(True))
    worker = JobWorker(host, host.slot)
    worker.initialize()
    worker.pace = Steady()
    worker._wait = lambda: None  # type: ignore[method-assign]

    def run(count: int) -> int:
        made = jobs.echo.add_many([{"n": n} for n in range(count)])
        while any(job.refresh().status != "completed" for job in made):
            worker.loop()
        return len(woken)

    assert run(1) == run(1) == 0
    assert run(2) == 1
    assert run(1) == 1
    assert run(3) == 2
    worker.shutdown()
