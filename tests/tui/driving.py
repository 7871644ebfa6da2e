"""Waits for text on the screen, never for a fixed time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

#: All combinations of sizes, modes and values; without it, each of them in some combination.
ALL = os.environ.get("TUI") == "all"
#: What a screen has set while it reads in the background.
READS = ("_load_busy", "_find_busy")
#: Seconds. What takes one on a free machine may take ten on a busy one.
PATIENCE = 40.0


def text_of(app: Any) -> str:
    """The content of the screen as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in lines)


async def until(pilot: Pilot[Any], seen: Callable[[], bool], what: str) -> None:
    """Waits until ``seen`` returns True; fails with the screen's text after 40 seconds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if seen():
            return
        await pilot.pause()
        await asyncio.sleep(0.025)
    raise AssertionError(f"never seen: {what}\n{text_of(pilot.app)}")


async def shows(pilot: Pilot[Any], *words: str) -> None:
    """Waits until all words are on the screen."""
    await until(pilot, lambda: all(w in text_of(pilot.app) for w in words), " and ".join(words))


async def settle(pilot: Pilot[Any]) -> None:
    """Waits until everything requested has been read and drawn."""
    app: Any = pilot.app
    quiet = 0
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        await pilot.pause()
        # A screen that was just shown requests a poll in a separate message.
        reads = any(getattr(app.screen, name, False) for name in READS)
        quiet = quiet + 1 if app.settled and app.screen.is_mounted and not reads else 0
        if quiet == 3:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never settled\n{text_of(pilot.app)}")
