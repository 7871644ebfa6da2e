"""The Insight screen, driven by keys, on a past in a real Redis."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hsejobs.control import sharing
from hsejobs.store import registry
from hsejobs.store.marks import Marks
from hsejobs.store.periods import Period
from hsejobs.store.registry import QueueInfo
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.core.options import DashboardUser
from hsejobs_tui.screens.insight import Insight
from hsejobs_tui.screens.queue import QueueView
from tests.support.server import Server
from tests.tui import past
from tests.tui.conftest import SECRET, Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.past import period
from tests.tui.test_gate import burst

pytestmark = pytest.mark.anyio

#: The incident lasts from that many minutes ago until fewer; org-7 floods, and a new error occurs.
BEGAN, ENDED, DEPLOY = 40, 30, 41
REFUSED = "ConnectionRefused tcp <n>: connection refused"


def story(ago: int) -> Period:
    """An ordinary queue, in which an old error occurs, and ten bad minutes."""
    if ENDED < ago <= BEGAN:
        return period(
            200,
            20,
            wait_ms=18_000,
            depth=100 * (BEGAN - ago),
            errors={REFUSED: 61, "timeout no answer within <n> s": 1},
            tenants={"org-7": 140, "org-1": 30, "org-2": 30},
        )
    return period(
        20,
        18,
        errors={"timeout no answer within <n> s": 2},
        tenants={"org-1": 10, "org-2": 5, "org-3": 5},
    )


@dataclass
class Scene:
    """A Redis with two queues and their past. ``minute``: the current one, in ms."""

    stage: Stage
    minute: int

    def clock(self, ago: int) -> str:
        """The time of day that many minutes ago."""
        at = datetime.fromtimestamp(self.minute / 1000 - ago * 60, UTC)
        return at.strftime("%H:%M")

    def app(self, **values: object) -> JobsApp:
        return self.stage.app(**values)


@pytest.fixture
def scene(stage: Stage) -> Scene:
    registry.save(stage.redis, "t", QueueInfo("crm"))
    now = Marks(stage.redis, "t").now()
    made = Scene(stage, now - now % 60_000)
    past.write(stage.redis, "mail", 170, story, now)
    past.write(stage.redis, "crm", 170, lambda ago: period(1, 1), now)
    past.mark(stage.redis, made.minute - DEPLOY * 60_000, "deploy", "deploy 4f1c", "hsejobs")
    past.mark(
        stage.redis, made.minute - 38 * 60_000, "alert", "mail: 75 % failed", "hsejobs", "mail"
    )
    return made


async def test_what_happened_from_one_time_to_another(scene: Scene) -> None:
    """Four keys and the time, at 80x24: what, whose, which errors, since which deploy."""
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        span = f"{scene.clock(BEGAN)} to {scene.clock(ENDED)}"
        await pilot.press("4", "t", *span, "enter")
        await shows(pilot, f"{span} UTC", "new ConnectionRefused", "610", "org-7  1,400 of 2,010")
        await shows(pilot, f"{scene.clock(DEPLOY)} deploy 4f1c", "mail: 75 % failed")
        text = text_of(app)
        assert re.search(r"in 2,010 +out 830 +failed jobs 620 \(75 %\)", text), text
        # The errors are those of attempts, and say so.
        assert "610 attempts" in text


async def test_a_span_of_the_window_that_is_shown_is_selected(scene: Scene) -> None:
    """The window holds it already, and of the past it is not read again."""
    app = scene.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        outer = f"{scene.clock(BEGAN + 2)} to {scene.clock(ENDED - 2)}"
        inner = f"{scene.clock(BEGAN)} to {scene.clock(ENDED)}"
        for span in (outer, inner):
            await pilot.press("4", "t", *span, "enter")
            await shows(pilot, f"{span} UTC")
            await pilot.press("1")
            await settle(pilot)
        # A moment that is not shown is not kept for another window.
        await pilot.press("t", *inner, "enter")
        await settle(pilot)
        await pilot.press(".", "4")
        await until(pilot, lambda: isinstance(app.screen, Insight), "the screen")
        screen = app.screen
        assert isinstance(screen, Insight)
        await until(pilot, lambda: not screen.reading, "the window")
        assert not screen.state.selected


async def test_a_burst_of_keys_is_read_one_by_one(scene: Scene) -> None:
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        burst(app, "4bbj[[{[c")
        await until(pilot, lambda: isinstance(app.screen, Insight), "the screen")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, Insight)
        await until(pilot, lambda: not screen.reading, "the window")
        state = screen.state
        assert state.division == "error"
        assert state.part == REFUSED
        assert screen.compare
        assert state.span is not None
        assert state.focus[1] - state.focus[0] == 2 * state.width


async def test_was_this_error_there_before_the_deploy(scene: Scene) -> None:
    """Two keys: Failures, then Insight of the error under the cursor."""
    scene.stage.fail("job-1", "tcp 7: connection refused")
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("2")
        await shows(pilot, "connection refused", "deploy 4f1c")
        for _ in range(10):
            if "connection refused in" in text_of(app):
                break
            await pilot.press("j")
            await settle(pilot)
        await pilot.press("4")
        await shows(pilot, "error: ", "connection refused", "fail/m", "deploy 4f1c")
        screen = app.screen
        assert isinstance(screen, Insight)
        failed = [one for one in screen.state.bins if one.counters.failed]
        assert failed[0].at >= scene.minute - DEPLOY * 60_000


async def test_queues_tasks_errors_and_tenants_and_their_jobs(scene: Scene) -> None:
    scene.stage.fail("job-1", "tcp 7: connection refused", org="org-1")
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("4")
        await shows(pilot, "all queues", "by queue", "mail", "crm", "deploy 4f1c", "marks")
        await pilot.press("down")
        await until(pilot, lambda: app.screen.state.queue == "mail", "the first queue")  # type: ignore[attr-defined]
        await pilot.press("b")
        await shows(pilot, "mail, task: all", "by task", "send")
        await pilot.press("b")
        await shows(pilot, "by error", "ConnectionRefus", "610")
        await pilot.press("b")
        await shows(pilot, "by tenant", "org-7")
        await pilot.press("j")
        await shows(pilot, "tenant: org-7")
        await pilot.press("r")
        await shows(pilot, "run ", "ran longest")
        await pilot.press("b", "end")
        await shows(pilot, "all queues" if app.screen.state.queue is None else "mail")  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, QueueView), "the queue")
        await shows(pilot, "job-1", "1 found")
        await pilot.press("4")
        await shows(pilot, "mail  ")
        assert app.screen.state.queue == "mail"  # type: ignore[attr-defined]


async def test_the_window_moves_and_says_why_it_is_empty(scene: Scene) -> None:
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("4", "minus", "minus")
        await shows(pilot, "[24h]", "ConnectionRefused")
        await pilot.press("less_than_sign", "less_than_sign", "less_than_sign")
        await shows(pilot, "Nothing was added or ended in any queue", "- shows a longer time")
        await pilot.press("full_stop", "plus", "plus")
        await shows(pilot, "[1h]", "ConnectionRefused")


async def test_the_mouse_puts_the_cursor_and_selects_a_span(scene: Scene) -> None:
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("4")
        await shows(pilot, "ConnectionRefused")
        screen = app.screen
        assert isinstance(screen, Insight)
        await pilot.mouse_down("#charts", offset=(40, 3))
        await pilot.mouse_up("#charts", offset=(40, 3))
        await until(pilot, lambda: screen.state.cursor is not None, "the cursor")
        assert screen.state.span is None
        await pilot.mouse_down("#charts", offset=(30, 3))
        await pilot.hover("#charts", offset=(70, 3))
        await pilot.mouse_up("#charts", offset=(70, 3))
        await until(pilot, lambda: screen.state.span is not None, "the span")
        for _ in range(2):
            await pilot.press("escape")
        await until(pilot, lambda: not screen.state.selected, "nothing selected")
        await pilot.press("escape")
        await shows(pilot, "2 queues")


async def test_the_report(scene: Scene) -> None:
    """One page and its picture, private, never replaced, without secrets."""
    stage = scene.stage
    stage.fail("job-1", f"tcp 7: connection refused, sig {SECRET}", org="org|`<b>1")
    acts = acts_of(stage.options(), stage.redis)
    acts.pause("mail", True)
    sharing.set_tenant(acts, "mail", "org-7", weight=2)
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("4")
        await shows(pilot, "ConnectionRefused")
        await pilot.press("w")
        await shows(pilot, "wrote ")
        await pilot.press("w")
        folder = stage.home / "reports"
        await until(pilot, lambda: len(list(folder.glob("*.md"))) == 2, "the second report")
        await settle(pilot)
    pages = sorted(folder.glob("*.md"))
    for path in (*pages, *folder.glob("*.svg")):
        assert path.stat().st_mode & 0o777 == 0o600
        assert SECRET not in path.read_text()
    page = pages[0].read_text()
    for words in (
        "# Incident: all queues",
        "New: `ConnectionRefused tcp <n>: connection refused` in mail, 610 times, after deploy 4f1c",
        "`org-7`",
        "mail: 75 % failed",
        "| pause | mail |",
        "| tenants set | mail |",
        "## Jobs that waited longest",
    ):
        assert words in page, page
    assert "<b>" not in re.sub(r"`[^`]*`", "", page)
    for path in pages:
        [picture] = re.findall(r"\]\(([^)]+\.svg)\)", path.read_text())
        assert (path.parent / picture).exists()


async def test_one_organization_sees_its_own(scene: Scene) -> None:
    app = scene.app(organization_id="org-7")
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "ORG org-7")
        await pilot.press("4")
        await shows(pilot, "all queues", "in 1,400", "by queue")
        text = text_of(app)
        assert "ConnectionRefused" not in text
        assert "org-1" not in text
        assert "deploy" not in text
        await pilot.press("b")
        await shows(pilot, "divided by queue only")
        await pilot.press("w")
        await shows(pilot, "wrote ")
    [page] = (scene.stage.home / "reports").glob("*.md")
    assert "org-1" not in page.read_text()


def test_nothing_else_is_imported_for_the_first_frame() -> None:
    """What only this screen needs is loaded with it."""
    source = Path(__file__).parents[2] / "hsejobs_tui" / "screens" / "insight.py"
    assert "incident" not in source.read_text()


async def test_a_member_reads_why_not_and_a_browser_writes_no_file(scene: Scene) -> None:
    member = DashboardUser("user-1", "member")
    app = scene.app(organization_id="org-7", viewer=member)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "ORG org-7")
        await pilot.press("4")
        await shows(pilot, "this needs the role admin")
    app = scene.app(viewer=DashboardUser("ann", "operator"))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("4", "w")
        await shows(pilot, "a browser cannot write a report")
    assert not (scene.stage.home / "reports").exists()


async def test_without_redis_the_figures_stay(scene: Scene, redis_server: Server) -> None:
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "2 queues")
        await pilot.press("4")
        await shows(pilot, "ConnectionRef", "fail/m")
        redis_server.stop()
        await pilot.press("ctrl+r")
        await shows(pilot, "STALE", "ConnectionRef", "fail/m")
        await pilot.press("left", "b", "minus")
        await shows(pilot, "STALE")
        redis_server.start()
        await pilot.press("ctrl+r")
        await shows(pilot, "commands,")
