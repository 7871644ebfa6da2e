"""Keys that come before what they are meant for is there, or long before."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hsejobs_tui import gate
from hsejobs_tui.screens.queue import QueueView
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, until
from tests.tui.test_gate import burst


def send(app: Any, key: str) -> None:
    """Sends a key that is no character, as a terminal does."""
    from textual import events

    event = events.Key(key, None)
    event.set_sender(app)
    app._driver.process_message(event)


def marked(app: Any) -> list[str]:
    """The jobs that are selected on the topmost screen."""
    view = app.screen
    return sorted(view.rows.marked) if isinstance(view, QueueView) else []


@pytest.mark.anyio
async def test_keys_that_were_typed_long_before_a_dialog_came_are_dropped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis did not answer for seconds, and its question was not there to be answered."""
    for n in range(3):
        stage.fail(f"job-{n}")
    monkeypatch.setattr(gate, "STALE", 0.0)
    app = stage.app()
    go, inner = threading.Event(), app.session.acts.select_clean
    monkeypatch.setattr(app.session.acts, "select_clean", lambda *a: go.wait(30) and inner(*a))
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "3 failed")
        await pilot.press("c")
        await until(pilot, lambda: len(app.screen_stack) == 2, "the line")
        await settle(pilot)
        burst(app, "\x15")
        await settle(pilot)
        await pilot.press(*"failed", "space", "0")
        await settle(pilot)
        burst(app, "\r3\r")
        await until(pilot, lambda: app.busy and len(app.screen_stack) == 1, "the count")
        go.set()
        await until(pilot, lambda: len(app.screen_stack) == 2 and app.settled, "the question")
        assert stage.counts()["failed"] == 3
        await shows(pilot, "What was typed before")


async def paged(stage: Stage, *, at_once: bool) -> list[str]:
    """What is selected a page below the first job of a queue."""
    app, keys = stage.app(), ("enter", "pagedown", "space")
    async with app.run_test(size=(120, 36)) as pilot:
        await shows(pilot, "120 waiting")
        await settle(pilot)
        for key in keys:
            send(app, key)
            if not at_once:
                await settle(pilot)
        await until(pilot, lambda: bool(marked(app)) and app.settled, "the selection")
        return marked(app)


@pytest.mark.anyio
async def test_a_page_in_one_read_is_the_page_of_the_screen_it_opened(stage: Stage) -> None:
    for n in range(120):
        stage.add(f"w-{n:03}")
    found = [await paged(stage, at_once=one) for one in (False, True, True, True)]
    assert len({*map(tuple, found)}) == 1, found
