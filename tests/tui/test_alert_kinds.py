"""Enter on an alert of any kind opens something that helps, or the footer does not name it."""

from __future__ import annotations

import inspect
import re

import pytest
import redis
from textual.pilot import Pilot

from hsejobs.watch import alerts as watch
from hsejobs.watch import rules
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core import alerts as shown
from hsejobs_tui.core.alerts import Alert
from hsejobs_tui.screens.alerts import Alerts
from tests.tui.conftest import Stage
from tests.tui.driving import shows, text_of, until
from tests.tui.test_workers import beat, begin

HOST = "hooks.example.com:443"
#: What the kinds are about that are about no queue.
ABOUT = {"circuit": HOST, "memory": "redis", "eviction": "redis", "redis": ""}
#: What is shown first, where it is not the queue.
OPENS = {
    "failures": "Failures",
    "circuit": "CircuitList",
    "tenant_held": "Tenants",
    "redis": "Insight",
    "memory": "Choose",
    "eviction": "Choose",
    **dict.fromkeys(("no_worker", "stalled", "unknown_task", "sealed"), "Workers"),
}


def kinds() -> list[str]:
    """Every rule that the code may show as an alert."""
    found = set(re.findall(r'Reading\("(\w+)"', inspect.getsource(rules)))
    found |= set(re.findall(r'Alert\(\s*"note", "(\w+)"', inspect.getsource(shown)))
    found |= set(re.findall(r'_alert\("(\w+)"', inspect.getsource(watch)))
    return sorted(found | {"circuit"})


def test_the_kinds_are_all() -> None:
    assert len(kinds()) == 15
    assert set(OPENS) <= set(kinds())


async def on_alert(pilot: Pilot[None], monkeypatch: pytest.MonkeyPatch, one: Alert) -> JobsApp:
    monkeypatch.setattr(Alerts, "every", property(lambda _: [one]))
    await pilot.press("5")
    await shows(pilot, one.what)
    assert isinstance(pilot.app, JobsApp)
    return pilot.app


@pytest.mark.anyio
@pytest.mark.parametrize("ended", [None, 2_000])
@pytest.mark.parametrize("kind", kinds())
async def test_enter_on_each_kind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str, ended: int | None
) -> None:
    app = stage.app()
    level = "ended" if ended else "critical"
    one = Alert(level, kind, ABOUT.get(kind, "mail"), f"it is {kind}", "", 1_000, ended)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "mail")
        await on_alert(pilot, monkeypatch, one)
        await shows(pilot, "Enter Open")
        footer = text_of(app).splitlines()[-1]
        assert ("P Pause" in footer) == (kind not in ABOUT), footer
        await pilot.press("enter")
        wanted = OPENS.get(kind, "QueueView")
        await until(pilot, lambda: type(app.screen).__name__ == wanted, f"{wanted} for {kind}")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", sorted(set(kinds()) - set(ABOUT) - {"failures"}))
async def test_an_alert_of_a_queue_that_is_no_more_offers_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "mail")
        one = Alert("ended", kind, "gone", f"it is {kind}", "", 1_000, 2_000)
        await on_alert(pilot, monkeypatch, one)
        footer = text_of(app).splitlines()[-1]
        assert not any(word in footer for word in ("Enter Open", "P Pause", "H Hold")), footer


@pytest.mark.anyio
async def test_a_full_redis_says_why_what_next_and_where(
    stage: Stage, redis_client: redis.Redis
) -> None:
    for n in range(3):
        begin(stage, f"job-{n}")
    stage.fail("job-9")
    used = redis_client.info("memory")["used_memory"]
    redis_client.config_set("maxmemory", used * 95 // 100)
    try:
        app = stage.app()
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await pilot.press("5")
            await shows(pilot, "it refuses new jobs")
            await pilot.press("g", "enter")
            await shows(pilot, "Redis uses", "refuses new jobs", "CONFIG SET maxmemory", "1 failed")
            await pilot.press("1")
            await shows(pilot, "job-9")
    finally:
        redis_client.config_set("maxmemory", 0)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("policy", "limited", "words", "never"),
    [
        ("noeviction", True, ["refuses new jobs", "if the host has", "CONFIG SET"], "evicts"),
        ("noeviction", False, ["The limit is gone", "maxmemory is 0"], "CONFIG SET"),
        ("allkeys-lru", True, ["evicts keys", "jobs among them", "noeviction"], "refuses"),
        ("allkeys-lru", False, ["The limit is gone", "maxmemory is 0"], "CONFIG SET"),
    ],
)
async def test_the_advice_about_memory_is_of_the_limit_and_policy_that_redis_has(
    stage: Stage,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    limited: bool,
    words: list[str],
    never: str,
) -> None:
    stage.fail("job-9")
    limit = 10 * int(redis_client.info("memory")["used_memory"]) if limited else 0
    redis_client.config_set("maxmemory", limit)
    redis_client.config_set("maxmemory-policy", policy)
    try:
        app = stage.app()
        async with app.run_test(size=(120, 36), notifications=True) as pilot:
            await shows(pilot, "mail")
            one = Alert("ended", "memory", "redis", "it used its memory", "", 1_000, 2_000)
            await on_alert(pilot, monkeypatch, one)
            await pilot.press("enter")
            await shows(pilot, "all queues", *words)
            assert never not in text_of(app)
            # The end of the text is not cut off.
            await shows(pilot, "if need be.")
    finally:
        redis_client.config_set("maxmemory", 0)
        redis_client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.anyio
async def test_enter_on_a_consumer_that_runs_nothing_opens_its_queue(stage: Stage) -> None:
    beat(stage)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("3")
        await shows(pilot, "worker-7")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: type(app.screen).__name__ == "QueueView", "the queue")
