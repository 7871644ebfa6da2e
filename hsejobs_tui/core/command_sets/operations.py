"""Commands of the workers, events and failures screens."""

from __future__ import annotations

from hsejobs_tui.core.command import Command

COMMANDS: tuple[Command, ...] = (
    Command(
        "other_list",
        "tab",
        "Other list",
        "Move to the other list of the screen: running jobs or consumers.",
        ("workers",),
    ),
)
