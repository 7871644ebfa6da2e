"""What was not read is not nothing: no figure and no empty list stands for it, on any screen.

While it is read, the screen says so; without Redis it says that, and of when its figures are.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from hsejobs.model import State
from hsejobs_tui.core.time_window import TimeWindow
from hsejobs_tui.router import CLASSES
from hsejobs_tui.screens.base import View
from hsejobs_tui.screens.failures import Failures
from hsejobs_tui.screens.insight import Insight
from hsejobs_tui.screens.queue import QueueView
from hsejobs_tui.screens.workers import Workers
from hsejobs_tui.session.places import InsightPlace, JobPlace, ListPlace, MatchPlace, QueuePlace
from tests.support.server import Server
from tests.tui import past
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.past import period

pytestmark = pytest.mark.anyio

LISTS = [one for one in CLASSES if one not in ("overview", "insight")]
PLACES: dict[str, Any] = {
    **{name: ListPlace(name) for name in LISTS},
    "insight": InsightPlace(),
    "a tenant's insight": InsightPlace(None, "tenant", "org-1"),
    "a queue": QueuePlace("mail", State.FAILED),
    "a search": QueuePlace("mail", State.FAILED, "broke"),
    "a job": JobPlace("mail", "job-1"),
    "all that match": MatchPlace("broke"),
}
#: What says that there is nothing.
CLAIMS = re.compile(r"\b0\b|\bNo (?!queue is reg)|\bnone\b|Nothing was|no one floods")


def filled(stage: Stage) -> None:
    """A failed job, and an hour of the past."""
    stage.fail("job-1", "it broke", org="org-1")
    now = past_now(stage)
    past.write(stage.redis, "mail", 60, lambda ago: period(5, 5, tenants={"org-1": 5}), now)


def past_now(stage: Stage) -> int:
    seconds, _ = stage.redis.command("TIME")
    return int(seconds) * 1000


def head_of(app: Any) -> str:
    """The head line."""
    return "".join(text_of(app).splitlines()[1:2])


def body_of(app: Any) -> str:
    """The screen without its navigation, its status line and its keys."""
    return "\n".join(text_of(app).splitlines()[1:-2])


def claims(app: Any) -> list[str]:
    """What says that there is nothing; without the counts of the snapshot, which was read."""
    text = body_of(app)
    if isinstance(app.screen, QueueView):
        text = head_of(app)
    elif isinstance(app.screen, Workers):
        text = text.replace(head_of(app), "")
    return CLAIMS.findall(text)


def loaded(app: Any) -> bool:
    """Whether the screen has read all that it shows."""
    screen = app.screen
    return isinstance(screen, View) and screen.is_mounted and screen.has_read and not screen.reading


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_what_is_still_read_is_not_nothing(stage: Stage, size: tuple[int, int]) -> None:
    filled(stage)
    app = stage.app()

    async def hang(*args: Any, **options: Any) -> None:
        await asyncio.Event().wait()

    async with app.run_test(size=size, notifications=True) as pilot:
        await shows(pilot, "1 queue")
        await settle(pilot)
        app.session.read = app.session.do = hang  # type: ignore[assignment,method-assign]
        for name, place in PLACES.items():
            app.open(place)
            await until(pilot, lambda: isinstance(app.screen, View), name)
            await until(pilot, lambda: "reading ..." in body_of(app).lower(), name)
            assert not claims(app), f"{name}: {claims(app)}\n{text_of(app)}"
            app.pop_screen()


async def test_without_redis_no_screen_says_that_there_is_nothing(
    stage: Stage, redis_server: Server
) -> None:
    """At the first look at each screen."""
    filled(stage)
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "1 queue")
        redis_server.freeze()
        try:
            await until(pilot, lambda: app.session.outage is not None, "the outage")
            for name, place in PLACES.items():
                app.open(place)
                said = ("Redis cannot be reached", "ot read")
                await until(pilot, lambda: all(one in body_of(app) for one in said), name)  # noqa: B023
                assert said[0] in head_of(app)
                assert not claims(app), f"{name}: {claims(app)}\n{text_of(app)}"
                assert not re.search("reading", body_of(app), re.I), text_of(app)
                app.pop_screen()
        finally:
            redis_server.thaw()


async def test_without_redis_each_screen_says_of_when_its_figures_are(
    stage: Stage, redis_server: Server
) -> None:
    """After each screen was read once; and all is read again afterwards."""
    filled(stage)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "1 queue")
        for name, place in PLACES.items():
            app.open(place)
            await until(pilot, lambda: loaded(app) and app.screen.read_at > 0, name)  # type: ignore[attr-defined]
        redis_server.freeze()
        try:
            await until(pilot, lambda: app.session.outage is not None, "the outage")
            for name in reversed(["overview", *PLACES]):
                said = re.compile(r"Redis cannot be reached, as of \d\d:\d\d:\d\d   \S")
                await until(pilot, lambda: bool(said.search(head_of(app))), name)  # noqa: B023
                assert "STALE" in text_of(app)
                if name != "overview":
                    app.pop_screen()
        finally:
            redis_server.thaw()
        app.session.poll_soon()
        await until(pilot, lambda: "cannot be reached" not in text_of(app), "the recovery")


async def test_what_an_outage_interrupts_is_read_when_redis_answers(
    stage: Stage, redis_server: Server
) -> None:
    """Also in a window that does not move, and also a search."""
    filled(stage)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "1 queue")
        app.session.show_window(TimeWindow("15m", past_now(stage) - 600_000))
        await settle(pilot)
        for name in ("insight", "a tenant's insight", "a search", "all that match", "failures"):
            redis_server.freeze()
            try:
                await until(pilot, lambda: app.session.outage is not None, "the outage")
                app.open(PLACES[name])
                await until(pilot, lambda: "cannot be reached" in head_of(app), name)
            finally:
                redis_server.thaw()
            app.session.poll_soon()
            await until(pilot, lambda: loaded(app), name)
            await until(pilot, lambda: "reading" not in text_of(app).lower(), name)
            app.pop_screen()


async def test_the_choice_of_a_part_shows_no_figure_before_it_is_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window is read, the part is not; a division that is not read has no parts of another."""
    filled(stage)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "1 queue")
        app.open(InsightPlace(None, "tenant"))
        await until(pilot, lambda: isinstance(app.screen, Insight) and loaded(app), "the window")
        await shows(pilot, "org-1")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, Insight)

        async def hang(*args: Any, **options: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(app.session, "do", hang)
        screen.do_part_down()
        await until(pilot, lambda: screen.state.part == "org-1", "the part")
        await shows(pilot, "UTC  reading ...", "tenant: org-1")
        assert not re.search(r"\b(in|out) 0\b|failed jobs 0", text_of(app)), text_of(app)
        screen.do_division()
        await shows(pilot, "by queue")
        [listed] = re.findall(r"by queue[^\n]*\n\W*(\S+)", text_of(app))
        assert listed == "reading"


def running(app: Any) -> list[str]:
    """The reads that a key has begun and that go on."""
    names = ("sample", "peek", "part")
    return [one.name for one in app.workers if one.name in names and not one.is_finished]


async def test_a_key_that_moves_does_no_harm_without_redis(
    stage: Stage, redis_server: Server
) -> None:
    """What it would read of the row below is not read, and the app goes on."""
    for n, text in enumerate(("It broke.", "KeyError: other", "Something third")):
        stage.fail(f"job-{n}", text)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "1 queue")
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, Failures) and loaded(app), "the groups")
        view = app.screen
        assert isinstance(view, Failures)
        await until(pilot, lambda: view.sample is not None, "the newest job of the first")
        await settle(pilot)
        redis_server.freeze()
        try:
            await until(pilot, lambda: app.session.outage is not None, "the outage")
            await pilot.press("down")
            await until(pilot, lambda: bool(running(app)) or app._exception is not None, "a read")
            await until(pilot, lambda: not running(app), "its end")
            assert app._exception is None
        finally:
            redis_server.thaw()
        await until(pilot, lambda: app.session.outage is None, "the end of the outage")
