"""The only table of colors. A test checks that nothing else in the TUI names a color.

A style is named by its meaning (``fail``, ``bold warn``); the app looks it up by its mode. Text colors
have a contrast of at least 4.5:1 on each background, which a test measures on every screen.
"""

from __future__ import annotations

from typing import Final

#: The modes: dark and light by preference, ansi for 16-color terminals, mono with NO_COLOR.
MODES: Final = ("dark", "light", "ansi", "mono")

#: Text colors by meaning: dark, light, ANSI, monochrome. Those of ANSI are readable on black in the usual
#: palettes; a light terminal needs the light mode.
SIGNALS: Final[dict[str, tuple[str, str, str, str]]] = {
    "ok": ("#5fd787", "#0a6b2d", "green", "#d0d0d0"),
    "wait": ("#5fd7ff", "#00607a", "cyan", "#d0d0d0"),
    "run": ("#8ab4ff", "#1d4fa8", "bright_white", "#ffffff"),
    "delay": ("#d7a0ff", "#7a2a9c", "bright_magenta", "#c8c8c8"),
    "fail": ("#ff8787", "#b00020", "bright_red", "#ffffff"),
    "warn": ("#ffd75f", "#7a5200", "bright_yellow", "#f4f4f4"),
    "note": ("#87d7d7", "#0b6363", "bright_cyan", "#dcdcdc"),
    "dim": ("#a8a8a8", "#595959", "default", "#b0b0b0"),
}
#: Attributes that replace colors in monochrome.
MONO: Final[dict[str, str]] = {"fail": "bold underline", "warn": "bold", "delay": "italic"}

#: Background colors and the default text color: dark, light, ANSI, monochrome.
GROUNDS: Final[dict[str, tuple[str, str, str, str]]] = {
    "text": ("#e4e4e4", "#1c1c1c", "ansi_default", "#e4e4e4"),
    "background": ("#121212", "#ffffff", "ansi_default", "#121212"),
    "surface": ("#1c1c1c", "#f2f2f2", "ansi_default", "#1c1c1c"),
    "panel": ("#262a30", "#e6e8ec", "ansi_default", "#2a2a2a"),
    "boost": ("#30353d", "#dcdfe5", "ansi_default", "#363636"),
    "cursor": ("#303a4a", "#d3e0f5", "", "#3c3c3c"),
    "accent": ("#ffb454", "#8a4b00", "ansi_bright_yellow", "#ffffff"),
    "alarm": ("#a40e26", "#b00020", "ansi_red", "#e4e4e4"),
    "on-alarm": ("#ffffff", "#ffffff", "ansi_bright_white", "#000000"),
}


def style(name: str, mode: str) -> str:
    """The Rich style of a signal in a mode."""
    at = MODES.index(mode)
    if name == "alarm":
        ground, ink = GROUNDS["alarm"][at], GROUNDS["on-alarm"][at]
        return f"bold {ink.removeprefix('ansi_')} on {ground.removeprefix('ansi_')}"
    if mode == "mono":
        return f"{MONO.get(name, '')} {SIGNALS[name][at]}".strip()
    return SIGNALS[name][at]


def styles(mode: str) -> dict[str, str]:
    """All style names of a mode, with their Rich styles."""
    found = {
        # A reversed chart would show the opposite.
        "cursor": f"on {GROUNDS['cursor'][MODES.index(mode)]}" if mode != "ansi" else "underline"
    }
    found["alarm"] = style("alarm", mode)
    found["key"] = f"bold {GROUNDS['accent'][MODES.index(mode)].removeprefix('ansi_')}"
    for name in SIGNALS:
        found[name] = style(name, mode)
        # Charts are drawn without the attributes of monochrome, which would cross them out.
        found[f"chart {name}"] = SIGNALS[name][MODES.index(mode)]
        found[f"bold {name}"] = f"bold {style(name, mode)}"
        found[f"reverse {name}"] = f"bold reverse {style(name, mode)}"
    return found


def grounds(mode: str) -> dict[str, str]:
    """The background colors of a mode, by name."""
    return {name: values[MODES.index(mode)] for name, values in GROUNDS.items()}
