"""Commands for queues."""

from __future__ import annotations

from hsejobs_tui.core.command import Command

COMMANDS: tuple[Command, ...] = (
    Command(
        "clean",
        "c",
        "Clean",
        "Remove jobs of a state by age; shows the count first.",
        ("overview", "queue"),
        writes=True,
        footer=False,
        acts_on="queue",
    ),
    Command(
        "pause",
        "P",
        "Pause/resume",
        "Pause or resume the queue: running jobs finish.",
        ("overview", "queue", "failures", "alerts"),
        writes=True,
        whole=True,
        brief="Pause",
        acts_on="queue",
    ),
    Command(
        "hold",
        "H",
        "Hold/let go",
        "Hold a task or an organization in the queue: its running jobs finish; or let it go.",
        ("overview", "queue", "job", "failures", "alerts"),
        writes=True,
        whole=True,
        footer=False,
        spare=True,
        brief="Hold",
        acts_on="queue",
    ),
    Command(
        "drain",
        "X",
        "Drain",
        "Remove all waiting and delayed jobs.",
        ("overview", "queue"),
        writes=True,
        whole=True,
        footer=False,
        acts_on="queue",
    ),
    Command(
        "obliterate",
        "O",
        "Obliterate",
        "Remove every job and counter of the queue.",
        ("overview", "queue"),
        writes=True,
        whole=True,
        footer=False,
        acts_on="queue",
    ),
)
