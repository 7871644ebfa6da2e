"""The menu: finds queues, tenants, jobs, errors and commands; acts before moves."""

from __future__ import annotations

import subprocess
import sys

import pytest
from textual.widgets import Input

from hsejobs.store import registry
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs_tui.screens.queue import QueueView
from tests.support.server import Server
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.failed_past import fail
from tests.tui.test_gate import burst

HOSTILE = "[red]no[/] \u202eevil"


@pytest.mark.anyio
async def test_acts_come_before_moves(stage: Stage) -> None:
    fail(stage, "one", "it broke")
    app = stage.app()
    async with app.run_test(size=(120, 110), notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("enter")
        await shows(pilot, "1 / 1")
        await pilot.press("ctrl+p")
        await shows(pilot, "Retry", "Remove")
        shown = text_of(app)
        assert shown.index("Retry") < shown.index("Clean") < shown.index("Search")
        assert "Move one row" not in shown
        await pilot.press(*"retr", "enter")
        await until(pilot, lambda: stage.counts()["waiting"] == 1, "the retry")


@pytest.mark.anyio
async def test_a_queue_a_tenant_a_job_and_an_error_by_name(stage: Stage) -> None:
    registry.save(stage.redis, "t", QueueInfo("archive", [TaskInfo("a.b", {}, [])], "a.b"))
    fail(stage, "order-4711", f"ValueError: {HOSTILE}", "org-007")
    stage.add("other", org="org-1")
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "archive", "mail")
        for typed, name, seen in (
            ("mail", "Queue mail", "1 / 1"),
            ("org-007", "Organization org-007", "org="),
            ("order-4711", "Job order-4711", "mail / order-4711"),
            ("valueerr", "Error ValueError", "ValueError in mail"),
        ):
            await pilot.press("1", "ctrl+p", *typed)
            await shows(pilot, name)
            assert "\u202e" not in text_of(app)
            await pilot.press("enter")
            await shows(pilot, seen)


@pytest.mark.anyio
async def test_a_burst_opens_the_menu_and_goes_to_a_queue(stage: Stage) -> None:
    for n in range(3):
        fail(stage, f"job-{n}", "it broke")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "3 failed")
        burst(app, "\x10queue mail\r")
        await until(pilot, lambda: isinstance(app.screen, QueueView), "the queue")
        await settle(pilot)
    assert stage.counts()["failed"] == 3


@pytest.mark.anyio
async def test_a_confined_read_only_session_finds_its_own_only(stage: Stage) -> None:
    fail(stage, "theirs-1", "it broke", "org-2")
    fail(stage, "mine-1", "it broke", "org-1")
    app = stage.app(organization_id="org-1", read_only=True, ascii_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("ctrl+p", *"theirs-1")
        await settle(pilot)
        assert "Job theirs" not in text_of(app)
        await pilot.press(*["backspace"] * 8, *"mine-1")
        await shows(pilot, "Job mine-1")
        await pilot.press(*["backspace"] * 6, *"org-2")
        await settle(pilot)
        assert "Organization" not in text_of(app)
        await pilot.press(*["backspace"] * 5, *"pause")
        await settle(pilot)
        assert "Pause or resume" not in text_of(app)


def test_the_menu_is_loaded_late() -> None:
    """The first frame imports neither the menu, nor the form, nor a screen of the others."""
    code = (
        "import sys; from hsejobs_tui.app import JobsApp; import hsejobs_tui.once;"
        "print([one for one in sys.modules if one in ('textual.command', 'hsejobs_tui.dialogs.menu',"
        "'hsejobs_tui.dialogs.job_form', 'hsejobs_tui.core.failures', 'hsejobs_tui.core.event_list')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "hsejobs_tui" not in done.stdout


@pytest.mark.anyio
async def test_the_menu_opens_while_redis_does_not_answer(
    stage: Stage, redis_server: Server
) -> None:
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        redis_server.stop()
        await shows(pilot, "STALE")
        await pilot.press("ctrl+p")
        await shows(pilot, "New job")
        await pilot.press(*"help", "enter")
        await shows(pilot, "Keys: overview")


@pytest.mark.anyio
async def test_any_text_is_searched_for_in_all_queues(stage: Stage) -> None:
    """A customer's mail address, of which only a payload knows."""
    registry.save(stage.redis, "t", QueueInfo("archive"))
    stage.add("hers", {"to": "ann@example.com"})
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "archive", "mail")
        await pilot.press("ctrl+p")
        await settle(pilot)
        app.screen.query_one(Input).value = "ann@example.com"
        await shows(pilot, "Search all queues for ann@example.com")
        await pilot.press("enter")
        await shows(pilot, "all queues  /ann@example.com", "hers", "1 job")


@pytest.mark.anyio
async def test_an_address_is_typed_or_pasted(stage: Stage) -> None:
    registry.save(stage.redis, "t", QueueInfo("archive", [TaskInfo("a.b", {}, [])], "a.b"))
    fail(stage, "order-4711", "it broke", "org-007")
    stage.add("waits")
    app = stage.app(public_url="https://jobs.example.com")
    dashboard = "https://jobs.example.com/api/jobs/dashboard"
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "archive", "mail")
        for typed, seen in (
            ("mail:waiting", "1 / 1, next first"),
            ("mail:order-4711", "mail / order-4711"),
            ("mail:failed:order-4711", "mail / order-4711"),
            ("mail/jobs/order-4711", "mail / order-4711"),
            (f"{dashboard}/mail/jobs/order-4711?from=-3h#terminal", "[3h]"),
            (f"{dashboard}/plain/mail", "1 / 1"),
            (f"{dashboard}/failures", "1 kind of failure"),
            ("/queues?where=org%3Dorg-007", "1 job"),
        ):
            await pilot.press("1", "ctrl+p")
            await settle(pilot)
            app.screen.query_one(Input).value = typed
            await shows(pilot, "Go to /")
            await pilot.press("enter")
            await shows(pilot, seen)
        # An address keeps the window if it names none, and one of nothing is not offered.
        assert app.session.window.name == "3h"
        for typed in (
            "nosuch:waiting",
            "mail:what ever",
            "https://example.com/x",
            "/mail/x/y/z",
            "mail",
        ):
            await pilot.press("1", "ctrl+p")
            await settle(pilot)
            app.screen.query_one(Input).value = typed
            await settle(pilot)
            assert "Go to /" not in text_of(app)
            await pilot.press("escape")
