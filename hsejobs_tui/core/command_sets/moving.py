"""Commands that move within and between screens."""

from __future__ import annotations

from hsejobs_tui.core.command import BELOW, LISTS, Command

COMMANDS: tuple[Command, ...] = (
    Command(
        "back", "escape", "Back", "Close this screen, a search or a selection.", BELOW, footer=False
    ),
    Command(
        "open",
        "enter",
        "Open",
        "Open the row under the cursor.",
        (
            "overview",
            "queue",
            "job",
            "failures",
            "workers",
            "alerts",
            "schedules",
            "events",
            "matches",
        ),
        footer=True,
    ),
    Command("down", "j,down", "Down", "Move one row down.", (*LISTS, "job"), footer=False),
    Command("up", "k,up", "Up", "Move one row up.", (*LISTS, "job"), footer=False),
    Command("top", "g,home", "Top", "Go to the first row.", (*LISTS, "job"), footer=False),
    Command("bottom", "G,end", "Bottom", "Go to the last row.", (*LISTS, "job"), footer=False),
    Command(
        "page_down",
        "pagedown,ctrl+f",
        "Page down",
        "Move one page down.",
        (*LISTS, "job"),
        footer=False,
    ),
    Command(
        "page_up", "pageup,ctrl+b", "Page up", "Move one page up.", (*LISTS, "job"), footer=False
    ),
    Command(
        "half_down",
        "ctrl+d",
        "Half page down",
        "Move half a page down.",
        ("queue", "job"),
        footer=False,
    ),
    Command(
        "half_up", "ctrl+u", "Half page up", "Move half a page up.", ("queue", "job"), footer=False
    ),
)
