"""The workers screen, and stalled jobs at every first look."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs import codec
from hsejobs.model import State
from hsejobs.store import keys
from hsejobs.store.work import Done
from hsejobs.watch.metrics import _slots
from hsejobs.watch.rules import Limits
from hsejobs_tui import once
from hsejobs_tui.core.causes import read_causes, slots
from hsejobs_tui.core.running import read
from hsejobs_tui.screens.workers import Workers
from hsejobs_tui.session.places import QueuePlace
from tests.support.waiting import redis_ms, tick
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until

SIZES = [(80, 24), (200, 50)]


def ordered(stage: Stage, worker: str = "worker-7-99") -> bytes | None:
    """What a consumer was asked to do."""
    found: bytes | None = stage.redis.command("GET", f"{keys.base('t', 'mail')}wo:{worker}")
    return found


def begin(
    stage: Stage, job_id: str, org: str | None = None, *, lease_ms: int = 30_000, ago_ms: int = 0
) -> str:
    """Adds a job and claims it, as if ``ago_ms`` ago; returns the token. No other job may be waiting."""
    stage.add(job_id, org=org)
    _, [claim] = stage.work.step([], 1, f"token-of-{job_id}", lease_ms)
    assert claim.id == job_id
    if ago_ms:
        record = keys.of(keys.base("t", "mail"), "job", job_id)
        stage.redis.command("HSET", record, "pt", redis_ms(stage.redis) - ago_ms)
    return claim.token


def beat(stage: Stage, *jobs: str, **more: Any) -> None:
    """The heartbeat of a consumer that runs these jobs."""
    slots = [{"job": one, "task": "m.send", "attempt": 1, "runningFor": 1_000} for one in jobs]
    record = {
        "id": "worker-7-99",
        "host": "worker-7",
        "pid": 99,
        "queue": "mail",
        "workers": "threads",
        "concurrency": 5,
        "startedAt": redis_ms(stage.redis) - 90_000,
        "release": "4f1c",
        "memory": 64_000_000,
        "hung": 0,
        "slots": [*slots, *[None] * (5 - len(slots))],
        **more,
    }
    stage.work.heartbeat(record["id"], codec.dumps(record), 60_000)


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
async def test_the_oldest_running_job_with_one_key(stage: Stage, size: tuple[int, int]) -> None:
    """Its worker, task, organization, time and progress, at every width."""
    begin(stage, "young", "org-1", ago_ms=5_000)
    token = begin(stage, "old", "org-007", ago_ms=1_860_000)
    stage.work.progress("old", token, 62, "page 31 of 50")
    beat(stage, "young", "old")
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("3")
        await shows(pilot, "31m", "send", "org-007", "62 %", "worker-7 pid 99 slot 2")
        lines = text_of(app).splitlines()
        first = next(n for n, line in enumerate(lines) if "org-007" in line)
        assert "org-1 " in lines[first + 1]
        await shows(pilot, "1 worker, 2 of 5 slots busy", "4f1c", "64.0 MB")
        await pilot.press("enter")
        await shows(pilot, "mail / old")


@pytest.mark.anyio
async def test_what_is_said_of_the_running_jobs_is_what_is_listed(stage: Stage) -> None:
    """A heartbeat is some seconds old: jobs have begun and ended since then."""
    begin(stage, "job-1", "org-1")
    begin(stage, "job-2", "org-2")
    beat(stage)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2/5")
        await pilot.press("3")
        await shows(pilot, "1 worker, 2 of 5 slots busy", "org-1", "org-2", " 2/5 ")
        beat(stage, "job-1", "job-2")
        for at in (1, 2):
            assert stage.work.step([Done(f"job-{at}", f"token-of-job-{at}", 9, b"1")], 0, "-", 0)
        await shows(pilot, "1 worker, 0 of 5 slots busy", "No job is running", " 0/5 ")
        await pilot.press("1")
        await shows(pilot, "0/5")
        # It has not sent a heartbeat yet.
        stage.work.heartbeat("worker-7-99", b"", 60_000)
        begin(stage, "job-3", "org-3")
        await pilot.press("3")
        await shows(pilot, "0 workers, 0 slots, 1 job running", "org-3")


@pytest.mark.anyio
async def test_a_heartbeat_without_slots_is_one_of_a_consumer(stage: Stage) -> None:
    """Another release may have sent it."""
    begin(stage, "job-1", "org-1")
    beat(stage, slots=None, concurrency=None, state="running")
    app = stage.app()
    seen = app.session.source.snapshot()
    assert slots(seen, seen.queues[0]) == (0, 0)
    assert read_causes(app.session.source, seen, None, ["mail"]).fillers == {}
    assert [one.worker for one in read(app.session.source, seen)] == [None]
    assert _slots(stage.redis, "t", ["mail"]) == [
        ("", {"queue": "mail", "state": "busy"}, 0),
        ("", {"queue": "mail", "state": "free"}, 0),
    ]
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("3")
        await shows(pilot, "1 worker, 0 slots, 1 job running", "worker-7", " 1/0 ")
        await pilot.press("tab", "Q")
        await shows(pilot, "the consumer of mail on worker-7, pid 99")


@pytest.mark.anyio
async def test_before_the_running_jobs_are_read_nothing_is_said_of_them(stage: Stage) -> None:
    begin(stage, "job-1", "org-1")
    beat(stage)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "mail")
        screen = Workers()
        app.push_screen(screen)
        assert "what runs: reading" in screen.head().plain
        await shows(pilot, "1 worker, 1 of 5 slots busy")


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
async def test_a_job_that_reports_no_progress_beside_one_that_does_says_so(
    stage: Stage, size: tuple[int, int]
) -> None:
    begin(stage, "silent", "org-1", ago_ms=600_000)
    token = begin(stage, "tells", "org-2", ago_ms=5_000)
    stage.work.progress("tells", token, 62, "page 31 of 50")
    beat(stage, "silent", "tells")
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("3")
        await shows(pilot, "org-1", "no progress", "62 %")
        lines = text_of(app).splitlines()
        assert "no progress" in next(line for line in lines if " org-1 " in line)
        assert "no progress" not in next(line for line in lines if " org-2 " in line)


@pytest.mark.anyio
async def test_a_running_job_is_cancelled_with_three_keys(stage: Stage) -> None:
    begin(stage, "old", ago_ms=60_000)
    beat(stage, "old")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("3", "K", "y")
        await until(pilot, lambda: bool(stage.reader.job("mail", "old").cancel), "the cancel")
        await shows(pilot, "cancelling")


@pytest.mark.anyio
async def test_stalled_jobs_of_dead_workers_come_first(stage: Stage) -> None:
    begin(stage, "lost", "org-9", lease_ms=1, ago_ms=2_000)
    begin(stage, "old", ago_ms=600_000)
    beat(stage, "old")
    tick(stage.redis)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("3")
        await shows(pilot, "1 stalled", "its worker died")
        lines = text_of(app).splitlines()
        assert next(
            n for n, line in enumerate(lines) if "stalled " in line and "org-9" in line
        ) < next(n for n, line in enumerate(lines) if "pid 99" in line)


@pytest.mark.anyio
async def test_the_lists_of_the_screen_have_their_own_cursors(stage: Stage) -> None:
    begin(stage, "one", ago_ms=9_000)
    beat(stage, "one")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("3")
        await shows(pilot, "slot 1", "consumers")
        await pilot.press("tab", "K")
        await settle(pilot)
        assert stage.reader.job("mail", "one").cancel is None
        await pilot.press("enter")
        await shows(pilot, "mail / one")


@pytest.mark.anyio
async def test_a_silent_consumer_and_a_queue_without_one_stand_out(stage: Stage) -> None:
    begin(stage, "one", ago_ms=60_000)
    beat(stage, "one")
    stage.redis.command(
        "ZADD",
        keys.of(keys.base("t", "mail"), "workers"),
        redis_ms(stage.redis) - 40_000,
        "worker-7-99",
    )
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("3")
        await shows(pilot, "silent 4", ": dead or frozen")
    stage.redis.command("DEL", keys.of(keys.base("t", "mail"), "worker", "worker-7-99"))
    stage.add("waits")
    async with (again := stage.app()).run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("3")
        await shows(pilot, "no worker, 1 job waits")
        assert again.view is not None


def test_tui_once_sees_stalled_jobs(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Seen: the first look compared leases with a clock that was 0."""
    begin(stage, "lost", lease_ms=1)
    beat(stage)
    tick(stage.redis)
    tick(stage.redis)
    once.show(stage.options(limits=Limits(stalled_ms=1)))
    shown = capsys.readouterr().out
    assert "warning: mail: 1 job stalled and no worker takes it over" in shown


@pytest.mark.anyio
async def test_the_first_look_sees_stalled_jobs(stage: Stage) -> None:
    begin(stage, "lost", lease_ms=1)
    beat(stage)
    tick(stage.redis)
    tick(stage.redis)
    app = stage.app(limits=Limits(stalled_ms=1), refresh=3600)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "1 in trouble", "Alerts 1")
        await pilot.press("5")
        await shows(pilot, "1 job stalled and no worker takes it over")


@pytest.mark.anyio
async def test_a_consumer_becomes_quiet_and_is_woken(stage: Stage) -> None:
    begin(stage, "old", ago_ms=60_000)
    stage.add("waits")
    beat(stage, "old", state="running")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("3")
        await shows(pilot, "slot 1")
        await pilot.press("tab", "Q")
        await shows(
            pilot,
            "Quiet the consumer of mail on worker-7, pid 99?",
            "1 running job finishes",
            "mail has no other worker: 1 waiting job",
        )
        assert ordered(stage) is None
        await pilot.press("y")
        await until(pilot, lambda: ordered(stage) == b"quiet", "the order")
        beat(stage, "old", state="quiet")
        await shows(pilot, "quiet, 1 running")
        await pilot.press("Q")
        await until(pilot, lambda: ordered(stage) == b"wake", "the order to wake")
        app.session.open(QueuePlace("mail", State.WAITING))
        await shows(pilot, "all its workers are quiet: Q wakes them")


@pytest.mark.anyio
async def test_all_consumers_of_a_host_restart_and_one_has_ended(stage: Stage) -> None:
    for number in (1, 2):
        beat(stage, id=f"w-{number}", pid=number, state="running")
    beat(stage, id="w-3", pid=3, host="worker-8", state="running")
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("3", "tab", "R")
        await shows(pilot, "Restart which consumers?", "all 2 of the host worker-7")
        await pilot.press("2")
        await shows(pilot, "Restart all 2 consumers on worker-7?", "Nothing runs there")
        assert "no other worker" not in text_of(app)
        stage.work.heartbeat("w-2", b"", 60_000)
        await pilot.press("y")
        await until(pilot, lambda: ordered(stage, "w-1") == b"restart", "the order")
        await shows(pilot, "w-2 of mail: it is not alive any more")
    assert (ordered(stage, "w-2"), ordered(stage, "w-3")) == (None, None)
