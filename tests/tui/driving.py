"""Waiting for what is to be seen, never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot


def text_of(app: Any) -> str:
    """Everything on the screen, as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in lines)


async def until(pilot: Pilot[Any], seen: Callable[[], bool], what: str) -> None:
    """Returns when ``seen`` says so; fails with the screen's text after ten seconds."""
    for _ in range(400):
        if seen():
            return
        await pilot.pause()
        await asyncio.sleep(0.025)
    raise AssertionError(f"never seen: {what}\n{text_of(pilot.app)}")


async def shows(pilot: Pilot[Any], *words: str) -> None:
    """Waits until all the words are on the screen."""
    await until(pilot, lambda: all(w in text_of(pilot.app) for w in words), " and ".join(words))
