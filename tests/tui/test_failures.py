"""The failures screen: what happens now first, and its past."""

from __future__ import annotations

import re
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from hsejobs_tui.core import failures
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.text import fitting
from hsejobs_tui.screens import failures as screen
from hsejobs_tui.widgets.rows import Rows
from tests.support.waiting import redis_ms
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.failed_past import errors, fail, mark

KEY_ERROR, REFUSED = "KeyError: <text>", "ConnectionRefused: <n>"
SIZES = [(80, 24), (200, 50)]


def incident(stage: Stage) -> None:
    """An old error with more failed jobs, and a new one since a deploy 8 minutes ago."""
    for n in range(5):
        fail(stage, f"old-{n}", f"ConnectionRefused: {n}", "org-1")
    for ago in range(11, 59):
        errors(stage, ago, 3, f"error {REFUSED}")
    errors(stage, 2_000, 9, f"error {REFUSED}")
    mark(stage, 8.5, "deploy", "deploy 4f1c")
    for ago in range(1, 8):
        errors(stage, ago, 6, f"error {KEY_ERROR}", retried=ago % 2 == 0)
    stage.fail("unknown", "nothing in the history")
    for n in range(3):
        fail(stage, f"new-{n}", "KeyError: 'subject'", f"org-{7 if n else 9}")


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
async def test_the_commonest_error_of_the_last_ten_minutes_with_one_key(
    stage: Stage, size: tuple[int, int]
) -> None:
    incident(stage)
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "3 kinds of failures, 9 jobs", "new 4f1c", "not seen before it")
        first = text_of(app).splitlines()[3]
        assert first.startswith("> ")
        # 7 minutes of 6, and the three jobs: the exception's class, not `error`.
        assert ("45" in first, "KeyError" in first, "error " in first.split("KeyError")[0]) == (
            True,
            True,
            False,
        )
        await shows(pilot, " final, ", "org-7 67 %", "ConnectionRefused")


@pytest.mark.anyio
async def test_was_this_error_there_before_the_deploy_with_two_keys(stage: Stage) -> None:
    incident(stage)
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "new since deploy 4f1c", "not seen before it")
        await pilot.press("j")
        await shows(pilot, "was there before deploy 4f1c")


@pytest.mark.anyio
@pytest.mark.parametrize(("after", "words"), [(0, "none since deploy 4f1b"), (4, "4 errors since")])
async def test_an_error_that_a_rollback_ended_is_still_of_the_deploy_that_brought_it(
    stage: Stage, after: int, words: str
) -> None:
    errors(stage, 2_000, 9, f"error {REFUSED}")
    mark(stage, 20.5, "deploy", "deploy 4f1c")
    for ago in range(12, 20):
        errors(stage, ago, 6, f"error {KEY_ERROR}")
    mark(stage, 11.5, "deploy", "deploy 4f1b")
    errors(stage, 5, after, f"error {KEY_ERROR}")
    app = stage.app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "new 4f1c", "new since deploy 4f1c", words)
        assert "was there before" not in text_of(app)


@pytest.mark.anyio
async def test_an_error_that_came_back_says_so(stage: Stage) -> None:
    errors(stage, 1_500, 9, f"error {REFUSED}")
    for ago in range(3):
        errors(stage, ago, 2, f"error {REFUSED}")
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "came back", "after 25h without it")
        # Since when, as the head of the column says.
        assert re.search(r"back \d+(\.\d)?[ms] ", text_of(app))
        # No job has failed permanently: there is nothing to act on, and it says so.
        await pilot.press("r")
        await shows(pilot, "Retry: nothing to act on", "next attempts follow")


@pytest.mark.anyio
async def test_the_groups_obey_the_window_of_time(stage: Stage) -> None:
    errors(stage, 100, 8, f"error {REFUSED}")
    errors(stage, 5, 4, f"timeout {KEY_ERROR}")
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "1 kind of failure", "timeout")
        await pilot.press("less_than_sign", "less_than_sign", "less_than_sign")
        await shows(pilot, "ConnectionRefused")
        await until(pilot, lambda: "timeout" not in text_of(app), "the later error is gone")
        await pilot.press("full_stop")
        await until(pilot, lambda: "ConnectionRefused" not in text_of(app), "now")


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(120, 36), (200, 50)])
async def test_less_than_a_fifth_of_the_lines_is_empty(stage: Stage, size: tuple[int, int]) -> None:
    incident(stage)
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "new 4f1c", "not seen before it")
        await settle(pilot)
        for _ in range(3):
            lines = text_of(app).splitlines()
            assert sum(not line.strip() for line in lines) < 0.2 * len(lines), text_of(app)
            # Also for an error that had none in the window.
            await pilot.press("j")
            await settle(pilot)


@pytest.mark.anyio
async def test_a_confined_session_sees_its_own_jobs_and_no_history(stage: Stage) -> None:
    incident(stage)
    app = stage.app(organization_id="org-7")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "1 kind of failure, 2 jobs", "KeyError")
        await settle(pilot)
        assert "ConnectionRefused" not in text_of(app)
        assert "4f1c" not in text_of(app)


@pytest.mark.anyio
async def test_a_read_only_session_offers_no_act(stage: Stage) -> None:
    incident(stage)
    app = stage.app(read_only=True, ascii_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "new 4f1c")
        await pilot.press("r", "P")
        await settle(pilot)
        assert "retries" not in text_of(app)
        assert text_of(app).isascii()


@pytest.mark.anyio
async def test_the_queue_of_an_error_is_paused(stage: Stage) -> None:
    incident(stage)
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "new 4f1c")
        await pilot.press("P", "y")
        await until(pilot, lambda: stage.reader.stats(["mail"])[0].is_paused, "the pause")


def test_the_steps_of_the_history_do_not_overlap(stage: Stage) -> None:
    """Each error is counted once, though three reads of different steps overlap."""
    for ago in (1, 61, 181, 700, 2_000):
        errors(stage, ago, 1, f"error {REFUSED}")
    source = LiveSource(stage.options(), stage.redis)
    source.snapshot()
    known = failures.read_known(source, redis_ms(stage.redis))
    assert known is not None
    steps = known.steps["mail", "error", REFUSED]
    assert sum(count for _, _, count in steps) == 5
    assert all(end <= begin for (_, end, _), (begin, _, _) in pairwise(steps))


@pytest.mark.anyio
async def test_failed_jobs_are_not_read_again_while_nothing_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "AGAIN", 0.0)
    monkeypatch.setattr(screen, "SHARE", 0.0)
    stage.fail("one", "KeyError: 'a'")
    app = stage.app()
    reads: list[None] = []
    read = app.session.source.failures

    def counted() -> object:
        reads.append(None)
        return read()

    monkeypatch.setattr(app.session.source, "failures", counted)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await shows(pilot, "1 kind of failure, 1 job")

        async def polls(more: int) -> None:
            for _ in range(more):
                old = app.session.snapshot
                app.session.poll_soon()
                await until(
                    pilot, partial(lambda one: app.session.snapshot is not one, old), "a poll"
                )

        await polls(3)
        before = len(reads)
        await polls(5)
        assert len(reads) == before
        # As many leave as come: the number of failed jobs stays.
        stage.writer.remove("mail", "one")
        stage.fail("two", "ValueError: b")
        await shows(pilot, "1 kind of failure, 1 job", "ValueError")


@pytest.mark.anyio
async def test_what_was_cancelled_is_last_and_is_blamed_on_no_deploy(stage: Stage) -> None:
    """A flood that the operator has ended must not look like the error to mend."""
    mark(stage, 8.5, "deploy", "deploy 4f1c")
    stage.fail("broke", "KeyError: 'vat'")
    acts = acts_of(stage.options(), stage.redis)
    for n in range(12):
        stage.add(f"flood-{n}")
        acts.one("cancel", "mail", f"flood-{n}")
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("2")
        await shows(pilot, "2 kinds of failures, 13 jobs")
        screen: Any = app.screen
        rows = screen.query_one(Rows)
        assert [screen.shown[row.key].raw for _, row in sorted(rows.at.items())] == [
            "error",
            "cancelled",
        ]
        await pilot.press("j")
        await shows(pilot, "cancelled by a person or a program: no error, and of no deploy")


@pytest.mark.parametrize(
    ("count", "cells", "text"),
    [
        (1_205, 5, "1,205"),
        (15_013, 5, "15k"),
        (145_019, 5, "145k"),
        (3_406, 4, "3k"),
        (999_600, 4, "1.0M"),
        (1_234_567, 5, "1.23M"),
        (12_345_678, 5, "12.3M"),
    ],
)
def test_a_count_is_never_cut(count: int, cells: int, text: str) -> None:
    assert fitting(count, cells) == text
