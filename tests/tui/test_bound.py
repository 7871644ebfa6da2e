"""An act does what its question said, even if another client acts between question and answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from hsejobs.control.act_table import ACTS
from hsejobs.model import State
from hsejobs.store import scripts
from hsejobs_tui.app import JobsApp
from hsejobs_tui.dialogs.counting import Counted
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.screens.failures import Failures
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.screens.queue import QueueView
from tests.support.proxy import FlakyProxy
from tests.support.waiting import tick
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def colleague(stage: Stage) -> Stage:
    made = Stage(stage.url, stage.home)
    made._claims = 1_000
    return made


def states(stage: Stage, *ids: str) -> list[State | None]:
    return [stage.reader.status("mail", job_id) for job_id in ids]


def again(colleague: Stage, job_id: str) -> None:
    """Another client retries a job, and the job fails again."""
    colleague.writer.retry("mail", job_id)
    (pair,) = colleague.claim()
    assert pair[0] == job_id
    tick(colleague.redis)
    colleague.work.fail(
        *pair, code="error", error=b'{"error":"it broke"}', run_us=10, final=True, delay_ms=None
    )


@asynccontextmanager
async def question_open(
    stage: Stage, opened: Callable[[], Any] | None, *keys: str
) -> AsyncIterator[Pilot[None]]:
    """The app with an open question, after these keys on that screen."""
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until(pilot, lambda: app.session.snapshot is not None, "the queues")
        if opened is not None:
            await app.push_screen(opened())
        await settle(pilot)
        await pilot.press(*keys)
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await settle(pilot)
        tick(stage.redis)
        yield pilot


def failed() -> QueueView:
    return QueueView("mail", State.FAILED)


WAYS: list[Any] = [
    pytest.param(failed, ["asterisk"], id="all that match"),
    pytest.param(failed, ["space", "space", "space"], id="a selection"),
    pytest.param(Failures, [], id="a group"),
]


@pytest.mark.parametrize(("opened", "keys"), WAYS)
async def test_a_retry_does_not_affect_later_or_changed_jobs(
    stage: Stage, colleague: Stage, opened: Callable[[], Any], keys: list[str]
) -> None:
    for job_id in ("a", "b", "c"):
        stage.fail(job_id)
    async with question_open(stage, opened, *keys, "r") as pilot:
        await shows(pilot, "y continues, or 3 and Enter")
        again(colleague, "b")
        for n in range(5):
            colleague.fail(f"late-{n}")
        await pilot.press("y")
        await shows(pilot, "retried 2 of 3", "1 left: changed since")
    assert stage.counts()["failed"] == 6
    assert states(stage, "a", "b", "c", "late-0") == [
        State.WAITING,
        State.FAILED,
        State.WAITING,
        State.FAILED,
    ]


@pytest.mark.parametrize(("opened", "keys"), WAYS)
async def test_a_removal_does_not_affect_later_or_retried_jobs(
    stage: Stage, colleague: Stage, opened: Callable[[], Any], keys: list[str]
) -> None:
    for job_id in ("a", "b", "c"):
        stage.fail(job_id)
    async with question_open(stage, opened, *keys, "x") as pilot:
        await shows(pilot, "Type 3")
        colleague.fail("late")
        again(colleague, "c")
        colleague.writer.retry("mail", "b")
        await pilot.press("3", "enter")
        await shows(pilot, "removed 1 of 3", "moved to waiting")
    assert states(stage, "a", "b", "c", "late") == [
        None,
        State.WAITING,
        State.FAILED,
        State.FAILED,
    ]


async def test_a_single_removal_is_of_the_job_that_was_seen(stage: Stage, colleague: Stage) -> None:
    stage.fail("a")
    async with question_open(stage, failed, "x") as pilot:
        again(colleague, "a")
        await pilot.press("y")
        await shows(pilot, "job a was not removed: changed since")
    assert stage.counts()["failed"] == 1


async def test_a_promotion_of_all_does_not_affect_later_jobs(
    stage: Stage, colleague: Stage
) -> None:
    for job_id in ("a", "b"):
        stage.add(job_id, delay=600_000)
    delayed = lambda: QueueView("mail", State.DELAYED)  # noqa: E731
    async with question_open(stage, delayed, "asterisk", "p") as pilot:
        colleague.add("late", delay=600_000)
        colleague.writer.promote("mail", "a")
        pair = colleague.claim()[0]
        colleague.work.fail(
            *pair, code="error", error=b'{"error":"no"}', run_us=1, final=False, delay_ms=600_000
        )
        await pilot.press("2", "enter")
        await shows(pilot, "promoted 1 of 2")
    assert states(stage, "a", "b", "late") == [State.DELAYED, State.WAITING, State.DELAYED]


@pytest.mark.parametrize(
    ("keys", "answer", "texts"),
    [
        ("X", ["3"], ["removed 3 of 3", "2 came later and stay"]),
        ("O", [*"mail"], ["removed 3 of 3", "2 came later and stay"]),
        ("c", ["2"], ["removed 2 of 2"]),
    ],
    ids=["drain", "obliterate", "clean"],
)
async def test_acts_on_a_queue_do_not_affect_later_jobs(
    stage: Stage, colleague: Stage, keys: str, answer: list[str], texts: list[str]
) -> None:
    for job_id in ("a", "b"):
        stage.add(job_id)
    stage.add("c", delay=600_000)
    more = [*["backspace"] * 12, *"waiting 0", "enter"] if keys == "c" else []
    async with question_open(stage, None, keys, *more) as pilot:
        await shows(pilot, f"Type {''.join(answer)}")
        colleague.add("late")
        colleague.add("later", delay=600_000)
        colleague.writer.pause("mail")
        await pilot.press(*answer, "enter")
        await shows(pilot, *texts)
    assert states(stage, "late", "later") == [State.WAITING, State.DELAYED]
    assert states(stage, "a", "b") == [None, None]
    assert stage.reader.stats(["mail"])[0].is_paused


class Slow:
    """A count that continues until the test ends it."""

    def __init__(self) -> None:
        self.bound = [("a", ""), ("b", "")]
        self.over = self.broken = False


async def test_an_interrupted_count_does_not_ask_to_wait(stage: Stage) -> None:
    app, count = stage.app(), Slow()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        app.push_screen(question := Counted("Retry", "failed job", "", "", count))
        await shows(pilot, "Still counting")
        count.broken = True
        await shows(pilot, "Retry 2 failed jobs, so far?", "The count was interrupted. Enter uses")
        assert "wait for the end" not in text_of(app)
        await pilot.press("enter")
        await shows(pilot, "Retry the first 2 failed jobs?", "Type 2")
        await pilot.press("2", "enter")
        await until(pilot, lambda: app.screen is not question, "the answer")
        assert question.fixed == (("a", ""), ("b", ""))


async def test_an_outage_interrupts_a_count(stage: Stage, redis_url: str) -> None:
    for n in range(500):
        stage.add(f"job-{n:03}")
    with FlakyProxy(redis_url) as proxy:
        app = JobsApp(replace(stage.options(), url=proxy.url))
        async with app.run_test(size=(120, 36), notifications=True) as pilot:
            await until(pilot, lambda: app.session.snapshot is not None, "the queues")
            await app.push_screen(QueueView("mail", State.WAITING))
            await settle(pilot)
            # Only the first page arrives.
            proxy.cut_request(
                lambda request: scripts.PAGE.sha.encode() in request, skip=1, times=1_000_000
            )
            await pilot.press("asterisk", "x")
            await shows(pilot, "Remove 200 waiting jobs, so far?", "The count was interrupted")


async def test_a_job_added_again_under_the_id_is_shown_as_it_is(
    stage: Stage, colleague: Stage
) -> None:
    stage.add("same", {"to": "ann@example.com"}, delay=3_600_000)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until(pilot, lambda: app.session.snapshot is not None, "the queues")
        await app.push_screen(JobView("mail", "same"))
        await shows(pilot, "to: ann@example.com")
        tick(stage.redis)
        colleague.writer.remove("mail", "same")
        colleague.add("same", {"to": "bob@example.com"}, delay=3_600_000)
        await shows(pilot, "to: bob@example.com")
        assert "ann@example.com" not in text_of(app)


@pytest.mark.parametrize("waited", [False, True])
async def test_a_question_that_is_still_counting_says_so_far(stage: Stage, waited: bool) -> None:
    app, count = stage.app(), Slow()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        question = Counted("Retry", "failed job", "", "", count)
        app.push_screen(question)
        await shows(pilot, "Retry 2 failed jobs, so far?", "Still counting", "Count so far")
        # The number cannot be typed yet.
        await pilot.press("2", "enter")
        await settle(pilot)
        assert question.fixed is None
        await pilot.press("backspace")
        count.bound.append(("c", ""))
        await shows(pilot, "Retry 3 failed jobs, so far")
        if waited:
            count.over = True
            await shows(pilot, "Retry all 3 failed jobs?", "Type 3")
        else:
            await pilot.press("enter")
            await shows(pilot, "Retry the first 3 failed jobs?", "Type 3")
        count.bound.append(("late", ""))
        await pilot.press("3", "enter")
        await until(pilot, lambda: app.screen is not question, "the answer")
        assert question.fixed == (("a", ""), ("b", ""), ("c", ""))


async def test_a_list_is_not_called_empty_while_it_is_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    read = threading.Event()
    app = stage.app()
    window, page = app.session.source.window, app.session.source.reader.walk
    monkeypatch.setattr(
        app.session.source, "window", lambda *a, **k: read.wait(30) and window(*a, **k)
    )
    monkeypatch.setattr(
        app.session.source.reader, "walk", lambda *a, **k: iter([]) if read.wait(30) else page(*a)
    )
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await app.push_screen(failed())
        await shows(pilot, "Reading ...")
        assert "No jobs in this state" not in text_of(app)
        read.set()
        await shows(pilot, "No jobs in this state")
        read.clear()
        await pilot.press("2")
        await shows(pilot, "Reading ...")
        assert "No job has failed" not in text_of(app)
        read.set()
        await shows(pilot, "No job has failed")


async def test_an_empty_redis_says_so(redis_url: str, tmp_path: Any) -> None:
    from hsejobs_tui.app import JobsApp
    from hsejobs_tui.core.options import Options

    app = JobsApp(Options(redis_url, "t", tmp_path, "test", refresh=0.05))
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "No job was added yet.")


async def test_a_refused_first_poll_shows_the_reason(redis_url: str, tmp_path: Any) -> None:
    from hsejobs_tui.core.options import Options

    # The test user may access its own prefixes only.
    app = JobsApp(Options(redis_url, "empty", tmp_path, "test", refresh=0.05))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(
            pilot, "Redis denies a permission that hsejobs needs", "Not read: Redis refuses"
        )
        assert "no Redis at" not in text_of(app)


async def test_yes_is_enough_for_a_retry_but_not_while_it_counts(stage: Stage) -> None:
    app, count = stage.app(), Slow()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        question = Counted("Retry", "failed job", "", "", count, typed=False)
        app.push_screen(question)
        await shows(pilot, "Retry 2 failed jobs, so far?", "Count so far (Enter)")
        await pilot.press("y")
        await settle(pilot)
        assert question.fixed is None
        await pilot.press("enter")
        # A second Enter was meant for the count.
        await shows(pilot, "Retry the first 2 failed jobs?", "y continues, or 2 and Enter")
        await pilot.press("enter", "3", "enter")
        await settle(pilot)
        assert app.screen is question
        await pilot.press("y")
        await until(pilot, lambda: app.screen is not question, "the answer")
        assert question.fixed == (("a", ""), ("b", ""))


async def test_the_count_of_too_many_to_undo_is_typed_for_a_retry_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ACTS, "retry", replace(ACTS["retry"], untyped=2))
    for n in range(3):
        stage.fail(f"job-{n}")
    async with question_open(stage, Failures, "r") as pilot:
        await shows(pilot, "Retry all 3 jobs")
        await pilot.press("y")
        await shows(pilot, "Really retry 3 jobs?", "Type 3")
        await pilot.press("y", "enter")
        await settle(pilot)
        assert stage.counts()["failed"] == 3
        await pilot.press("backspace", "3", "enter")
        await until(pilot, lambda: stage.counts()["waiting"] == 3, "the retry")
