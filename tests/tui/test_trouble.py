"""The alerts and circuits screens: since when, how bad it was, who did it, what waits for it."""

from __future__ import annotations

import pytest

from hsejobs.settings import load_settings
from hsejobs.store import keys
from hsejobs.store.alerts import AlertStore
from hsejobs.store.circuits import Circuits
from hsejobs.store.work import short_reason
from hsejobs.watch.alerts import Watch, judge
from hsejobs.watch.rules import Reading
from tests.support.waiting import redis_ms
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.failed_past import mark

CIRCUIT = "webhook:org-1:hooks.example.com:443"
SIZES = [(80, 24), (200, 50)]


def _reading(value: float) -> Reading:
    return Reading("waiting", "mail", value, 100, f"{value:.0f} jobs wait")


def test_an_alert_keeps_its_worst_value_also_when_it_is_over() -> None:
    alert = judge(_reading(150), None, 1_000)
    for at, value in enumerate((400, 300, 120, 10, 10, 10), 2):
        assert alert is not None
        alert = judge(_reading(value), alert, at * 1_000)
    assert alert is not None
    assert (alert["state"], alert["peak"], alert["worst"]) == ("off", 400, "400 jobs wait")
    again = judge(_reading(200), alert, 9_000)
    assert again is not None
    assert (again["state"], again["peak"], again["sinceMs"]) == ("on", 200, 9_000)
    # One that an earlier release wrote.
    older = {**again, "message": "500 jobs wait", "value": 500}
    del older["peak"], older["worst"]
    found = judge(_reading(150), older, 10_000)
    assert found is not None
    assert (found["peak"], found["worst"]) == (500, "500 jobs wait")


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
async def test_worst_value_since_when_and_who_paused(stage: Stage, size: tuple[int, int]) -> None:
    for n in range(3):
        stage.add(f"job-{n}")
    now = redis_ms(stage.redis)
    ended = {
        "rule": "failures",
        "queue": "mail",
        "state": "off",
        "value": 0,
        "limit": 10,
        "peak": 48,
        "worst": "48 % of the jobs failed",
        "message": "0 % of the jobs failed",
        "sinceMs": now - 1_500_000,
        "endedMs": now - 300_000,
        "calm": 3,
        "told": {},
        "tries": {},
    }
    AlertStore(stage.redis, "t").put(ended)
    mark(stage, 40, "alert", "oldest: a job has waited for 12 minutes", "mail")
    mark(stage, 30, "alert", "oldest ended: a job has waited for 0 minutes", "mail")
    mark(stage, 400, "alert", "memory ended: long ago")
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("P", "y")
        await until(pilot, lambda: stage.reader.stats(["mail"])[0].is_paused, "the pause")
        who = app.session.source.actor.who
        await pilot.press("5")
        await shows(pilot, "1 active now, 2 ended", "paused, 3 jobs wait", f"paused by {who}")
        await pilot.press("j")
        await shows(pilot, "48 % of the jobs failed", "worst 48 %", "lasted 20m", "ended 5m ago")
        await pilot.press("j")
        await shows(pilot, "a job has waited for 12 minutes", "lasted 10m")
        assert "long ago" not in text_of(app)


@pytest.mark.anyio
async def test_an_alert_that_lasts_shows_its_worst_value(stage: Stage) -> None:
    for n in range(5):
        stage.add(f"job-{n}")
    settings = {"QUEUE_REDIS_URL": stage.url, "QUEUE_REDIS_PREFIX": "t", "JOBS_ALERT_WAITING": "1"}
    Watch(stage.redis, load_settings(settings)).tick()
    for n in range(2):
        stage.writer.remove("mail", f"job-{n}")
    from hsejobs.watch.rules import Limits

    app = stage.app(limits=Limits(waiting=1, no_worker_ms=None))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("5")
        await shows(pilot, "3 jobs wait", "worst 5", "for ")


@pytest.mark.anyio
async def test_the_queue_of_an_alert_is_paused_from_there(stage: Stage) -> None:
    from hsejobs.watch.rules import Limits

    for n in range(3):
        stage.add(f"job-{n}")
    app = stage.app(limits=Limits(waiting=1, no_worker_ms=None))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("5")
        await shows(pilot, "3 jobs wait")
        await pilot.press("P", "y")
        await until(pilot, lambda: stage.reader.stats(["mail"])[0].is_paused, "the pause")


def hold(stage: Stage, job_id: str, circuit: str) -> None:
    """Postpones a job because of a circuit, as a worker does. No other job may be waiting."""
    stage.add(job_id, org="org-1")
    ((found, token),) = stage.claim()
    assert found == job_id
    stage.work.postpone(job_id, token, 60_000, reason=short_reason("circuit_open", circuit))


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
async def test_circuits_in_the_order_of_trouble(stage: Stage, size: tuple[int, int]) -> None:
    circuits = Circuits(stage.redis, "t")
    circuits.report(
        "smtp:a.example.com:587", "x", "fail", "421", threshold=9, open_ms=1, longest_ms=1
    )
    circuits.open("smtp:b.example.com:587")
    circuits.open(CIRCUIT)
    for n in range(3):
        hold(stage, f"job-{n}", CIRCUIT)
    stage.add("other", delay=60_000)
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("6")
        await shows(pilot, "2 of 3 open", "3 jobs held", "hooks.example.com:443", "by hand")
        await shows(pilot, "holds 3 of mail", "since ")
        hosts = [
            line
            for line in text_of(app).splitlines()
            if "example.com" in line and "hold" not in line
        ]
        assert [line.split()[0] for line in hosts][-1] == "closed"
        assert "hooks" in hosts[0]
        await pilot.press("c")
        await shows(pilot, "It holds 3 jobs.")
        await pilot.press("y")
        await until(pilot, lambda: circuits.get(CIRCUIT).state == "closed", "the circuit is closed")
        # Its jobs keep the time that it set: nothing holds them any more, and they do not run yet.
        await shows(pilot, "calls are allowed again", "1 of 3 open")
        await until(pilot, lambda: "jobs held" not in text_of(app), "no job is held")


@pytest.mark.anyio
async def test_what_the_last_circuit_that_was_closed_has_delayed_is_still_known(
    stage: Stage,
) -> None:
    Circuits(stage.redis, "t").open(CIRCUIT)
    hold(stage, "one", CIRCUIT)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("6")
        await shows(pilot, "1 of 1 open", "holds 1 of mail")
        await pilot.press("c", "y")
        await shows(pilot, "0 of 1 open", "1 of mail still wait for the time that it set")
        await pilot.press("enter")
        await shows(pilot, "one", "1 / 1")


@pytest.mark.anyio
async def test_the_circuits_of_one_host_are_one_alert_and_its_jobs_say_what_holds_them(
    stage: Stage,
) -> None:
    names = [f"webhook:org-{n}:hooks.example.com:443" for n in range(3)]
    for n, name in enumerate(names):
        Circuits(stage.redis, "t").open(name)
        hold(stage, f"job-{n}", name)
    app = stage.app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await shows(pilot, "circuits of 3 organizations held open by a person", "3 held by 3")
        assert text_of(app).count("hooks.example.com:443") == 2
        await pilot.press("enter")
        await shows(pilot, "job-0", "held by the circuit of hooks.example.com:443")
        assert "added with a delay" not in text_of(app)


@pytest.mark.anyio
async def test_what_a_circuit_with_a_long_name_holds_is_counted(stage: Stage) -> None:
    long = "webhook:org-1:a-very-long-name-of-a-receiver.hooks.example.com:443"
    Circuits(stage.redis, "t").open(long)
    hold(stage, "one", long)
    # A reason of an earlier postponement says nothing now.
    hold(stage, "two", long)
    stage.redis.command(
        "HSET", keys.of(keys.base("t", "mail"), "job", "two"), "wy", "1 circuit_open x"
    )
    app = stage.app(ascii_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("6")
        await shows(pilot, "holds 1 of mail")
        await settle(pilot)
        assert text_of(app).isascii()
