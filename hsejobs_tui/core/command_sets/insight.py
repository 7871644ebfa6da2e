"""Commands of the Insight screen."""

from __future__ import annotations

from hsejobs_tui.core.command import Command

_SCOPE = ("insight",)
COMMANDS: tuple[Command, ...] = (
    Command(
        "moment_jobs",
        "enter",
        "Jobs",
        "List the jobs of the selected time in their queue.",
        _SCOPE,
    ),
    Command(
        "moment_left",
        "left,left_square_bracket",
        "Step back",
        "Move the cursor to the step before.",
        _SCOPE,
        footer=False,
    ),
    Command(
        "moment_right",
        "right,right_square_bracket",
        "Step on",
        "Move the cursor to the next step.",
        _SCOPE,
        footer=False,
    ),
    Command(
        "moment_first", "home", "First step", "Move the cursor to the start.", _SCOPE, footer=False
    ),
    Command("moment_last", "end", "Last step", "Move the cursor to the end.", _SCOPE, footer=False),
    Command(
        "span_begin",
        "left_curly_bracket",
        "Begin span",
        "Select a span of time from the cursor on; Esc ends the selection.",
        _SCOPE,
    ),
    Command(
        "span_end",
        "right_curly_bracket",
        "End span",
        "End the selected span at the cursor.",
        _SCOPE,
        footer=False,
    ),
    Command("part_down", "j,down", "Next part", "Show the next part.", _SCOPE, footer=False),
    Command("part_up", "k,up", "Previous part", "Show the part before.", _SCOPE, footer=False),
    Command("division", "b", "By", "Divide by queue, task, error or tenant.", _SCOPE),
    Command("times", "r", "Wait/run", "Show how long jobs waited, or how long they ran.", _SCOPE),
    Command(
        "before",
        "c",
        "Compare",
        "Compare the selected time with as much time before it.",
        _SCOPE,
    ),
    Command(
        "report",
        "w",
        "Report",
        "Write a report of the selected time to JOBS_HOME/reports.",
        _SCOPE,
    ),
)
