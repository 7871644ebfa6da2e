"""Pictures of the screens at three sizes, from a state that never changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hsejobs.model import JobRecord, State
from hsejobs.store.minutes import Minute
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Glance, Server, Window
from hsejobs.store.registry import QueueInfo
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import Source

NOW = 1_800_000_000_000
SIZES = [(80, 24), (120, 36), (200, 50)]


def _stats(
    name: str, waiting: int, failed: int, workers: int, *, paused: bool = False
) -> QueueStats:
    minutes = [Minute(added=40 - n, completed=30, failed=failed // 50, run={60: 20, 70: 3},
                      wait={40: 9}) for n in range(30)]  # fmt: skip
    return QueueStats(name, waiting, 3, 2, 120_345, failed, paused, 754_000, 1000, workers, NOW,
                      minutes)  # fmt: skip


GLANCE = Glance(
    [_stats("data-exports", 12, 0, 0), _stats("email", 145_000, 812, 2),
     _stats("webhooks", 7, 40, 1, paused=True)],
    {name: QueueInfo(name) for name in ("data-exports", "email", "webhooks")},
    Server("Redis 7.0.15", 48_000_000, 0, 12, "noeviction"), {}, (11, 1.2),
)  # fmt: skip


class Frozen(Source):
    """A source whose Redis never changes."""

    def glance(self) -> Glance:
        self.infos = GLANCE.infos
        return GLANCE

    def window(self, queue: str, state: State, **place: Any) -> Window:
        rows: list[JobRecord | None] = [
            JobRecord(
                f"1m86k{n:012}", queue, "tasks.email.send_email", state, f"org-{n % 7}", None, 3, 3, 3,
                5000, 0, NOW - 90_000 - n * 1000, NOW - 80_000, NOW - 60_000 - n * 1000,
                code="timeout", errors=({"error": f"[red]no answer[/] within {n} s", "attempt": 3},),
            ) for n in range(60)
        ]  # fmt: skip
        return Window(812, False, 0, None, NOW, rows)


@pytest.fixture
def app(tmp_path: Path) -> JobsApp:
    made = JobsApp(Options("unix:///nowhere", "t", tmp_path, "prod-eu", production=True))
    made.source = Frozen(made.options, made.link)
    return made


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_overview(app: JobsApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def wait(pilot: Any) -> None:
        while app.glance is None:
            await pilot.pause(0.01)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=wait)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_queue(app: JobsApp, snap_compare: Any, size: tuple[int, int]) -> None:
    async def walk(pilot: Any) -> None:
        while app.glance is None:
            await pilot.pause(0.01)
        await pilot.press("j", "enter")
        while app.view is None or app.view.SCOPE != "queue" or not app.view.rows.total:
            await pilot.pause(0.01)
        await pilot.press("j", "space")
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=walk)


def test_help(app: JobsApp, snap_compare: Any) -> None:
    async def ask(pilot: Any) -> None:
        while app.glance is None:
            await pilot.pause(0.01)
        await pilot.press("question_mark")
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=ask)
