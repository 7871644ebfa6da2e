"""The Tenants screen, driven by keys, on a real Redis."""

from __future__ import annotations

import pytest

from hsejobs.control import sharing
from hsejobs.control.audit import entries
from hsejobs.errors import WrongState
from hsejobs.store import registry
from hsejobs.store.marks import Marks
from hsejobs.store.registry import QueueInfo
from hsejobs.store.shares import QueueTenant, Shares
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.screens.queue import QueueView
from hsejobs_tui.screens.tenants import Tenants
from tests.tui import past
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.past import period
from tests.tui.test_gate import burst
from tests.tui.test_jobs import says

pytestmark = pytest.mark.anyio


@pytest.fixture
def flooded(stage: Stage) -> Stage:
    """Two queues; org-7 has most of what waits in one, and added most of the last hour."""
    registry.save(stage.redis, "t", QueueInfo("crm"))
    now = Marks(stage.redis, "t").now()
    tenants = {"org-7": 14, "org-1": 3, "org-2": 3}
    past.write(stage.redis, "mail", 30, lambda ago: period(20, 18, tenants=tenants), now)
    for n in range(30):
        stage.add(f"job-{n:02}", org="org-7" if n % 6 else "org-1")
    stage.add("mine")
    return stage


def tenant(stage: Stage, org: str = "org-7", queue: str = "mail") -> QueueTenant:
    return Shares(stage.redis, "t").get(queue, org)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_which_tenant_floods_us_and_stop_it(flooded: Stage, size: tuple[int, int]) -> None:
    """One key to see it, one more to hold it, typed in one read; the same key lets it go."""
    app = flooded.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("8")
        await shows(pilot, "org-7 floods: 81 % of what waits (25)")
        await pilot.press("1")
        burst(app, "8H")
        await until(pilot, lambda: tenant(flooded).paused, "the hold")
        await shows(pilot, "org-7 held")
        await says(pilot, "org-7 is held in mail: its running jobs finish, 25 jobs wait; H lets it")
        assert not tenant(flooded, "org-1").paused
        assert not tenant(flooded, queue="crm").paused
        await pilot.press("H")
        await until(pilot, lambda: not tenant(flooded).paused, "the end of the hold")
        await says(pilot, "org-7 is let go in mail; 25 jobs wait")
    acts = [(one.act, one.where) for one in entries(flooded.redis, "t", ["mail"])]
    assert acts == [
        ("tenants set", "org=org-7 paused=false"),
        ("tenants set", "org=org-7 paused=true"),
    ]


async def test_a_hold_meets_the_tenant_that_was_shown(flooded: Stage) -> None:
    """Another tenant becomes the busiest, and a colleague changes settings, between look and act."""
    app = flooded.app(refresh=3600)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("8")
        await shows(pilot, "org-7 floods")
        screen = app.screen
        assert isinstance(screen, Tenants)
        for n in range(200):
            flooded.add(f"more-{n:03}", org="org-2")
        screen._again()
        await shows(pilot, "org-2 floods")
        assert screen.row is not None
        assert screen.row.key == "org-7"
        Shares(flooded.redis, "t").set("mail", "org-7", weight=9)
        await pilot.press("H")
        await shows(pilot, "mail: the settings of org-7", "check them")
        assert not tenant(flooded).paused
        await settle(pilot)
        await pilot.press("H")
        await until(pilot, lambda: tenant(flooded).paused, "the hold")
    assert tenant(flooded).weight == 9
    assert not tenant(flooded, "org-2").paused


async def test_weight_and_limit(flooded: Stage) -> None:
    app = flooded.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        burst(app, "8\t\tW\x150\r\x15x\r")
        await shows(pilot, "The weight must be a whole number from 1 to 1000")
        await pilot.press("ctrl+u", "3", "enter", "ctrl+u", "x", "enter")
        await shows(pilot, "The limit must be a whole number")
        await pilot.press("ctrl+u", "5", "enter")
        await until(pilot, lambda: (tenant(flooded).weight, tenant(flooded).limit) == (3, 5), "it")
        await shows(pilot, "set org-7 in mail")
        await pilot.press("W", "enter", "ctrl+u", *"none", "enter")
        await until(pilot, lambda: tenant(flooded).limit is None, "no limit")
        assert tenant(flooded).weight == 3
        await pilot.press("W", "escape")
        await settle(pilot)
        assert isinstance(app.screen, Tenants)


async def test_queues_windows_jobs_and_insight(flooded: Stage) -> None:
    app = flooded.app()
    async with app.run_test(size=(160, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("8")
        await shows(pilot, "all queues [1h]", "(no organization)", "org-2", "70 %")
        await pilot.press("tab")
        await shows(pilot, "crm [1h]", "No organization has jobs here")
        await pilot.press("tab", "plus")
        await shows(pilot, "mail [15m]", "org-7")
        await pilot.press("G")
        await pilot.press("H")
        await shows(pilot, "jobs of no organization have no")
        await pilot.press("g", "4")
        await shows(pilot, "mail, tenant: org-7", "> org-7", "by tenant")
        await pilot.press("8", "enter")
        await until(pilot, lambda: isinstance(app.screen, QueueView), "the queue")
        await shows(pilot, "25 found", "org-7")


async def test_who_may(flooded: Stage) -> None:
    """An organization's own session has no such screen; a read-only one has no acts."""
    app = flooded.app(organization_id="org-1")
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "ORG org-1")
        await pilot.press("8", "H")
        await settle(pilot)
        assert len(app.screen_stack) == 1
    app = flooded.app(read_only=True)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "READ-ONLY")
        await pilot.press("8")
        await shows(pilot, "org-7 floods")
        await pilot.press("H", "W")
        await settle(pilot)
        assert isinstance(app.screen, Tenants)
        assert "H holds it" not in text_of(app)
    assert not tenant(flooded).paused


def test_settings_that_changed_since_they_were_seen_stay(flooded: Stage) -> None:
    acts = acts_of(flooded.options(), flooded.redis)
    seen = tenant(flooded)
    assert sharing.set_tenant(acts, "mail", "org-7", limit=2, seen=seen).limit == 2
    with pytest.raises(WrongState):
        sharing.set_tenant(acts, "mail", "org-7", paused=True, seen=seen)
    assert not tenant(flooded).paused
    now = tenant(flooded)
    assert sharing.set_tenant(acts, "mail", "org-7", limit=None, seen=now) == seen
