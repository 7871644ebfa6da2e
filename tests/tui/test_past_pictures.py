"""Insight and Tenants in pictures: snapshots, contrast in each mode, and no wasted lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tui.driving import ALL, settle, text_of
from tests.tui.frozen_past import past_app
from tests.tui.test_colors import poor

SIZES = [(80, 24), (120, 36), (200, 50)]
SPAN = ["4", *["left"] * 20, "left_curly_bracket", *["left"] * 6, "c"]
#: Key sequences that open each screen.
STEPS: dict[str, list[str]] = {
    "insight": ["4"],
    "insight-span": SPAN,
    "insight-error": ["4", "b", "b", "j"],
    "tenants": ["8"],
    "tenant-settings": ["8", "W"],
}


async def walk(pilot: Any, keys: list[str]) -> None:
    await settle(pilot)
    # The first key opens the screen; the key gate keeps the others until what they need was read.
    for part in (keys[:1], keys[1:]):
        if part:
            await pilot.press(*part)
            await settle(pilot)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "{}x{}".format(*size))
@pytest.mark.parametrize("name", ["insight", "insight-span", "tenants"])
def test_screen(tmp_path: Path, snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    async def run(pilot: Any) -> None:
        await walk(pilot, STEPS[name])

    assert snap_compare(past_app(tmp_path), terminal_size=size, run_before=run)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["dark", "light", "mono", "ascii", *["ansi"] * ALL])
async def test_every_text_has_enough_contrast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    if mode == "mono":
        monkeypatch.setenv("NO_COLOR", "1")
    theme = mode if mode in ("light", "ansi") else "dark"
    app = past_app(tmp_path, theme=theme, ascii_only=mode == "ascii")
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        shorter = ["4", *["left"] * 4, "left_curly_bracket", *["left"] * 3, "c"]
        for name, keys in {**STEPS, "insight-span": shorter}.items():
            await walk(pilot, [*keys, *["plus"] * ("settings" not in name)])
            if mode != "ansi":
                assert not poor(app), name
            if mode == "ascii":
                assert text_of(app).isascii(), text_of(app)
            await walk(pilot, ["escape"] * 3)
            app.session.show_window(app.session.window.live())


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(120, 36), (200, 50)])
async def test_under_a_fifth_of_the_lines_is_blank(tmp_path: Path, size: tuple[int, int]) -> None:
    app = past_app(tmp_path)
    async with app.run_test(size=size, notifications=True) as pilot:
        await walk(pilot, STEPS["insight"])
        lines = text_of(app).splitlines()
        blank = [line for line in lines if not line.strip()]
        assert len(blank) < len(lines) / 5, text_of(app)
