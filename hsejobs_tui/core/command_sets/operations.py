"""Commands of the workers screen and of the first start."""

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
    Command(
        "sample",
        "a",
        "Add a sample job",
        "Add a sample job while there is none; its payload is shown first.",
        ("overview",),
        writes=True,
        footer=False,
    ),
)
