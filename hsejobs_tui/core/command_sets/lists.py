"""Commands of lists that are read as a whole."""

from __future__ import annotations

from hsejobs_tui.core.command import Command

COMMANDS: tuple[Command, ...] = (
    Command(
        "sort",
        "s",
        "Sort",
        "Sort by the column whose letter comes next; again: reverse; s: the usual order.",
        (
            "overview",
            "failures",
            "workers",
            "schedules",
            "circuits",
            "alerts",
            "tenants",
            "matches",
        ),
        footer=False,
    ),
)
