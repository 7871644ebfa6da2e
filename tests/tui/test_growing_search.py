"""What was found is searched for again while it is shown: jobs come, end and are moved meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from hsejobs.model import State
from hsejobs_tui.core.text import clock
from hsejobs_tui.screens import finding
from hsejobs_tui.widgets.rows import Rows
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, until


def found(app: Any) -> list[str]:
    """The ids of the list."""
    rows = app.screen.query_one(Rows)
    return [row.key for _, row in sorted(rows.at.items())]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches again with the next poll."""
    monkeypatch.setattr(finding, "AGAIN", 0.0)
    monkeypatch.setattr(finding, "SHARE", 0.0)


@pytest.mark.anyio
@pytest.mark.usefixtures("at_once")
async def test_a_filtered_list_follows_what_matches(stage: Stage) -> None:
    for n in range(3):
        stage.fail(f"old-{n}", "timeout of one")
    stage.fail("other", "no such thing")
    app: Any = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await settle(pilot)
        await pilot.press(*"/timeout", "enter")
        await shows(pilot, "3 found in 4 failed")
        await pilot.press("j")
        chosen = app.screen.query_one(Rows).key
        stage.fail("new", "timeout of two")
        app.session.poll_soon()
        await shows(pilot, "4 found in 5 failed")
        assert "new" in found(app)
        assert app.screen.query_one(Rows).key == chosen
        # Its version is the present one, so that an act is not refused.
        await pilot.press("r")
        await until(pilot, lambda: stage.counts()["waiting"] == 1, "the retry")
        await shows(pilot, "3 found in 4 failed")
        assert stage.reader.job("mail", chosen).status is State.WAITING


@pytest.mark.anyio
async def test_a_list_that_is_older_says_of_when_it_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "AGAIN", 1e9)
    stage.fail("one", "timeout")
    app: Any = stage.app()
    async with app.run_test() as pilot:
        await settle(pilot)
        await pilot.press(*"/timeout", "enter")
        await shows(pilot, "1 found in 1 failed; none in other states")
        at = clock(app.screen._as_of)[-8:]
        stage.fail("two", "timeout")
        app.session.poll_soon()
        await shows(pilot, f"1 found in 1 failed at {at}; none in other states")


@pytest.mark.anyio
@pytest.mark.usefixtures("at_once")
async def test_nothing_is_searched_again_while_nothing_changes(stage: Stage) -> None:
    stage.fail("one", "timeout")
    app: Any = stage.app()
    async with app.run_test() as pilot:
        await settle(pilot)
        await pilot.press(*"/timeout", "enter")
        await shows(pilot, "1 found in 1 failed")
        hits = app.screen.hits
        for _ in range(3):
            app.session.poll_soon()
            await settle(pilot)
        assert app.screen.hits is hits


@pytest.mark.anyio
async def test_a_duration_counts_back_by_the_clock_of_redis(stage: Stage) -> None:
    """The operator's machine may have another time."""
    stage.fail("one", "timeout")
    app: Any = stage.app()
    async with app.run_test() as pilot:
        await settle(pilot)
        with time_machine.travel("2030-01-01", tick=True):
            await pilot.press(*"/since=10m", "enter")
            await shows(pilot, "1 found in 1 failed")
