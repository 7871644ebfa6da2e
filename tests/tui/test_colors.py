"""One table of colors, and a contrast of 4.5:1 or more on every screen."""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path
from typing import Any

import pytest
from rich import console
from rich.color import ANSI_COLOR_NAMES, Color
from rich.segment import Segment
from rich.terminal_theme import TerminalTheme
from textual.app import App
from textual.color import Color as TextualColor
from textual.css.stylesheet import Stylesheet

import hsejobs_tui
from hsejobs_tui.core import colors
from tests.tui.driving import ALL, settle
from tests.tui.frozen import frozen_app
from tests.tui.test_snapshots import STEPS

LEAST = 4.5
#: Drawn by Textual: the thumb of a scroll bar, and the block elements at its ends.
SCROLL_BAR = frozenset("▁▂▃▄▅▆▇█▎▊▍▌▐ ")


def _light(triplet: tuple[int, int, int]) -> float:
    parts = [value / 255 for value in triplet]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The contrast by WCAG 2: 1 to 21."""
    dark, light = sorted((_light(one), _light(other)))
    return (light + 0.05) / (dark + 0.05)


def drawn(app: App[Any]) -> list[Segment]:
    """The output to the terminal, after all filters of the session."""
    found: list[Segment] = []
    for strip in app.screen._compositor.render_strips():
        line = list(strip)
        for one in app.get_line_filters():
            line = one.apply(line, app.screen.background_colors[1])
        found += line
    return found


def poor(app: App[Any]) -> list[str]:
    """The texts with too little contrast."""
    found = []
    for text, style, _ in drawn(app):
        if not text.strip() or set(text) <= SCROLL_BAR:
            continue
        assert style is not None
        assert style.color is not None, text
        assert style.bgcolor is not None, text
        ink, ground = style.color.get_truecolor(), style.bgcolor.get_truecolor(foreground=False)
        there = contrast(ink, ground)
        if there < LEAST or style.dim:
            found.append(f"{there:.2f} dim={style.dim} {style}: {text.strip()[:40]!r}")
    return found


def svg_texts(svg: str) -> list[tuple[str, tuple[int, int, int], tuple[int, int, int]]]:
    """The texts of a picture, each with its color and that of the rectangle behind it."""

    def rgb(value: str) -> tuple[int, int, int]:
        return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)

    fills = {
        name: rgb(value) for name, value in re.findall(r"\.([\w-]+-r\d+) \{ fill: (#\w{6})", svg)
    }
    rects = [
        (float(x), float(y), float(width), float(height), rgb(fill))
        for fill, x, y, width, height in re.findall(
            r'<rect fill="(#\w{6})" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"',
            svg,
        )
    ]
    # The window around the terminal has attributes in another order.
    outer = re.search(r'<rect fill="(#\w{6})" stroke', svg)
    assert outer is not None
    found = []
    for name, x, y, text in re.findall(
        r'<text class="([\w-]+-r\d+)" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg
    ):
        if not (shown := html.unescape(text).replace("\xa0", " ")).strip():
            continue
        at_x, at_y = float(x) + 1, float(y) - 5
        behind = [
            fill
            for left, top, width, height, fill in rects
            if left <= at_x < left + width and top <= at_y < top + height
        ]
        found.append((shown, fills[name], behind[-1] if behind else rgb(outer[1])))
    return found


#: Modes and quarters of the screens: without ``ALL`` dark has each screen, light and mono half of them.
PARTS = [
    (mode, part)
    for mode, parts in {"dark": (0, 1, 2, 3), "light": (0, 3), "mono": (1, 2)}.items()
    for part in (range(4) if ALL else parts)
]


@pytest.mark.anyio
@pytest.mark.parametrize(("mode", "part"), PARTS)
async def test_every_text_has_enough_contrast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, part: int
) -> None:
    if mode == "mono":
        monkeypatch.setenv("NO_COLOR", "1")
    # Half of the modes in ASCII, with and without colors.
    given: dict[str, Any] = {"ascii_only": True} if part % 2 else {}
    app = frozen_app(tmp_path, theme="light" if mode == "light" else "dark", **given)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await settle(pilot)
        for name in list(STEPS)[part::4]:
            await pilot.press(*STEPS[name])
            await settle(pilot)
            assert not poor(app), name
            if mode == "dark":
                app.session.outage = "no answer"
                app.session.redraw()
                app.session.show_message("it went wrong", bad=True)
                await settle(pilot)
                assert not poor(app), f"{name} during an outage"
                app.clear_notifications()
            while len(app.screen_stack) > 1:
                await app.pop_screen()
            app.session.outage = None
            await settle(pilot)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["dark", "light", "mono", "ansi"])
async def test_the_styles_are_parsed_once_with_the_colors_of_the_theme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """To parse them again takes as long as to draw the first frame."""
    again, reparse = [], Stylesheet.reparse

    def watched(sheet: Stylesheet) -> None:
        again.append(sheet)
        reparse(sheet)

    monkeypatch.setattr(Stylesheet, "reparse", watched)
    if mode == "mono":
        monkeypatch.setenv("NO_COLOR", "1")
    app = frozen_app(tmp_path, theme="dark" if mode == "mono" else mode)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert again == []
        theme = app.current_theme
        assert (theme.name, theme.dark, theme.ansi) == (
            f"hsejobs-{mode}",
            mode != "light",
            mode == "ansi",
        )
        assert app.has_class("-light-mode" if mode == "light" else "-dark-mode")
        head = app.screen.query_one("#head").styles.background
        assert head == TextualColor.parse(app.theme_variables["panel"])
        # Another theme later has its colors everywhere.
        app.theme = "textual-light"
        await settle(pilot)
        assert len(again) == 1
        head = app.screen.query_one("#head").styles.background
        assert head == TextualColor.parse(app.theme_variables["panel"])


#: The 16 colors of xterm and of the PC's text mode, from black to bright white.
PALETTES = {
    "xterm": "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5"
    " 7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff",
    "pc": "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa"
    " 555555 ff5555 55ff55 ffff55 5555ff ff55ff 55ffff ffffff",
}


def palette(name: str) -> TerminalTheme:
    shown = [(int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in PALETTES[name].split()]
    return TerminalTheme(shown[0], shown[7], shown[:8], shown[8:])


@pytest.mark.parametrize("name", PALETTES)
def test_the_16_colors_are_readable_on_black(name: str) -> None:
    theme = palette(name)
    for signal, (_, _, ink, _) in colors.SIGNALS.items():
        seen = Color.parse(ink).get_truecolor(theme)
        assert contrast(seen, theme.background_color) >= LEAST, (signal, ink)


#: The overview as it is, and while a column is chosen.
PICTURES: dict[str, list[str]] = {"plain": [], "choosing": ["s"]}


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["dark", "light", "ansi", "mono", "ascii"])
async def test_the_picture_of_the_overview_has_enough_contrast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Measured in the rendered SVG, charts included."""
    if mode == "mono":
        monkeypatch.setenv("NO_COLOR", "1")
    theme = mode if mode in ("light", "ansi") else "dark"
    if theme == "ansi":
        monkeypatch.setattr(console, "SVG_EXPORT_THEME", palette("xterm"))
    app = frozen_app(tmp_path, theme=theme, ascii_only=mode == "ascii")
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        for name, keys in PICTURES.items():
            await settle(pilot)
            for key in keys:
                await pilot.press(key)
            await settle(pilot)
            texts = svg_texts(app.export_screenshot())
            assert {"email", "failed"} <= {text.strip() for text, _, _ in texts}
            found = {
                f"{contrast(ink, ground):.2f} {text.strip()}"
                for text, ink, ground in texts
                if contrast(ink, ground) < LEAST
            }
            assert not found, name
            if mode == "ascii":
                assert all(text.isascii() for text, _, _ in texts), name


@pytest.mark.parametrize("mode", ["dark", "light", "mono"])
@pytest.mark.parametrize("ground", ["background", "surface", "panel", "boost", "cursor"])
def test_every_color_has_enough_contrast_on_every_background(mode: str, ground: str) -> None:
    def triplet(value: str) -> tuple[int, int, int]:
        return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)

    at = colors.MODES.index(mode)
    under = triplet(colors.GROUNDS[ground][at])
    inks = {name: values[at] for name, values in colors.SIGNALS.items()}
    for name, ink in {**inks, "text": colors.GROUNDS["text"][at]}.items():
        assert contrast(triplet(ink), under) >= LEAST, (name, ink)


@pytest.mark.parametrize("mode", colors.MODES)
def test_no_two_states_look_the_same(mode: str) -> None:
    states = ("ok", "wait", "run", "delay", "fail", "warn")
    looks = {colors.style(name, mode) for name in states if name != "wait" or mode != "mono"}
    assert len(looks) == len(states) - (mode == "mono")


NAMES = {*ANSI_COLOR_NAMES, "gray", "grey", "orange", "purple", "crimson"} - {"default"}
#: Attributes that lower the contrast, whatever the color.
LOWER = re.compile(r"\bnot dim\b")


def test_no_other_color_is_in_the_code() -> None:
    """Checks strings in Python and the style sheet."""
    wrong = []
    root = Path(hsejobs_tui.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if path.name == "colors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = node.value.split()
                named = len(words) <= 4 and {word for word in words if word in NAMES}
                if (
                    named
                    or LOWER.search(node.value)
                    or re.search(r"#[0-9a-fA-F]{3,8}\b", node.value)
                ):
                    wrong.append((path.name, node.lineno, node.value[:60]))
    for path in root.rglob("*.tcss"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            values = re.findall(r":\s*([^;{}]+);", line)
            for word in " ".join(values).split():
                if word in NAMES or re.fullmatch(r"#[0-9a-fA-F]{3,8}", word):
                    wrong.append((path.name, number, word))
    assert not wrong
