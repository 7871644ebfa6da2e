"""As ``test_bound.py``: a cancel, a clean with a limit, a resumed queue, a schedule, a circuit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsejobs.control import schedules
from hsejobs.model import State
from hsejobs.store import registry
from hsejobs.store.circuits import Circuits
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs_tui.app import JobsApp
from hsejobs_tui.screens.queue import QueueView
from tests.support.waiting import tick
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows
from tests.tui.test_bound import colleague, failed, question_open, states

__all__ = ["colleague"]

pytestmark = pytest.mark.anyio
CIRCUIT = "webhook:org-1:hooks.example.com:443"


async def test_a_cancel_does_not_interrupt_what_began_to_run(
    stage: Stage, colleague: Stage
) -> None:
    for job_id in ("a", "b"):
        stage.add(job_id)
    waiting = lambda: QueueView("mail", State.WAITING)  # noqa: E731
    async with question_open(stage, waiting, "asterisk", "K") as pilot:
        await shows(pilot, "Type 2")
        colleague.claim()
        colleague.add("late")
        await pilot.press("enter", "2", "enter")
        await shows(pilot, "cancelled 1 of 2", "moved to active")
    assert states(stage, "a", "b", "late") == [State.ACTIVE, State.FAILED, State.WAITING]


async def test_a_clean_with_a_limit_takes_no_others_instead(stage: Stage, colleague: Stage) -> None:
    """Seen: a colleague removed the oldest two, and the next two went instead of them."""
    for job_id in ("a", "b", "c", "d"):
        stage.fail(job_id)
        tick(stage.redis)
    keys = ["c", *["backspace"] * 12, *"failed 0 2", "enter"]
    async with question_open(stage, None, *keys) as pilot:
        await shows(pilot, "Type 2")
        for job_id in ("a", "b"):
            colleague.writer.remove("mail", job_id)
        await pilot.press("2", "enter")
        await shows(pilot, "removed 0 of 2", "2 left")
    assert states(stage, "c", "d") == [State.FAILED, State.FAILED]


async def test_a_queue_that_was_paused_again_stays_paused(stage: Stage, colleague: Stage) -> None:
    stage.add("a")
    stage.writer.pause("mail")
    app = JobsApp(replace(stage.options(), refresh=3600))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "paused")
        await settle(pilot)  # A poll that is still on its way would show the colleague's pause.
        tick(stage.redis)
        colleague.writer.resume("mail")
        colleague.writer.pause("mail")
        await pilot.press("P")
        await shows(pilot, "paused again")
    assert stage.reader.stats(["mail"])[0].is_paused


async def test_a_schedule_that_ran_meanwhile_does_not_run_twice(
    stage: Stage, colleague: Stage
) -> None:
    schedule = ScheduleInfo("nightly", "0 3 * * *", "m.nightly")
    info = QueueInfo("mail", [TaskInfo("m.nightly")], "m.nightly", schedules=[schedule])
    registry.save(stage.redis, "t", info)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("9")
        await shows(pilot, "nightly", "0 3 * * *")
        await pilot.press("R")
        await shows(pilot, "Run nightly now?")
        schedules.run(colleague.writer, info, schedule)
        await pilot.press("y")
        await shows(pilot, "ran since it was shown")
    assert stage.counts()["waiting"] == 1


async def test_a_circuit_that_changed_meanwhile_stays(stage: Stage) -> None:
    circuits = Circuits(stage.redis, "t")
    circuits.open(CIRCUIT)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("6")
        await shows(pilot, "hooks.example.com:443", "1 of 1 open")
        await pilot.press("c")
        await shows(pilot, "allow calls again")
        tick(stage.redis)
        circuits.close(CIRCUIT)
        circuits.open(CIRCUIT)
        await pilot.press("y")
        await shows(pilot, "changed")
    assert circuits.get(CIRCUIT).state == "open"


async def test_a_removal_of_a_single_job_says_what_became_of_it(
    stage: Stage, colleague: Stage
) -> None:
    stage.fail("a")
    async with question_open(stage, failed, "x") as pilot:
        colleague.writer.retry("mail", "a")
        await pilot.press("y")
        await shows(pilot, "job a was not removed: moved to waiting")
    assert states(stage, "a") == [State.WAITING]
