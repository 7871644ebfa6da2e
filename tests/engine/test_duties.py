"""Bulkheads: a duty that fails, is refused or takes long neither ends nor delays another.

The kind: one loop in which the first error ends everything behind it; an outcome that is dropped
because the call that should have written it failed.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from hsejobs.engine import JobHuey, duties, periodic
from hsejobs.engine.duties import Duty, PendingWrites
from hsejobs.engine.outage import Outage
from hsejobs.engine.periodic import Scheduler
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.errors import JobsError, RedisRefused, RedisUnavailable
from hsejobs.watch import logs


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The events that were logged."""
    found: list[str] = []
    monkeypatch.setattr(logs, "emit", lambda event, *args, **fields: found.append(event))
    return found


def raising(error: Exception) -> Any:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    "error", [RedisUnavailable("away"), JobsError("no"), TypeError("a mistake"), KeyError("k")]
)
def test_whatever_a_duty_raises_stays_in_it(error: Exception, lines: list[str]) -> None:
    outage, duty = Outage("q"), Duty("one", 1.0, raising(error))
    assert not duty.run("q", outage)
    assert duty.at > time.monotonic()
    duty.act = lambda: None
    assert duty.run("q", outage)
    assert duty.failures == 0


def test_a_duty_runs_often_early_after_the_start() -> None:
    outage, duty = Outage("q"), Duty("one", 60.0, lambda: None, early=time.monotonic() + 60)
    assert duty.run("q", outage)
    assert duty.at < time.monotonic() + duties.EARLY_EVERY
    duty.early = 0.0
    assert duty.run("q", outage)
    assert duty.at > time.monotonic() + duties.EARLY_EVERY


def test_a_fault_is_logged_once_and_retried_ever_more_seldom(lines: list[str]) -> None:
    outage, duty = Outage("q"), Duty("one", 1.0, raising(JobsError("no")))
    waits = []
    for _ in range(8):
        duty.run("q", outage)
        waits.append(round(duty.at - time.monotonic(), 1))
    assert lines == ["duty failed"]
    assert waits == sorted(waits)
    assert waits[-1] > 10 * waits[0]


def test_a_missing_right_to_listen_is_logged_and_is_not_an_outage(lines: list[str]) -> None:
    outage = Outage("q")
    Duty("listen", 0.0, raising(RedisRefused("no channel")), advisory=True).run("q", outage)
    Duty("listen", 0.0, raising(RedisUnavailable("gone")), advisory=True).run("q", outage)
    assert lines == ["duty failed"]
    assert outage._since is None


def test_an_outage_is_over_when_everybody_is_served(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsejobs.engine.outage.LOG_AFTER", 0.0)
    outage = Outage("q")
    for who in ("renew", "worker 1"):
        outage.begins(RedisUnavailable("away"), who)
    outage.ends("renew")
    outage.ends("sweep")
    assert lines == ["redis away"]
    outage.ends("worker 1")
    outage.ends("worker 1")
    assert lines == ["redis away", "redis back"]


def test_what_is_owed_is_kept_until_it_is_written() -> None:
    pending, away, written = PendingWrites(), [True], []

    def write() -> None:
        if away[0]:
            raise RedisUnavailable("away")
        written.append(1)

    # An outage outlasts any lease; only a fault is given up.
    pending.add(write, [("a", "t")], lease_ms=0)
    for _ in range(3):
        with pytest.raises(RedisUnavailable):
            pending.flush()
    assert pending.jobs() == [("a", "t")]
    away[0] = False
    pending.flush()
    assert (written, pending.writes) == ([1], [])


def test_a_connection_that_was_closed_meanwhile_holds_no_write_back() -> None:
    """Where connections are cut more often than writes are retried, none would ever be made."""
    pending, written = PendingWrites(), []

    def write() -> None:
        written.append(1)
        if len(written) == 1:
            raise RedisUnavailable("closed")

    pending.add(write, [("a", "t")], lease_ms=60_000)
    pending.flush()
    assert (len(written), pending.writes) == (2, [])


def test_a_redis_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maintenance thread must not wait twice as long."""
    monkeypatch.setattr(duties, "AT_ONCE", -1.0)
    pending, asked = PendingWrites(), []

    def write() -> None:
        asked.append(1)
        raise RedisUnavailable("no answer")

    pending.add(write, [("a", "t")], lease_ms=60_000)
    with pytest.raises(RedisUnavailable):
        pending.flush()
    assert (len(asked), pending.jobs()) == (1, [("a", "t")])


def test_one_fault_does_not_hold_up_what_is_owed_beside_it() -> None:
    pending, written = PendingWrites(), []
    pending.add(raising(JobsError("no")), [("a", "t")], lease_ms=60_000)
    pending.add(lambda: written.append(1), [("b", "t")], lease_ms=60_000)
    with pytest.raises(JobsError):
        pending.flush()
    assert written == [1]
    assert pending.jobs() == [("a", "t")]


def test_a_schedule_whose_function_raises_ends_nothing(
    redis_url: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen in production: it ended the consumer, again after each restart."""
    # One call checks both, on a slow machine, too.
    monkeypatch.setattr(periodic, "TURN", 60.0)
    reset_runtime()
    huey = JobHuey("scheduled")

    def never_well(time: Any) -> bool:
        raise ZeroDivisionError

    @huey.periodic_task(never_well)
    def first() -> None: ...

    @huey.periodic_task(lambda time: True)
    def second() -> None: ...

    schedules = Scheduler(huey)
    added = [schedules.check(1_800_000_000_000 + minute * 60_000) for minute in range(3)]
    assert [len(ids) for ids in added] == [1, 1, 1]
    assert set(lines) == {"schedule failed"}
    runtime().redis.close()
    reset_runtime()
