"""A closed screen leaves nothing behind: seen, the lines of about a thousand closed widgets."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.tui.driving import settle
from tests.tui.frozen import frozen_app

#: What grows with each closed screen if something keeps it.
KEPT = ("StylesCache", "Strip", "Rows", "Static")


def counted() -> dict[str, int]:
    gc.collect()
    names = [type(one).__name__ for one in gc.get_objects()]
    return {name: names.count(name) for name in KEPT}


@pytest.mark.anyio
async def test_screens_that_were_closed_are_freed(tmp_path: Path) -> None:
    app = frozen_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for round_number in range(4):
            for key in "23567":
                await pilot.press(key)
                await settle(pilot)
            if round_number == 1:
                before = counted()
        after = counted()
    assert all(after[name] <= before[name] * 1.2 + 5 for name in KEPT), (before, after)
