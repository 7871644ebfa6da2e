"""Holding a task, and letting it go: from a job, an error, the overview and the alerts."""

from __future__ import annotations

import re

import pytest

from hsejobs.store import registry
from hsejobs.store.holds import Holds
from hsejobs.store.registry import QueueInfo
from hsejobs.store.shares import Shares
from hsejobs.store.write import NewJob
from hsejobs_tui.core.causes import Filler
from hsejobs_tui.screens.overview import Overview
from tests.support.waiting import tick
from tests.tui.conftest import Stage
from tests.tui.driving import ALL, shows
from tests.tui.test_jobs import failed, opened, says

pytestmark = pytest.mark.anyio
#: The keys to the failures, the overview, a queue and a job.
PLACES = (("2",), (), ("enter",), ("enter", "enter"))


async def test_the_task_of_a_job_is_held_and_let_go(stage: Stage) -> None:
    stage.add("job-1", org="org-1")
    holds = Holds(stage.redis, "t")
    async with opened(stage, "enter", "H") as pilot:
        await shows(pilot, "1 Hold the task")
        await pilot.press("enter")
        await says(pilot, "is held in mail: its running jobs finish; H lets it go")
        [held] = holds.of("mail")
        await shows(pilot, "held by", "(task_paused)")
        await pilot.press("escape", "H")
        await shows(pilot, "1 Let the task", "held by")
        # A colleague let it go and held it again: that hold was not asked about.
        tick(stage.redis)
        for paused in (False, True):
            holds.set("mail", held.task, paused=paused, who="bob")
        await pilot.press("enter")
        await says(pilot, "was held or let go since it was shown")
        assert holds.of("mail")
        await pilot.press("H", "enter")
        await says(pilot, "is let go in mail")
        assert not holds.of("mail")
    assert '"act": "tasks set"' in (stage.home / "audit.log").read_text()


async def test_a_task_is_held_from_everywhere_and_let_go_as_near(stage: Stage) -> None:
    failed(stage, "job-1", "no such address")
    stage.add("job-2")
    holds = Holds(stage.redis, "t")
    for keys in PLACES if ALL else PLACES[:1]:
        async with opened(stage, *keys, "H") as pilot:
            await shows(pilot, "1 Hold the task")
            await pilot.press("enter")
            await says(pilot, "is held in mail")
            [held] = holds.of("mail")
            await pilot.press("5")
            await shows(pilot, f"task {held.task.rpartition('.')[2]} held by", "H lets it go")
            await pilot.press("H")
            await shows(pilot, "1 Let the task")
            await pilot.press("enter")
            await says(pilot, "is let go in mail")
            assert not holds.of("mail")


async def test_the_queue_s_head_says_that_a_task_is_held(stage: Stage) -> None:
    stage.add("job-1")
    name = stage.reader.job("mail", "job-1").name
    Holds(stage.redis, "t").set("mail", name, paused=True, who="ann")
    async with opened(stage, "enter") as pilot:
        await shows(pilot, f"task {name.rpartition('.')[2]} held by ann")


async def test_a_held_organization_is_let_go_from_its_alert(stage: Stage) -> None:
    stage.add("job-1", org="org-7")
    shares = Shares(stage.redis, "t")
    shares.set("mail", "org-7", paused=True, who="ann")
    async with opened(stage, "5") as pilot:
        await shows(
            pilot, "org-7 is held by ann", "1 job of it waits", "H lets it go (8)", "since "
        )
        await pilot.press("H")
        await shows(pilot, "Let the organization org-7 go: held by ann")
        await pilot.press("enter")
        await says(pilot, "org-7 is let go in mail")
    assert not shares.get("mail", "org-7").paused


@pytest.mark.parametrize("keys", [(), ("5",)], ids=["overview", "alerts"])
async def test_who_floods_is_held_from_where_it_is_read(
    stage: Stage, keys: tuple[str, ...]
) -> None:
    """The screen names the organization and the key: the first choice is that organization."""
    registry.save(stage.redis, "t", QueueInfo("crm"))
    for n in range(160):
        stage.add(f"job-{n}", org="org-7" if n % 4 else f"other-{n % 3}")
    for n in range(20):
        job = NewJob(f"job-{n}", "m.send", b"{}", 3, 1, 0, 0, organization_id="org-7", nonce="n")
        stage.writer.add("crm", job)
    shares = Shares(stage.redis, "t")
    async with opened(stage, *keys, size=(100, 30)) as pilot:
        await shows(pilot, "org-7 has 75 %", "hold (H) or limit it (8)")
        await pilot.press("H")
        await shows(
            pilot,
            "1 Hold the organization org-7: 0 run, 120 jobs wait",
            "2 Hold the organization org-7 in mail, crm: 0 run, 140 jobs wait",
            "Hold the task send",
            "Hold the organization other-",
        )
        # Someone held it and let it go, with another limit: that was not shown.
        shares.set("mail", "org-7", limit=3)
        await pilot.press("1")
        await says(pilot, "settings of org-7 changed since they were shown")
        assert not shares.get("mail", "org-7").paused
        await pilot.press("H", "1")
        await says(
            pilot, "org-7 is held in mail: its running jobs finish, 120 jobs wait; H lets it"
        )
        assert shares.get("mail", "org-7").paused
        assert not shares.get("crm", "org-7").paused
        await shows(pilot, "org-7 is held")
        await pilot.press("H")
        await shows(pilot, "1 Let the organization org-7 go: held by")
        await pilot.press("1")
        await says(pilot, "org-7 is let go in mail")
        await pilot.press("H", "2")
        await says(pilot, "org-7 is held in mail, crm")
    assert shares.get("crm", "org-7").paused


async def test_who_fills_the_slots_is_offered_too(stage: Stage) -> None:
    """What to do names it although little waits."""
    shares = Shares(stage.redis, "t")
    stage.add("slow", org="org-9")
    async with opened(stage) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, Overview)
        screen._causes.fillers["mail"] = Filler(1, 1, 1, "org-9", "m.send")
        await pilot.press("H")
        await shows(pilot, "1 Hold the organization org-9: 0 run, 1 job waits", "2 Hold the task")
        await pilot.press("escape")
        # A job's own task comes first.
        await pilot.press("enter", "H")
        await shows(pilot, "1 Hold the task", "2 Hold the organization org-9")
        await pilot.press("2")
        await says(pilot, "org-9 is held in mail")
    assert shares.get("mail", "org-9").paused


def test_one_frame_says_what_is_held(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    from hsejobs_tui import once

    for n in range(3):
        stage.add(f"job-{n}", org="org-7")
    Shares(stage.redis, "t").set("mail", "org-7", paused=True, who="bob")
    Holds(stage.redis, "t").set("mail", "m.send", paused=True, who="ann")
    once.show(stage.options())
    shown = capsys.readouterr().out
    assert "note: mail: task send held by ann" in shown
    # Without keys: there are none.
    told = r"note: mail: org-7 is held by bob [0-9.]+m?s?, 3 jobs of it wait; let it go\n"
    assert re.search(told, shown)


async def test_a_hold_does_what_its_question_said(stage: Stage) -> None:
    stage.add("job-1", org="org-1")
    shares = Shares(stage.redis, "t")
    async with opened(stage, "enter", "H") as pilot:
        await shows(pilot, "Hold in mail", "Hold the organization org-1", "Jobs that run finish")
        # A colleague held it meanwhile: the answer does not let it go.
        shares.set("mail", "org-1", paused=True)
        await pilot.press("2")
        await says(pilot, "settings of org-1 changed since they were shown")
        assert shares.get("mail", "org-1").paused
        await shows(pilot, "(tenant_paused)")
        await pilot.press("H")
        await shows(pilot, "Let the organization org-1 go")
        await pilot.press("2")
        await says(pilot, "org-1 is let go")
        assert not shares.get("mail", "org-1").paused
    assert '"act": "tenants set"' in (stage.home / "audit.log").read_text()
