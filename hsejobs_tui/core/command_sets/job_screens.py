"""Commands of the queue and job screens: shares, exports, comparing, editing, following."""

from __future__ import annotations

from hsejobs_tui.core.command import Command

COMMANDS: tuple[Command, ...] = (
    Command(
        "share_error",
        "exclamation_mark",
        "By error",
        "Show only the jobs of the most frequent error; again: the next one, at last all jobs.",
        ("queue",),
        footer=False,
    ),
    Command(
        "share_tenant",
        "at",
        "By organization",
        "Show only the jobs of the busiest organization; again: the next one, at last all jobs.",
        ("queue",),
        whole=True,
        footer=False,
    ),
    Command(
        "share_task",
        "number_sign",
        "By task",
        "Show only the jobs of the busiest task; again: the next one, at last all jobs.",
        ("queue",),
        footer=False,
    ),
    Command(
        "export",
        "e",
        "Export",
        "Write the matching jobs to a CSV or JSONL file in JOBS_HOME/exports.",
        ("queue", "failures"),
        footer=False,
        spare=True,
    ),
    Command(
        "compare",
        "D",
        "Compare",
        "Compare two selected jobs field by field.",
        ("queue",),
        footer=False,
    ),
    Command(
        "supersede",
        "E",
        "Edit and run",
        "Edit a failed job and run the copy instead; the failed one is marked as superseded.",
        ("queue", "job"),
        writes=True,
        footer=False,
        spare=True,
        brief="Edit",
    ),
    Command(
        "request",
        "R",
        "Request",
        "List all jobs that the job's request caused, in all queues.",
        ("queue", "job", "failures", "matches"),
        footer=False,
        spare=True,
    ),
    Command("follow", "F", "Follow", "Follow the job's log, or stop following.", ("job",)),
    Command(
        "whole",
        "v",
        "Full traceback",
        "Show complete tracebacks, or fold library frames.",
        ("job",),
        footer=False,
    ),
    Command(
        "copy", "y", "Copy", "Copy a field of the job to the clipboard.", ("job",), footer=False
    ),
    Command(
        "link",
        "L",
        "Link",
        "Copy the job's address in the dashboard.",
        ("queue", "job"),
        footer=False,
    ),
)
