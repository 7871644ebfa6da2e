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
        "quiet",
        "Q",
        "Quiet/wake",
        "Make a consumer or its host quiet: running jobs finish, no new ones start; or wake it.",
        ("workers",),
        writes=True,
        whole=True,
        acts_on="row",
    ),
    Command(
        "restart",
        "R",
        "Restart",
        "Restart a consumer or all of its host, once it runs nothing.",
        ("workers",),
        writes=True,
        whole=True,
        footer=False,
        acts_on="row",
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
