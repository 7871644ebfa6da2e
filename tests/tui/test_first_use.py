"""What an operator who has never seen the TUI would not find: the screen says it, at 80x24."""

from __future__ import annotations

import re

import pytest
from textual.widgets import Input

from hsejobs_tui.core.text import clock
from hsejobs_tui.screens.queue import QueueView
from hsejobs_tui.widgets.rows import Rows
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.test_running import footer

pytestmark = pytest.mark.anyio

SMALL = (80, 24)


async def test_the_rest_of_the_footer_names_what_else_a_screen_can_do(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await shows(pilot, "1 failed", "H Hold/let go")
        await pilot.press("2")
        await shows(pilot, "1 kind of failure", "e Export")
        assert footer(app).rstrip().endswith("q Quit")
        await pilot.press("enter")
        await shows(pilot, "job-1")
        await pilot.press("enter")
        await shows(pilot, "it broke", "E Edit and run")
        # No request added it: what cannot be done has no place here.
        assert "R Request" not in footer(app)
        assert footer(app).rstrip().endswith("q Quit")
        await pilot.resize_terminal(60, 24)
        # What is least needed gives way, and the names become short.
        await until(pilot, lambda: "x Remove" not in footer(app), "the keys that fit")
        assert "E Edit " in footer(app)
        assert footer(app).rstrip().endswith("q Quit")


async def test_a_reader_is_offered_nothing_that_writes(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app(read_only=True)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("2")
        await shows(pilot, "1 kind of failure", "e Export", "Enter lists it")
        assert not re.search("Hold|Retry|Edit", footer(app))


async def test_enter_lists_the_jobs_of_an_error(stage: Stage) -> None:
    for n in range(3):
        stage.fail(f"vat-{n}", "KeyError: 'vat'")
    stage.fail("other", "no answer within 30 s")
    app = stage.app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "2 kinds of failures, 4 jobs", "KeyError in mail", "Enter lists them")
        await until(pilot, lambda: app.screen.query_one(Rows).key is not None, "a row")
        if "KeyError" not in (app.screen.query_one(Rows).key or ""):
            await pilot.press("j")
        await pilot.press("enter")
        await shows(pilot, "3 found in 4 failed")
        assert isinstance(app.screen, QueueView)
        listed = {row.key for row in app.screen.query_one(Rows).at.values()}
        assert listed == {"vat-0", "vat-1", "vat-2"}


async def test_a_question_about_a_group_says_until_when_its_jobs_failed(stage: Stage) -> None:
    stage.fail("job-1")
    stage.fail("job-2")
    app = stage.app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "r retries these 2,")
        newest = stage.reader.job("mail", "job-2").finished_at
        stage.fail("late")
        await pilot.press("r")
        await shows(pilot, "Yes (y)")
        asked = " ".join(text_of(app).replace("│", " ").split())
        found = re.search(r"Retry all (\d) jobs .* by (\S+ \S+) UTC\?", asked)
        assert found is not None, asked
        last = {"2": newest, "3": stage.reader.job("mail", "late").finished_at}[found[1]]
        assert last is not None
        assert found[2] == clock(last)


@pytest.mark.parametrize(
    ("key", "wrong", "told", "right", "shown"),
    [
        # Of yesterday: the window around a time that has just been ends now, and names no way back to now.
        ("t", "0310", "time: must be a time", "yesterday 03:00 to yesterday 03:10", "] . now"),
        ("c", "failed", "must be STATE AGE", "failed 0", "1 failed job older than 0"),
        ("colon", "jobb", "no queue has a job with this id", "job-1", "mail / job-1"),
    ],
)
async def test_a_line_that_is_refused_stays_to_be_corrected(
    stage: Stage, key: str, wrong: str, told: str, right: str, shown: str
) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press(key)
        await until(pilot, lambda: bool(app.screen.query(Input)), "the question")
        app.screen.query_one(Input).value = wrong
        await pilot.press("enter")
        await shows(pilot, told)
        assert app.screen.query_one(Input).value == wrong
        # A correction continues what was typed.
        await pilot.press("backspace")
        assert app.screen.query_one(Input).value == wrong[:-1]
        app.screen.query_one(Input).value = right
        await pilot.press("enter")
        await shows(pilot, shown)


async def test_two_selected_jobs_name_the_key_that_compares_them(stage: Stage) -> None:
    for n in range(3):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await shows(pilot, "3 failed")
        await pilot.press("enter")
        await shows(pilot, "job-2")
        await pilot.press("space")
        await shows(pilot, "1 selected")
        assert "compares" not in text_of(app)
        await pilot.press("space")
        await shows(pilot, "2 selected, D compares them")


async def test_insight_names_the_key_of_its_time(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await pilot.press("4")
        await shows(pilot, "all queues", "t goes to a time")
        await settle(pilot)
