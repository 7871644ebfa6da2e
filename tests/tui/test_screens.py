"""The screens, driven by keys, on a real Redis."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.widgets import Input

from hsejobs.model import State
from hsejobs_tui.screens.queue import QueueView
from tests.tui.conftest import SECRET, Stage
from tests.tui.driving import shows, text_of, until

pytestmark = pytest.mark.anyio
SIZES = [(80, 24), (120, 36), (200, 50)]


@pytest.mark.parametrize("size", SIZES)
async def test_from_the_overview_to_a_failed_job_and_its_retry(
    stage: Stage, size: tuple[int, int]
) -> None:
    stage.fail("job-1", "the server said no")
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await shows(pilot, "mail", "1 queue, 0 waiting, 1 failed")
        await pilot.press("enter")
        await shows(pilot, "job-1", "1 / 1")
        await pilot.press("enter")
        await shows(pilot, "the server said no", "Attempts", "***")
        assert SECRET not in text_of(app)
        await pilot.press("r")
        await until(pilot, lambda: stage.counts()["waiting"] == 1, "the retry")
        await pilot.press("escape")
        await shows(pilot, "No jobs in this state.")


async def test_a_removal_asks_and_undo_brings_the_job_back(stage: Stage) -> None:
    stage.fail("job-1")
    before = stage.reader.job("mail", "job-1")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail", "1 failed")
        await pilot.press("enter")
        await shows(pilot, "job-1")
        await pilot.press("x")
        await shows(pilot, "Remove job job-1?")
        await pilot.press("n")
        await shows(pilot, "1 / 1")
        assert stage.counts()["failed"] == 1
        await pilot.press("x")
        await shows(pilot, "Remove job job-1?")
        await pilot.press("y")
        await until(pilot, lambda: stage.counts()["failed"] == 0, "the removal")
        await shows(pilot, "0 / 0")
        await pilot.press("u")
        await until(pilot, lambda: stage.counts()["failed"] == 1, "the undo")
    assert stage.reader.job("mail", "job-1") == before
    audit = (stage.home / "audit.log").read_text()
    assert '"act": "remove"' in audit
    assert '"act": "undo"' in audit
    assert SECRET not in audit


async def test_undo_brings_the_newest_removal_back_first(stage: Stage) -> None:
    for n in range(3):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "3 failed")
        await pilot.press("enter")
        await shows(pilot, "1 / 3")
        gone: list[str] = []

        def failed_is(left: int) -> Callable[[], bool]:
            return lambda: stage.counts()["failed"] == left

        for left in (2, 1):
            before = {job.id for job in stage.reader.page("mail", State.FAILED).jobs}
            await pilot.press("x")
            await shows(pilot, "Remove job")
            await pilot.press("y")
            await until(pilot, failed_is(left), "the removal")
            await shows(pilot, f"1 / {left}")
            after = {job.id for job in stage.reader.page("mail", State.FAILED).jobs}
            gone += before - after
        for number, back in ((2, gone[1]), (3, gone[0])):
            await pilot.press("u")
            await until(pilot, failed_is(number), "the undo")
            assert stage.reader.status("mail", back) is State.FAILED


async def test_the_cursor_follows_its_job_and_a_removed_job_is_not_confused_with_its_neighbor(
    stage: Stage,
) -> None:
    for n in range(3):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "3 failed")
        await pilot.press("enter")
        await shows(pilot, "1 / 3")
        await pilot.press("j")
        await shows(pilot, "2 / 3")
        stage.fail("job-9")
        await shows(pilot, "3 / 4")
        assert isinstance(app.screen, QueueView)
        assert app.screen.rows.key == "job-1"
        stage.writer.remove("mail", "job-1")
        await shows(pilot, "this job is gone")
        await pilot.press("r")
        await shows(pilot, "Retry: nothing to act on", "is gone.")
    assert stage.counts() == {"waiting": 0, "active": 0, "delayed": 0, "completed": 0, "failed": 3}


async def test_the_end_of_a_list_that_was_just_opened_is_reached_and_kept(stage: Stage) -> None:
    for n in range(700):
        stage.add(f"job-{n:03}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "700 waiting")
        view = QueueView("mail", State.WAITING)
        await app.push_screen(view)
        # Before the layout of the list's scroll bar.
        view.rows.place(700, {}, None, anchor=None)
        view.do_bottom()
        await shows(pilot, "700 / 700", "job-699")
        stage.writer.remove("mail", "job-000")
        await shows(pilot, "699 / 699", "job-699")
        assert view.rows.key == "job-699"


async def test_search_looks_into_payloads_but_not_into_secrets(stage: Stage) -> None:
    for n in range(250):
        stage.add(f"job-{n:03}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "250 waiting")
        await pilot.press("enter", "slash")
        app.screen.query_one("#search", Input).value = "data.to~job-249@"
        await pilot.press("enter")
        await shows(pilot, "1 found in 250 waiting", "none in other", "job-249", "1 / 1")
        await pilot.press("escape", "slash")
        app.screen.query_one("#search", Input).value = SECRET
        await pilot.press("enter")
        await shows(pilot, "0 found in 250 waiting", "none in any queue")


async def test_a_search_continues_through_the_other_states(stage: Stage) -> None:
    for n in range(3):
        stage.fail(f"ann-{n}" if n else "bob")
    stage.add("ann-waits")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 waiting, 3 failed")
        await pilot.press("slash")
        await shows(pilot, "words, id=")
        await pilot.press(*"ann-", "enter")
        await shows(pilot, "2 found in 3 failed", "Tab: 1 waiting")
        await pilot.press("tab")
        await shows(
            pilot, "to: ann-waits@example.com", "1 found in 1 waiting", "ann-waits", "Tab: 2 failed"
        )
        await pilot.press("escape")
        await shows(pilot, "1 / 1", "ann-waits")
        # The only matches are in another state, so the screen switches to it.
        await pilot.press("slash", *"bob", "enter")
        await shows(pilot, "1 found in 3 failed", "none in other states", "1 / 1")


async def test_all_matching_jobs_are_retried_after_the_count_is_typed(stage: Stage) -> None:
    for n in range(230):
        stage.fail(f"job-{n:03}", "timed out" if n < 210 else "other")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "230 failed")
        await pilot.press("enter", "slash")
        app.screen.query_one("#search", Input).value = 'error~"timed out"'
        await pilot.press("enter")
        await shows(pilot, "210 found")
        await pilot.press("asterisk", "r")
        await shows(pilot, "Retry all 210 failed jobs")
        await pilot.press(*"210", "enter")
        await shows(pilot, "retried 210 of 210")
        await pilot.press("escape")
    assert stage.counts()["waiting"] == 210
    assert stage.counts()["failed"] == 20


async def test_failures_are_grouped_and_the_group_can_be_retried(stage: Stage) -> None:
    for n in range(3):
        stage.fail(f"a-{n}", f"no answer from 10.0.0.{n} after {n} s")
    stage.fail("b", "another thing")
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "2 kinds of failures, 4 jobs", "no answer from <n> after <n> s")
        await pilot.press("r")
        await shows(pilot, "Retry all 3 jobs")
        await pilot.press("3", "enter")
        await until(pilot, lambda: stage.counts()["waiting"] == 3, "the retry of the group")


@pytest.mark.parametrize("key", "1234567")
async def test_every_numbered_screen_opens_and_help_fits_it(stage: Stage, key: str) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press(key)
        await pilot.pause()
        scope = app.view.SCOPE if app.view else ""
        await pilot.press("question_mark")
        await shows(pilot, f"Keys: {scope}")


async def test_a_new_job_is_checked_and_added(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("n")
        await shows(pilot, "*to")
        await pilot.press("ctrl+s")
        await shows(pilot, "to: is required")
        await pilot.press(*"ann", "ctrl+s")
        await shows(pilot, "Add this job to mail")
        await pilot.press("y")
        await until(pilot, lambda: stage.counts()["waiting"] == 1, "the new job")


async def test_a_copy_keeps_the_masked_secret(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("enter")
        await shows(pilot, "job-1")
        await pilot.press("d")
        await shows(pilot, "Copy of job-1", "***")
        assert SECRET not in text_of(app)
        await pilot.press("ctrl+s")
        await shows(pilot, "Add this job")
        await pilot.press("y")
        await until(pilot, lambda: stage.counts()["waiting"] == 1, "the copy")
    (copy,) = stage.reader.page("mail", State.WAITING).jobs
    assert copy.data == {"to": "job-1@example.com", "sig": SECRET}


async def test_obliterate_requires_the_queues_name(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("O")
        await shows(pilot, "Type mail to continue")
        await pilot.press("x", "enter")
        assert stage.counts()["failed"] == 1
        await pilot.press("backspace", *"mail", "enter")
        await until(pilot, lambda: stage.counts()["failed"] == 0, "the end of the queue")
        await shows(pilot, "removed 1 of 1")
