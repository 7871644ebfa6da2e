"""Problems that a first-time user found."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs.model import State
from hsejobs.store import registry
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.options import DashboardUser
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.screens.failures import Failures
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.screens.queue import QueueView
from tests.tui.conftest import Stage
from tests.tui.driving import shows, text_of, until

pytestmark = pytest.mark.anyio


async def test_a_search_that_finds_nothing_in_its_queue_continues_through_the_others(
    stage: Stage,
) -> None:
    registry.save(stage.redis, "t", QueueInfo("archive", [TaskInfo("a.b", {}, [])], "a.b"))
    stage.add("one", {"to": "ann@example.com"})
    stage.add("two", {"to": "bob@example.com"})
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "> ", "archive", "mail")
        # The queue with a waiting job is above the one that has none.
        await pilot.press("j", "slash", *"ann@", "enter")
        await shows(pilot, "0 found in 0 failed; Enter: 1 waiting in mail")
        await shows(pilot, "No matches in this state.")
        await pilot.press("enter")
        await shows(pilot, "mail 1 / 1", "1 found in 2 waiting", "to: ann@example.com")
        # Esc shows the whole list, then the overview: the archive queue is not on the way back.
        await pilot.press("escape")
        await shows(pilot, "mail 1 / 2")
        await pilot.press("escape")
        await shows(pilot, "2 queues")
        await pilot.press("slash", *"no-job", "enter")
        await shows(pilot, "none in any queue")
        await pilot.press("escape")
        await shows(pilot, "No jobs in this state.")


async def test_the_way_to_another_queue_by_mouse(stage: Stage) -> None:
    registry.save(stage.redis, "t", QueueInfo("archive", [TaskInfo("a.b", {}, [])], "a.b"))
    stage.fail("job-1", "odd error")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await app.push_screen(QueueView("archive", State.WAITING, "odd"))
        await shows(pilot, "Enter: 1 failed in mail")
        await pilot.click("#found")
        await shows(pilot, "mail 1 / 1", "1 found in 1 failed")


async def test_a_removed_row_hides_no_other_row(stage: Stage) -> None:
    for n in range(4):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "4 failed")
        await app.push_screen(QueueView("mail", State.FAILED))
        await shows(pilot, "1 / 4")
        await pilot.press("j")
        stage.writer.remove("mail", "job-2")
        await shows(pilot, "this job is gone", " gone")
        for name in ("job-3", "job-2", "job-1", "job-0"):
            assert name in text_of(app), name
        await pilot.press("j")
        view = app.screen
        assert isinstance(view, QueueView)
        await until(pilot, lambda: view.rows.key == "job-1", "job-1")
        await until(pilot, lambda: "job-2" not in text_of(app), "the removed row is dropped")
        stage.writer.remove("mail", "job-1")
        await shows(pilot, " gone", "job-1")
        # A click on the line below selects that row, not the next one.
        await pilot.click(view.rows, offset=(10, 3))
        await until(pilot, lambda: view.rows.key == "job-0", "job-0")
        stage.writer.remove("mail", "job-0")
        await shows(pilot, " gone", "1 / 1")
        await pilot.press("k")
        await until(pilot, lambda: view.rows.key == "job-3", "job-3")


async def test_a_retried_group_is_gone_and_the_others_stay(stage: Stage) -> None:
    for n in range(2):
        stage.fail(f"slow-{n}", "too slow")
    for n in range(3):
        stage.fail(f"lost-{n}", "no such host")
    stage.fail("odd", "odd one")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "6 failed")
        await app.push_screen(Failures())
        await shows(pilot, "3 kinds of failures, 6 jobs")
        await pilot.press("j", "r")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("2", "enter")
        await shows(pilot, "2 kinds of failures, 4 jobs", "> ", "gone", "no such host", "odd one")


async def test_ctrl_q_asks_in_front_of_the_workers_even_while_typing(stage: Stage) -> None:
    stage.add("one")
    app = stage.app(front=True)
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("slash", "a", "ctrl+q")
        await shows(pilot, "End everything?")
        await pilot.press("n", "ctrl+c")
        await shows(pilot, "press q to quit")


@pytest.mark.parametrize("name", ["😀" * 220, "x" * 220, "\u202e[red]" * 40])
async def test_a_job_with_a_long_id_still_shows_its_state(stage: Stage, name: str) -> None:
    stage.add(name, {})
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 waiting")
        await app.push_screen(JobView("mail", name))
        await shows(pilot, "mail / ", "○ waiting", "Timeline")


@pytest.mark.parametrize("options", [{"front": True}, {"viewer": DashboardUser("ann", "operator")}])
async def test_it_cannot_be_suspended_in_front_of_up_or_in_a_browser(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    suspended: list[bool] = []
    monkeypatch.setattr(JobsApp, "action_suspend_process", lambda self: suspended.append(True))
    app = stage.app(**options)
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("ctrl+z")
        await shows(pilot, "cannot be suspended")
    assert not suspended


@pytest.mark.parametrize("size", [(80, 24), (80, 8)])
async def test_the_action_of_an_alert_is_not_cut_if_there_is_room(
    stage: Stage, size: tuple[int, int]
) -> None:
    for n in range(8):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await shows(pilot, "mail: 100 % of the jobs that ended")
        await shows(pilot, "see the shared errors (2)")
