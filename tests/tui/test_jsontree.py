"""JSON as a tree: the room that it gets, in whatever order a screen is divided and its nodes come."""

from __future__ import annotations

import asyncio

import pytest

from hsejobs_tui.screens.job import JobView
from hsejobs_tui.widgets.jsontree import JsonTree
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of

pytestmark = pytest.mark.anyio

#: Rounds of the event loop in which a tree is mounted, makes its nodes and is laid out: more than it needs.
ROUNDS = 60


@pytest.mark.parametrize("every", [3, 4, 5])
async def test_a_tree_that_was_measured_before_its_nodes_came_gets_their_room(
    stage: Stage, every: int
) -> None:
    stage.fail("job-1")
    for first in range(every):
        app = stage.app()
        # So high that no scroll bar comes, which would divide the screen again.
        async with app.run_test(size=(120, 36), notifications=True) as pilot:
            await shows(pilot, "1 failed")
            view = JobView("mail", "job-1")
            timer = asyncio.create_task(divide(view, every, first))
            await app.push_screen(view)
            await asyncio.wait_for(timer, 60)
            await shows(pilot, "it broke", "Attempts")
            await settle(pilot)
            height = view.query_one("#pair").size.height
            assert (first, height, "***" in text_of(app)) == (first, 5, True)


async def divide(view: JobView, every: int, first: int) -> None:
    """Lets the screen's timer end in every n-th round of the event loop, as it may on a busy machine."""
    n = 0
    while n < ROUNDS:
        await asyncio.sleep(0)
        if view.is_attached and view.query(JsonTree):
            n += 1
            if n % every == first and view._layout_required:
                view._on_timer_update()
