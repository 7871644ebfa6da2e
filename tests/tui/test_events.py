"""The events screen: the window of time, a filter, reasons."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs.errors import InvalidOption
from hsejobs.store import keys
from hsejobs_tui.core.event_list import EventFilter, Happened
from hsejobs_tui.widgets.rows import Rows
from tests.support.waiting import redis_ms
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.failed_past import fail

EVENTS = keys.of(keys.base("t", "mail"), "events")


def old_event(stage: Stage, minutes: float, kind: str, job_id: str, org: str = "") -> None:
    """An event at an earlier time, before all others; the oldest one first."""
    at = redis_ms(stage.redis) - int(minutes * 60_000)
    stage.redis.command("XADD", EVENTS, f"{at}-0", kind, f"{job_id}\t{org}")


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_each_event_has_its_reason(stage: Stage, size: tuple[int, int]) -> None:
    old_event(stage, 5, "failed", "forgotten", "org-1")
    fail(stage, "broken", "KeyError: 'subject'", "org-7")
    stage.add("late", delay=90_000)
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("7")
        await shows(pilot, "runs in 90s", "KeyError", "the job is gone", "forgotten")
        await pilot.press("j", "enter")
        await shows(pilot, "mail / broken")


@pytest.mark.anyio
async def test_a_filter_and_a_wrong_one(stage: Stage) -> None:
    for n in range(3):
        fail(stage, f"job-{n}", "it broke", f"org-{n}")
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("7")
        await shows(pilot, "job-0", "job-2", "9 events")
        await pilot.press("slash", *"tries=2", "enter")
        await shows(pilot, "unknown field: use event, queue, id, org")
        await pilot.press("escape", "slash", *"failed org!=org-1", "enter")
        await shows(pilot, "2 events", "/failed org!=org-1", "job-0", "job-2")
        assert "job-1" not in text_of(app)
        fail(stage, "late", "it broke", "org-9")
        await shows(pilot, "3 events", "late")
        await pilot.press("escape")
        await shows(pilot, "12 events")


@pytest.mark.anyio
async def test_the_window_of_time_and_where_the_feed_begins(stage: Stage) -> None:
    old_event(stage, 50, "failed", "early")
    old_event(stage, 10, "failed", "recent")
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("7")
        await shows(pilot, "early", "recent")
        assert "complete since" not in text_of(app)
        await pilot.press("plus")
        await until(pilot, lambda: "early" not in text_of(app), "the shorter window")
        await shows(pilot, "recent", "[15m]")
        await pilot.press("t", *"45m", "enter")
        await shows(pilot, "early")
        assert "recent" not in text_of(app)
        # A window of the past takes no events that happen now.
        stage.add("arrived")
        await settle(pilot)
        await settle(pilot)
        assert "arrived" not in text_of(app)
        await pilot.press("full_stop")
        await shows(pilot, "arrived", "recent")


@pytest.mark.anyio
async def test_a_frozen_list_says_how_many_came_meanwhile(stage: Stage) -> None:
    stage.add("first")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("7")
        await shows(pilot, "first")
        await pilot.press("space")
        stage.add("second")
        await shows(pilot, "frozen, 1 newer")
        assert "second" not in text_of(app)
        await pilot.press("space")
        await shows(pilot, "second")


@pytest.mark.anyio
async def test_the_cursor_stays_on_its_event(stage: Stage) -> None:
    for n in range(60):
        stage.add(f"job-{n:02}")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("7")
        await shows(pilot, "job-59")
        await pilot.press(*["j"] * 30)
        await shows(pilot, "> ", "job-29")
        for n in range(60, 70):
            stage.add(f"job-{n}")
        await shows(pilot, "70 events")
        await settle(pilot)
        line = next(line for line in text_of(app).splitlines() if line.startswith("> "))
        assert "job-29" in line


@pytest.mark.anyio
async def test_a_key_that_moves_goes_by_what_is_shown_now(stage: Stage) -> None:
    """Events that come all the time put what was seen a moment ago far below."""
    for n in range(40):
        stage.add(f"early-{n}")
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("7")
        await shows(pilot, "early-39")
        await settle(pilot)
        for n in range(15):
            stage.add(f"late-{n}")
        app.session.poll_soon()
        await shows(pilot, "late-14")
        await pilot.press("j")
        rows: Any = app.screen.query_one(Rows)
        assert rows.cursor == 1
        assert rows.key.endswith("late-13")
        await pilot.press("slash")
        assert rows.cursor == 1


@pytest.mark.anyio
async def test_a_confined_session_sees_its_own_events(stage: Stage) -> None:
    fail(stage, "mine", "it broke", "org-1")
    fail(stage, "theirs", "it broke", "org-2")
    stage.writer.pause("mail")
    app = stage.app(organization_id="org-1", ascii_only=True, read_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("7")
        await shows(pilot, "mine", "it broke")
        await settle(pilot)
        assert "theirs" not in text_of(app)
        assert "paused" not in text_of(app)
        assert text_of(app).isascii()


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        ("", True),
        ("FAIL mail", True),
        ("event=failed", True),
        ("event=fail", False),
        ("event~fail id!=b", True),
        ("org!~org", False),
        ("queue=other", False),
    ],
)
def test_terms(line: str, fits: bool) -> None:
    one = Happened(1, 0, "mail", "failed", "a", "org-1")
    assert EventFilter.parse(line).matches(one) is fits


@pytest.mark.parametrize("line", ["tries=2", "event=", "a=b"])
def test_wrong_terms(line: str) -> None:
    with pytest.raises(InvalidOption):
        EventFilter.parse(line)


@pytest.mark.anyio
async def test_a_feed_that_does_not_reach_back_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "EVENTS_KEPT", 3)
    for minutes in (20, 15, 10):
        old_event(stage, minutes, "failed", f"{minutes}-ago")
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("7")
        await shows(pilot, "20-ago", "complete since")
