"""A list that changes between the look and the key: the key means what was seen."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from hsejobs_tui.core import failures
from hsejobs_tui.core.failures import Trend
from hsejobs_tui.core.groups import Group
from hsejobs_tui.dialogs.counting import Counted
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.widgets import look
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, until

FIRST, SECOND, THIRD = "alpha broke", "beta broke", "gamma broke"


def names(app: Any) -> list[str]:
    """The errors in the order of the list."""
    view = app.screen
    return [view.shown[row.key].error for _, row in sorted(view.rows.at.items())]


async def opened(stage: Stage, pilot: Pilot[Any]) -> None:
    """Opens the failures screen with three groups, and looks at it."""
    await pilot.press("2")
    await settle(pilot)
    assert names(pilot.app) == [FIRST, SECOND, THIRD]


async def overtaken(stage: Stage, pilot: Pilot[Any]) -> None:
    """Then the third group becomes the worst by far."""
    app: Any = pilot.app
    for n in range(20):
        stage.fail(f"late-{n}", THIRD)
    app.screen._due = app.screen._past_due = float("-inf")
    app.session.poll_soon()
    await until(pilot, lambda: names(app) == [THIRD, FIRST, SECOND], "the new order")
    await settle(pilot)


def filled(stage: Stage) -> None:
    for text, count in ((FIRST, 9), (SECOND, 6), (THIRD, 3)):
        for n in range(count):
            stage.fail(f"{text[:5]}-{n}", text)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("keys", "unseen", "wanted"),
    [
        ("", 1e9, FIRST),
        ("j", 1e9, SECOND),
        ("jj", 1e9, THIRD),
        ("jjk", 1e9, SECOND),
        # The user who has seen the new order, and has not moved the cursor, has it on the worst group.
        ("", 0.0, THIRD),
        ("j", 0.0, FIRST),
    ],
)
async def test_an_act_is_about_the_group_that_was_seen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, keys: str, unseen: float, wanted: str
) -> None:
    monkeypatch.setattr(look, "UNSEEN", unseen)
    filled(stage)
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await opened(stage, pilot)
        await overtaken(stage, pilot)
        await pilot.press(*keys, "r")
        await until(pilot, lambda: isinstance(app.screen, Counted), "the question")
        await shows(pilot, wanted)
        await pilot.press("escape")


@pytest.mark.anyio
async def test_a_cursor_that_was_moved_stays_on_its_group(stage: Stage) -> None:
    filled(stage)
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await opened(stage, pilot)
        await pilot.press("j")
        key = app.screen.rows.key  # type: ignore[attr-defined]
        await overtaken(stage, pilot)
        assert app.screen.rows.key == key  # type: ignore[attr-defined]
        assert app.screen.rows.cursor == 2  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_enter_opens_the_job_that_was_seen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a list of which only a part is loaded, and to which jobs are added at the top."""
    monkeypatch.setattr(look, "UNSEEN", 1e9)
    for n in range(4):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "4 failed")
        await pilot.press("enter")
        await shows(pilot, "1 / 4", "job-3")
        await settle(pilot)
        for n in range(3):
            stage.fail(f"late-{n}")
        await shows(pilot, "1 / 7", "late-2")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, JobView), "the job")
        assert app.screen.job_id == "job-3"  # type: ignore[attr-defined]
        await pilot.press("escape")
        await settle(pilot)
        # From here on, the cursor follows that job.
        assert app.screen.rows.key == "job-3"  # type: ignore[attr-defined]


def group(name: str, count: int) -> Group:
    return Group("mail", "error", name, count=count)


@pytest.mark.parametrize(
    ("before", "recents", "after"),
    [
        ("", {"a": 96, "b": 97}, "ba"),
        ("ab", {"a": 96, "b": 97}, "ab"),
        ("ab", {"a": 96, "b": 119}, "ab"),
        ("ab", {"a": 96, "b": 140}, "ba"),
        ("ab", {"a": 2, "b": 4}, "ab"),
        ("ab", {"a": 88, "b": 76}, "ab"),
        ("ab", {"a": 0, "b": 1}, "ba"),
        ("abc", {"a": 50, "b": 10, "c": 30}, "acb"),
        ("ab", {"a": 50, "b": 10, "n": 200, "c": 30}, "nacb"),
    ],
)
def test_groups_that_are_about_equally_frequent_keep_their_places(
    before: str, recents: dict[str, int], after: str
) -> None:
    # How many jobs are still there does not matter while errors come.
    groups = [group(name, 1_000 // (recent + 1)) for name, recent in recents.items()]
    keys = {one.error: one.key for one in groups}
    trends = {keys[name]: Trend(failed=recent, recent=recent) for name, recent in recents.items()}
    known = [keys[name] for name in before if name in keys]
    assert "".join(one.error for one in failures.order(groups, trends, known)) == after
