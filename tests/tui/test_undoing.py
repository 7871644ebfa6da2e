"""What undoes a bulk retry, and what is typed in a question with two fields."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from hsejobs.model import State
from tests.tui.conftest import Stage
from tests.tui.driving import shows, text_of, until

pytestmark = pytest.mark.anyio


async def retry_all(pilot: Pilot[Any], count: int) -> None:
    await pilot.press("2")
    await shows(pilot, f"{count} jobs", "r retries these")
    await pilot.press("r")
    await shows(pilot, f"Retry all {count} jobs")
    await pilot.press(*str(count), "enter")
    await shows(pilot, f"retried {count} of {count}", "u undoes it")


async def test_a_wrong_bulk_retry_is_undone_for_the_jobs_that_have_not_begun(stage: Stage) -> None:
    for n in range(3):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await retry_all(pilot, 3)
        await shows(pilot, "u: undo 3")
        ((began, _),) = stage.claim()
        # Those of others are not touched.
        stage.add("other")
        await pilot.press("u")
        await shows(pilot, "Undo the retry of 3 jobs: cancel the 2 that still wait?")
        await pilot.press("y")
        await shows(pilot, "cancelled 2 of 2")
        await until(pilot, lambda: "u: undo" not in text_of(app), "no undo is offered")
    assert stage.reader.job("mail", began).status is State.ACTIVE
    assert stage.reader.job("mail", "other").status is State.WAITING
    left = [stage.reader.job("mail", f"job-{n}") for n in range(3) if f"job-{n}" != began]
    assert [one.cancel and one.cancel["reason"] for one in left] == ["retry undone"] * 2
    # What they failed with at first is still known.
    assert all("it broke" in str(one.errors) for one in left)


async def test_a_retry_that_has_begun_cannot_be_undone_and_a_newer_removal_goes_first(
    stage: Stage,
) -> None:
    for n in range(2):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await retry_all(pilot, 2)
        stage.claim(2)
        stage.add("late", delay=60_000)
        acts = app.session.acts
        list(acts.many("remove", "mail", [("late", "")]))
        assert acts.retried() is None
        await pilot.press("u")
        await until(pilot, lambda: stage.counts()["delayed"] == 1, "the job is back")
        await pilot.press("u")
        await shows(pilot, "too late to undo")
    assert stage.counts()["active"] == 2


async def test_the_count_comes_first_where_a_reason_may_be_written(stage: Stage) -> None:
    """As in every question that asks for a count."""
    for n in range(2):
        stage.add(f"job-{n}", delay=7_200_000)
    app = stage.app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("enter")
        await shows(pilot, "job-1")
        await pilot.press("space", "space", "K")
        await shows(pilot, "Cancel 2 jobs?", "Reason", "Type 2")
        await pilot.press("2")
        fields = {one.id: one.value for one in app.screen.query(Input)}
        assert fields == {"reason": "", "typed": "2"}
        await pilot.press("enter")
        await shows(pilot, "cancelled 2 of 2")
    cancel = stage.reader.job("mail", "job-1").cancel
    assert cancel is not None
    assert cancel["reason"] is None
