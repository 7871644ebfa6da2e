"""An act on an empty set says so at once and why, asks nothing, and leaves no selection behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button

from hsejobs.control.act_table import ACTS
from hsejobs.model import State
from hsejobs.store import registry
from hsejobs.store.circuits import Circuits
from hsejobs.store.registry import QueueInfo
from hsejobs.store.work import Done
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.applying import split
from hsejobs_tui.core.commands import COMMANDS, by_id, for_scope
from hsejobs_tui.dialogs.counting import Counted
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.screens.alerts import Alerts
from hsejobs_tui.screens.base import View
from hsejobs_tui.screens.circuits import CircuitList
from hsejobs_tui.screens.failures import Failures
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.screens.matches import Matches
from hsejobs_tui.screens.overview import QUIET, Overview
from hsejobs_tui.screens.queue import QueueView
from hsejobs_tui.screens.schedules import Schedules
from hsejobs_tui.screens.tenants import Tenants
from hsejobs_tui.screens.workers import Workers
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.test_bound import Slow, question_open
from tests.tui.test_gate import burst

pytestmark = pytest.mark.anyio

#: Acts on one row, or on what was removed, that need no list.
FREE = {"undo", "sample"}
#: Acts on the queue as a whole that an empty queue allows, too.
OF_A_QUEUE = {"pause", "hold", "enqueue", "obliterate"}

#: Screens without a row, each in another way.
TABS: list[Callable[[], View]] = [lambda: QueueView("mail", State.FAILED, "nowhere")]
TABS += [lambda state=state: QueueView("mail", state) for state in (*State, None)]  # type: ignore[misc]
OTHERS: list[Callable[[], View]] = [
    lambda: JobView("mail", "gone"),
    lambda: Matches("request=none"),
]
OTHERS += [Failures, Workers, Tenants, Alerts, CircuitList, Schedules]


def said(app: JobsApp) -> list[str]:
    return [one.message for one in app._notifications]


async def opened(pilot: Pilot[None], screen: View) -> None:
    app: Any = pilot.app
    await until(pilot, lambda: app.session.snapshot is not None, "the queues")
    await app.push_screen(screen)
    await settle(pilot)
    await until(pilot, lambda: not screen.reading, "the list")


async def test_every_act_says_what_it_acts_on() -> None:
    assert {one.id for one in COMMANDS if one.writes and not one.acts_on} == FREE


@pytest.mark.parametrize("screens", [TABS, OTHERS], ids=["jobs", "other lists"])
async def test_no_command_asks_about_an_empty_list(
    stage: Stage, screens: list[Callable[[], View]]
) -> None:
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        for make in screens:
            await opened(pilot, screen := make())
            if isinstance(screen, Workers):
                # In the other list is a row for the queue without a consumer.
                screen.jobs.focus()
            assert await tried(pilot, screen)
            if isinstance(screen, QueueView):
                await pilot.press("asterisk", "r")
                await settle(pilot)
                assert app.screen is screen
                assert "selected" not in text_of(app)


async def tried(pilot: Pilot[None], screen: View) -> int:
    """Tries each command that needs something to act on; how many there are."""
    app: Any = pilot.app
    count = 0
    for one in for_scope(screen.SCOPE, app.session.rights):
        if not one.acts_on or one.id == "link" or screen.SCOPE not in one.scopes:
            continue
        if screen.SCOPE == "queue" and one.id in OF_A_QUEUE:
            continue
        app.clear_notifications()
        app.session.perform(one.id)
        await until(pilot, lambda: len(said(app)) == 1, f"why {one.id} does nothing")
        assert app.screen is screen, (one.id, text_of(app))
        (text,) = said(app)
        assert text.startswith(f"{one.title}: nothing to act on. "), one.id
        assert text.endswith("."), text
        count += 1
    return count


async def test_the_line_of_the_quiet_queues_is_no_queue(stage: Stage) -> None:
    for name in ("calm", "still"):
        registry.save(stage.redis, "t", QueueInfo(name, []))
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "2 quiet")
        await pilot.press("G")
        screen = app.screen
        assert isinstance(screen, Overview)
        assert screen.rows.key == QUIET
        for key in "PHcXOn":
            app.clear_notifications()
            await pilot.press(key)
            await settle(pilot)
            assert app.screen is screen
            assert "Enter unfolds them" in said(app)[0]


@pytest.mark.parametrize("state", [*State])
async def test_an_act_that_cannot_apply_to_the_state_says_which_can(
    stage: Stage, state: State
) -> None:
    if state is State.FAILED:
        stage.fail("a")
    else:
        stage.add("a", delay=600_000 if state is State.DELAYED else 0)
    if state in (State.ACTIVE, State.COMPLETED):
        (pair,) = stage.claim()
        if state is State.COMPLETED:
            stage.work.step([Done(*pair, 10, b"{}")], 0, "token", 30_000)
    before, app = stage.counts(), stage.app()
    keys = {"retry": "r", "promote": "p", "cancel": "K", "remove": "x"}
    wrong = {name: key for name, key in keys.items() if state not in ACTS[name].states}
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, screen := QueueView("mail", state))
        for marks in ("", "space", "asterisk"):
            if marks:
                await pilot.press(marks)
            for name, key in wrong.items():
                app.clear_notifications()
                await pilot.press(key)
                await until(pilot, lambda: len(said(app)) == 1, "why it does nothing")
                assert app.screen is screen
                assert f"can be {ACTS[name].past}, not {state} ones: here " in said(app)[0]
            # The jobs are still those that were meant: only the key was wrong.
            assert ("selected" in text_of(app)) is bool(marks)
    assert stage.counts() == before


async def test_a_selection_of_several_states_acts_on_those_it_can(stage: Stage) -> None:
    stage.fail("failed")
    stage.add("delayed", delay=600_000)
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, QueueView("mail", None))
        await pilot.press("space", "space")
        await shows(pilot, "2 selected")
        await pilot.press("x")
        await shows(pilot, "Remove 2 jobs?")
        await pilot.press("escape", "K")
        await shows(pilot, "Cancel job delayed?", "1 other job stays as it is: failed")
        await pilot.press("escape")
        # One retry asks nothing.
        await pilot.press("r")
        await until(pilot, lambda: stage.counts()["waiting"] == 1, "the retry")
        assert stage.counts()["delayed"] == 1


async def test_a_job_whose_state_is_not_known_may_fit(stage: Stage) -> None:
    stage.fail("failed")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, screen := QueueView("mail", State.FAILED))
        await pilot.press("space")
        ((key, version),) = screen._targets()
        assert "can be promoted, not failed ones" in screen.lacking(by_id("promote"))
        # A row that was marked before its job was read.
        screen.rows.mark({key, "unread"})
        known, unread = (key, version), ("unread", "")
        assert screen._targets() == [known, unread]
        assert split("promote", screen._targets()) == ([unread], [known])
        assert screen.lacking(by_id("promote")) == ""


async def test_all_of_a_list_that_became_empty_are_not_those_that_come_later(stage: Stage) -> None:
    stage.fail("a")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, QueueView("mail", State.FAILED))
        await pilot.press("asterisk")
        await shows(pilot, "ALL selected")
        stage.writer.remove("mail", "a")
        await until(pilot, lambda: "ALL selected" not in text_of(app), "no selection")
        stage.fail("b")
        await shows(pilot, "1 / 1")
        assert "selected" not in text_of(app)


@pytest.mark.parametrize("keys", [["asterisk"], ["space", "space"]], ids=["all", "a selection"])
async def test_what_became_empty_between_question_and_answer_is_reported(
    stage: Stage, keys: list[str]
) -> None:
    for name in ("a", "b"):
        stage.fail(name)
    async with question_open(stage, lambda: QueueView("mail", State.FAILED), *keys, "r") as pilot:
        for name in ("a", "b"):
            stage.writer.retry("mail", name)
        await pilot.press("y")
        await shows(pilot, "retried 0 of 2", "2 left: moved to waiting")
        await settle(pilot)
        assert "selected" not in text_of(pilot.app)


@pytest.mark.parametrize("key", ["X", "O"])
async def test_a_queue_that_became_empty_after_the_question_is_reported(
    stage: Stage, key: str
) -> None:
    stage.add("a")
    async with question_open(stage, None, key) as pilot:
        stage.writer.remove("mail", "a")
        await pilot.press(*("1" if key == "X" else "mail"), "enter")
        await shows(pilot, "removed 0 of 1", "1 left: moved on")


@pytest.mark.parametrize("typed", [True, False])
async def test_a_count_that_ends_with_none_asks_nothing(stage: Stage, typed: bool) -> None:
    """It stays open: the digits of the count and Enter were meant for it."""
    app, count = stage.app(), Slow()
    count.bound.clear()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        question = Counted("Retry", "failed job", "matching x", "", count, typed=typed)
        app.push_screen(question)
        await shows(pilot, "Retry 0 failed jobs matching x, so far?")
        count.over = True
        await shows(pilot, "There are no failed jobs matching x.", "Nothing to act on.")
        assert not question.query_one("#yes", Button).display
        assert "Type" not in text_of(app)
        burst(app, "12y7")
        await settle(pilot)
        assert app.screen is question
        burst(app, "\r")
        await until(pilot, lambda: app.screen is not question, "the end")
        assert question.fixed == ()


async def test_a_circuit_that_is_closed_is_not_closed(stage: Stage) -> None:
    circuits = Circuits(stage.redis, "t")
    name = "smtp:mail.example.com:25"
    circuits.open(name)
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, screen := CircuitList())
        await pilot.press("b")
        await settle(pilot)
        assert app.screen is screen
        assert "open already" in said(app)[0]
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("y")
        await until(pilot, lambda: circuits.get(name).state == "closed", "the end")
        await shows(pilot, "closed")
        app.clear_notifications()
        await pilot.press("c")
        await settle(pilot)
        assert app.screen is screen
        assert "closed already" in said(app)[0]
