"""Commands for jobs."""

from __future__ import annotations

from hsejobs_tui.core.command import BELOW, Command

COMMANDS: tuple[Command, ...] = (
    Command(
        "next_state",
        "tab,l",
        "Next state",
        "Show the jobs of the next state.",
        ("queue",),
        footer=False,
    ),
    Command(
        "last_state",
        "shift+tab,h",
        "Previous state",
        "Show the jobs of the previous state.",
        ("queue",),
        footer=False,
    ),
    Command(
        "search",
        "slash",
        "Search",
        "Search the queue's jobs by id, task, error, organization or payload; filter the events.",
        ("overview", "queue", "events"),
    ),
    Command(
        "search_jobs",
        "slash",
        "Search",
        "Search jobs: those of the screen's queue, then of the others.",
        tuple(one for one in BELOW if one not in ("queue", "events")),
        footer=False,
    ),
    Command("order", "o", "Order", "Reverse the order of the list.", ("queue",), footer=False),
    Command(
        "select", "space", "Select", "Select or deselect the job for the next act.", ("queue",)
    ),
    Command(
        "select_all",
        "asterisk",
        "Select all",
        "Select all jobs that match the search.",
        ("queue",),
        footer=False,
    ),
    Command(
        "retry",
        "r",
        "Retry",
        "Retry failed jobs: all their attempts are available again.",
        ("queue", "job", "failures"),
        writes=True,
    ),
    Command(
        "remove",
        "x,delete",
        "Remove",
        "Remove jobs; u restores them for a minute.",
        ("queue", "job", "failures"),
        writes=True,
    ),
    Command(
        "promote",
        "p",
        "Promote",
        "Run delayed jobs now.",
        ("queue", "job"),
        writes=True,
        footer=False,
    ),
    Command(
        "cancel",
        "K",
        "Cancel",
        "Cancel jobs: they fail now, or are interrupted if they run.",
        ("queue", "job", "workers"),
        writes=True,
        member=True,
        footer=False,
    ),
    Command(
        "copy_id",
        "y",
        "Copy id",
        "Copy the job's id to the clipboard.",
        ("queue",),
        footer=False,
    ),
    Command(
        "duplicate",
        "d",
        "Duplicate",
        "Edit a copy of the job and add it.",
        ("queue", "job"),
        writes=True,
        footer=False,
    ),
    Command(
        "enqueue",
        "n",
        "New job",
        "Write a payload and add it as a job.",
        ("overview", "queue"),
        writes=True,
        footer=False,
    ),
)
