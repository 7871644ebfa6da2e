"""A closed screen leaves nothing behind: seen, the lines of about a thousand closed widgets."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from contextvars import Context
from pathlib import Path

import pytest
from textual._context import visible_screen_stack
from textual._styles_cache import StylesCache
from textual.cache import FIFOCache, LRUCache
from textual.message_pump import MessagePump
from textual.strip import Strip
from textual.timer import Timer
from textual.worker import Worker

from hsejobs.garbage import not_sought
from tests.tui.driving import settle
from tests.tui.frozen import frozen_app

#: What grows with each closed screen if something keeps it: widgets, what was drawn, what was begun. Besides
#: these, everything of our own: what was read, and what is shown of it.
KEPT = (MessagePump, StylesCache, Strip, FIFOCache, LRUCache, Timer, Worker, asyncio.Task)
#: Every numbered screen, the help, a queue, and a job of it.
KEYS = (*"23456789", "1", "question_mark", "escape", "enter", "enter", "escape", "escape")


def counted() -> Counter[str]:
    gc.collect()
    return Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in map(type, gc.get_objects())
        if str(kind.__module__).startswith("hsejobs") or issubclass(kind, KEPT)
    )


@pytest.mark.anyio
async def test_no_kind_of_object_grows_with_the_screens_that_were_closed(tmp_path: Path) -> None:
    app = frozen_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for round_number in range(4):
            for key in KEYS:
                await pilot.press(key)
                await settle(pilot)
            if round_number == 1:
                before = counted()
        after = counted()
        stacks = [one.get(visible_screen_stack) for one in gc.get_objects() if type(one) is Context]
    grown = {name: (before[name], n) for name, n in after.items() if n > before[name] * 1.2 + 5}
    assert not grown
    # Textual draws over the screens below; the context of a task that drew would keep them once closed.
    assert not any(stacks)
    assert after["hsejobs_tui.screens.overview.Overview"] == 1


@pytest.mark.anyio
async def test_what_is_garbage_during_a_read_does_not_stay(tmp_path: Path) -> None:
    """A read of the history pauses the search for garbage, in another thread; the polls go on meanwhile."""
    app = frozen_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        before = gc.get_freeze_count()
        with not_sought():
            app.session.poll_soon()
            await settle(pilot)
        assert gc.get_freeze_count() == before
