"""Hard cases: other operators, removed jobs, hostile input, tiny terminals, outages of Redis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.widgets import Input, Tree

from hsejobs.control.acts import UNDO_SECONDS
from hsejobs.errors import RedisUnavailable
from hsejobs.model import State
from hsejobs.store.client import RedisClient
from hsejobs.store.work import Done
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.dialogs.questions import Confirm, Working
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.screens.queue import QueueView
from tests.support.proxy import FlakyProxy
from tests.support.server import Server
from tests.tui.conftest import Stage
from tests.tui.driving import ALL, settle, shows, text_of, until

pytestmark = pytest.mark.anyio


async def test_two_operators_on_one_job(stage: Stage) -> None:
    stage.fail("job-1")
    theirs = stage.app().session.acts
    # The screen is stale: it still shows the job's earlier state.
    app = stage.app(refresh=3600)
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("enter")
        await shows(pilot, "job-1")
        (*_, progress) = theirs.many("retry", "mail", [("job-1", "")])
        assert progress.done == 1
        await pilot.press("r")
        await shows(pilot, "was not retried: moved to", "waiting")
    async with (again := stage.app(refresh=3600)).run_test(notifications=True) as pilot:
        await shows(pilot, "1 waiting")
        await again.push_screen(QueueView("mail", State.WAITING))
        await shows(pilot, "job-1")
        await pilot.press("x")
        await shows(pilot, "Remove job job-1?")
        stage.claim()
        await pilot.press("y")
        await shows(pilot, "was not removed: moved to", "active")
    assert stage.counts()["active"] == 1


async def test_a_job_ends_and_goes_away_while_its_screen_and_a_dialog_are_open(
    stage: Stage,
) -> None:
    stage.add("job-1")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await app.push_screen(JobView("mail", "job-1"))
        await shows(pilot, "waiting")
        await pilot.press("x")
        await shows(pilot, "Remove job job-1?")
        (pair,) = stage.claim()
        stage.work.step([Done(*pair, 10, b'{"sent":true}')], 0, "token", 30_000)
        await pilot.press("y")
        # The question was about a waiting job.
        await shows(pilot, "was not removed: moved to", "completed")
        await pilot.press("x", "y")
        await until(pilot, lambda: stage.counts()["completed"] == 0, "the removal")
        await shows(pilot, "this job is gone")
        await pilot.press("r")
        await shows(pilot, "Retry: nothing to act on")
        await pilot.press("u")
        await shows(pilot, "completed", "sent")


async def test_the_queue_is_obliterated_from_elsewhere(stage: Stage) -> None:
    for n in range(30):
        stage.fail(f"job-{n:02}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "30 failed")
        await pilot.press("enter")
        await shows(pilot, "1 / 30")
        await pilot.press("j", "space", "space", "r")
        await shows(pilot, "Retry 2 jobs?")
        for _ in stage.writer.obliterate_steps("mail", force=True):
            pass
        await pilot.press("2", "enter")
        await shows(pilot, "retried 0 of 2; 2 left: gone")
        await shows(pilot, "0 / 0")
        await pilot.press("escape")
        await settle(pilot)
        await pilot.press("enter", "r", "P")
        await settle(pilot)


async def test_undo_of_500_jobs_restores_them_as_they_were(stage: Stage) -> None:
    for n in range(500):
        stage.add(f"job-{n:03}", delay=3_600_000 if n % 2 else 0)
    ids = [f"job-{n:03}" for n in range(500)]
    before = [stage.reader.job("mail", one) for one in ids]
    order = [job.id for page in stage.reader.walk("mail", State.WAITING) for job in page]
    acts = stage.app().session.acts
    (*_, progress) = acts.many("remove", "mail", [(one, "") for one in ids])
    assert progress.done == 500
    assert stage.counts()["waiting"] == stage.counts()["delayed"] == 0
    (*_, progress) = acts.undo()
    assert progress.done == 500
    assert [stage.reader.job("mail", one) for one in ids] == before
    again = [job.id for page in stage.reader.walk("mail", State.WAITING) for job in page]
    assert again == order


def test_an_error_in_the_middle_of_a_removal_takes_no_copy_along(
    stage: Stage, redis_url: str
) -> None:
    for n in range(1_000):
        stage.add(f"job-{n:03}")
    jobs = [(f"job-{n:03}", "") for n in range(1_000)]
    with FlakyProxy(redis_url) as proxy:
        acts = JobsApp(replace(stage.options(), url=proxy.url)).session.acts
        # Seven calls get a reply, the next one never reaches Redis.
        proxy.cut_request(b"job-700", times=1_000_000)
        (*_, progress) = acts.many("remove", "mail", jobs)
        assert stage.counts()["waiting"] == 300
        assert (progress.done, progress.unsure) == (700, 100)
        report = progress.report("no Redis")
        assert report == (
            "removed 700 of 1,000; u restores them for 60 s; then: no Redis; "
            "no answer for 100: look at them again; 200 not tried"
        )
        # The first reply of the undo is lost: on repetition, restored jobs do not count as refused.
        proxy.cut_reply(b"job-699", times=1, after_bytes=0)
        (*_, back) = acts.undo()
        assert (back.done, back.refused.total()) == (700, 0)
    assert stage.counts()["waiting"] == 1_000


def test_an_undo_that_an_outage_interrupts_can_continue(stage: Stage, redis_url: str) -> None:
    jobs = [(f"job-{n:03}", "") for n in range(300)]
    for job_id, _ in jobs:
        stage.add(job_id)
    clock = [0.0]
    with FlakyProxy(redis_url) as proxy:
        client = RedisClient(proxy.url)
        acts = acts_of(stage.options(), client, lambda: clock[0])
        list(acts.many("remove", "mail", jobs))
        clock[0] = UNDO_SECONDS - 1
        proxy.cut_request(b"job-100", times=1_000_000)
        with pytest.raises(RedisUnavailable):
            list(acts.undo())
        clock[0] += UNDO_SECONDS - 1
        assert acts.undoable()[0] == 200
        client.close()
        acts.check("undo").redis = stage.redis
        (*_, back) = acts.undo()
        assert (back.done, back.refused.total()) == (200, 0)
    assert stage.counts()["waiting"] == 300


HOSTILE = "[red]no[/] [/] [@click=app.quit]x[/] \x1b[31m\x07 \u202eevil\u202c \u200b\u0301 \r\n\t"
EMOJI = "\N{PILE OF POO}" * 200


@pytest.mark.parametrize(
    "data",
    [
        {"to": "x" * 5_000_000},
        {f"key-{n}": {"n": n} for n in range(10_000)},
        {HOSTILE: HOSTILE},
        {"deep": [[[[[[[[[[{"a": [1, 2, {"b": HOSTILE}]}]]]]]]]]]]},
    ],
    ids=["5 MB", "10,000 keys", "hostile", "deep"],
)
async def test_payloads_that_are_too_large(stage: Stage, data: dict[str, Any]) -> None:
    # The size limit is enforced by the engine, so Redis may contain anything.
    stage.add("job-1", data)
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 waiting")
        await pilot.press("enter")
        await shows(pilot, "job-1")
        await pilot.press("enter")
        await shows(pilot, "payload", "priority")
        await pilot.press("tab", "end", "home", "right", "down", "enter", "end")
        await settle(pilot)
        assert len(app.screen.query_one(Tree).root.children) <= 501
        shown = text_of(app)
        assert not set("\x1b\x07\u202e\u202c\u200b\r\t") & set(shown)
        await pilot.press("escape", "slash", *"evil", "enter")
        await shows(pilot, "in 1 waiting")


async def test_an_id_and_an_organization_of_200_emoji(stage: Stage) -> None:
    stage.fail(EMOJI, EMOJI, org=EMOJI)
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("enter")
        await shows(pilot, "1 / 1", "failed")
        await pilot.press("y", "enter")
        await shows(pilot, "Attempts")
        await pilot.press("x")
        await shows(pilot, "Remove job")
        await pilot.press("y")
        await until(pilot, lambda: stage.counts()["failed"] == 0, "the removal")
        for key in "1234567":
            await pilot.press(key)
            await settle(pilot)
        await pilot.press("u")
        await until(pilot, lambda: stage.counts()["failed"] == 1, "the undo")


async def test_every_screen_and_dialog_at_40x10_and_back(stage: Stage) -> None:
    for n in range(40):
        stage.fail(f"job-{n:02}", "a long error " * 30)
    app = stage.app(refresh=3600)
    steps = [
        "1",
        "2",
        "3",
        "9",
        "5",
        "6",
        "7",
        "1 enter",
        "question_mark",
        "escape",
        "enter",
        "escape slash",
        "escape x",
        "n c",
        "escape P",
        "n D",
        "escape O",
        "escape colon",
        "escape n",
        "escape ctrl+p",
        "escape",
    ]
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "40 failed")
        for number, step in enumerate(steps):
            await pilot.press(*step.split())
            await settle(pilot)
            small = [(40, 10), (20, 5)]
            for size in (*(small if ALL else small[number % 2 :][:1]), (120, 36)):
                await pilot.resize_terminal(*size)
                await settle(pilot)
        await pilot.resize_terminal(80, 24)
        await pilot.press("escape", "1", "enter")
        await settle(pilot)
        assert isinstance(app.screen, QueueView)
        assert app.screen.rows.page >= 5


async def test_redis_goes_away_while_many_are_retried_and_comes_back(
    stage: Stage, redis_server: Server
) -> None:
    for n in range(1_200):
        stage.fail(f"job-{n:04}")
    app = stage.app()
    stopped: list[bool] = []
    many = app.session.acts.many

    def pulled(*args: Any, **kwargs: Any) -> Any:
        for progress in many(*args, **kwargs):
            if not stopped:
                stopped.append(True)
                redis_server.stop()
            yield progress

    app.session.acts.many = pulled  # type: ignore[method-assign]
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "failed")
        await pilot.press("enter")
        await shows(pilot, "/ 1,200")
        await pilot.press("asterisk", "r")
        await shows(pilot, "Retry all 1,200 failed jobs")
        await pilot.press(*"1200", "enter")
        await shows(pilot, "retried 500 of 1,200; u undoes it for 60 s; then: ")
        await pilot.press("escape")
        await shows(pilot, "STALE", "next try in")
        redis_server.start()
        stage.describe()
        await pilot.press("ctrl+r")
        await shows(pilot, "commands,")


async def test_an_act_on_many_is_cancelled(stage: Stage) -> None:
    for n in range(1_600):
        stage.fail(f"job-{n:04}")
    app = stage.app()
    many = app.session.acts.many

    def slow(*args: Any, **kwargs: Any) -> Any:
        for n, progress in enumerate(many(*args, **kwargs)):
            if n == 1:
                app.call_from_thread(app.screen.action_leave)  # type: ignore[attr-defined]
            yield progress

    app.session.acts.many = slow  # type: ignore[method-assign]
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1,600 failed")
        await pilot.press("enter")
        await shows(pilot, "/ 1,600")
        await pilot.press("asterisk", "r")
        await shows(pilot, "Retry all 1,600 failed jobs")
        await pilot.press(*"1600", "enter")
        await shows(pilot, "retried 1,000 of 1,600", "cancelled with 600 not tried")
        assert isinstance(app.screen, Working)
        await pilot.press("enter")
        await shows(pilot, "1 / 600")
    assert stage.counts()["waiting"] == 1_000


async def test_a_typed_confirmation_takes_nothing_else(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("O", "y", "enter", "n")
        assert isinstance(app.screen, Confirm)
        app.screen.query_one(Input).value = "mai"
        await pilot.press("enter")
        assert isinstance(app.screen, Confirm)
        await pilot.press("escape")
        await settle(pilot)
    assert stage.counts()["failed"] == 1


async def test_a_job_of_no_queue_view(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("colon", *"nowhere", "enter")
        await shows(pilot, "no queue has a job with this id")
        await app.push_screen(JobView("mail", "nowhere"))
        await shows(pilot, "this job is gone")
        await pilot.press("r", "d", "p")
        await settle(pilot)
        await app.push_screen(QueueView("nosuch", State.FAILED))
        await shows(pilot, "0 / 0")


async def test_an_outage_during_a_search_is_reported(stage: Stage, redis_server: Server) -> None:
    stage.fail("job-1")
    app = stage.app(refresh=3600)
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("enter")
        await shows(pilot, "job-1")
        redis_server.stop()
        await pilot.press("slash", "x", "enter")
        await shows(pilot, "(redis_unavailable)")
