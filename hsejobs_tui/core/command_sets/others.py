"""Commands of schedules, circuits and events."""

from __future__ import annotations

from hsejobs_tui.core.command import Command

COMMANDS: tuple[Command, ...] = (
    Command(
        "run_now",
        "R",
        "Run now",
        "Run the schedule once, outside its regular times.",
        ("schedules",),
        writes=True,
        whole=True,
        acts_on="row",
    ),
    Command(
        "circuit_jobs",
        "enter",
        "Jobs",
        "List the jobs that wait for the host.",
        ("circuits",),
        acts_on="row",
    ),
    Command(
        "circuit_open",
        "b",
        "Open circuit",
        "Open the circuit: calls are postponed until it is closed manually.",
        ("circuits",),
        writes=True,
        whole=True,
        acts_on="row",
    ),
    Command(
        "circuit_close",
        "c",
        "Close circuit",
        "Close the circuit: calls are made again.",
        ("circuits",),
        writes=True,
        whole=True,
        acts_on="row",
    ),
    Command("freeze", "space", "Freeze", "Freeze or resume the list of events.", ("events",)),
)
