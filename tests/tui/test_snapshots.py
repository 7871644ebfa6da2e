"""Snapshots of every screen and dialog at three sizes, with constant data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from hsejobs_tui.dialogs.questions import Working
from tests.tui.driving import settle
from tests.tui.frozen import frozen_app

SIZES = [(80, 24), (120, 36), (200, 50)]
#: Key sequences that open each screen; the app settles after each key.
STEPS = {
    "overview": [],
    "queue": ["j", "enter", "j", "space"],
    "all-states": ["j", "enter", "tab"],
    "all-selected": ["j", "enter", "asterisk"],
    "search": ["j", "slash", "a", "n", "n", "enter"],
    "job": ["j", "enter", "enter"],
    "job-end": ["j", "enter", "enter", "G"],
    "failures": ["2", "j"],
    "workers": ["3"],
    "schedules": ["9"],
    "alerts": ["5"],
    "circuits": ["6"],
    "events": ["7"],
    "help": ["question_mark"],
    "menu": ["ctrl+p"],
    "goto": ["colon"],
    "pause": ["P"],
    "clean": ["c"],
    "drain": ["X"],
    "obliterate": ["O"],
    "enqueue": ["j", "n"],
    "duplicate": ["j", "enter", "d"],
    "remove": ["j", "enter", "x"],
    "retry-group": ["2", "r"],
}


def _still(pilot: Any) -> None:
    """Stops the blinking cursor of Textual's palette."""
    for one in pilot.app.screen.query(Input):
        one.cursor_blink = False


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "{}x{}".format(*size))
@pytest.mark.parametrize("name", STEPS)
def test_screen(tmp_path: Path, snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    async def walk(pilot: Any) -> None:
        await settle(pilot)
        for key in STEPS[name]:
            await pilot.press(key)
            await settle(pilot)
        _still(pilot)
        await settle(pilot)
        # A read that the constant source does not have would go to a Redis that is not there.
        assert pilot.app.session.outage is None

    assert snap_compare(frozen_app(tmp_path), terminal_size=size, run_before=walk)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "{}x{}".format(*size))
def test_report(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    from hsejobs.control.acts import Progress

    done = Progress("retry", "email", 50_000, 49_000, cancelled=True)
    done.refused["moved to active"] = 17

    async def walk(pilot: Any) -> None:
        await settle(pilot)
        screen = Working("Retry 50,000 jobs of email", 50_000, lambda stop: iter([done]))
        await pilot.app.push_screen(screen)
        while not screen.finished:
            await pilot.pause(0.01)
        await settle(pilot)

    assert snap_compare(frozen_app(tmp_path), terminal_size=size, run_before=walk)


@pytest.mark.parametrize(
    "options",
    [
        {"read_only": True},
        {"organization_id": "org-1"},
        {"ascii_only": True},
        {"production": False, "front": True},
    ],
    ids=["read-only", "organization", "ascii", "in-front"],
)
def test_session(tmp_path: Path, snap_compare: Any, options: dict[str, Any]) -> None:
    app = frozen_app(tmp_path, **options)
    assert snap_compare(app, terminal_size=(80, 24), run_before=settle)


def test_tiny(tmp_path: Path, snap_compare: Any) -> None:
    assert snap_compare(frozen_app(tmp_path), terminal_size=(40, 10), run_before=settle)
