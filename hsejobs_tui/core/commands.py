"""The command table: keys, footer, palette, help and docs are generated from it."""

from __future__ import annotations

from hsejobs_tui.core.command import APP, Command, Rights
from hsejobs_tui.core.command_sets import (
    everywhere,
    insight,
    job_screens,
    jobs,
    lists,
    moving,
    operations,
    others,
    queues,
    tenants,
)

#: All commands, in the order of the help.
COMMANDS: tuple[Command, ...] = (
    *everywhere.COMMANDS,
    *moving.COMMANDS,
    *lists.COMMANDS,
    *jobs.COMMANDS,
    *job_screens.COMMANDS,
    *queues.COMMANDS,
    *operations.COMMANDS,
    *insight.COMMANDS,
    *tenants.COMMANDS,
    *others.COMMANDS,
)

_SHOWN = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "asterisk": "*",
    "escape": "Esc",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "left": "Left",
    "right": "Right",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "down": "Down",
    "up": "Up",
    "enter": "Enter",
    "space": "Space",
    "delete": "Del",
    "tab": "Tab",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "minus": "-",
    "plus": "+",
    "full_stop": ".",
    "exclamation_mark": "!",
    "at": "@",
    "number_sign": "#",
    "shift+tab": "Shift+Tab",
}


def by_id(command_id: str) -> Command:
    return next(one for one in COMMANDS if one.id == command_id)


def for_scope(scope: str, rights: Rights) -> list[Command]:
    """The commands of a screen: its own first, then those available everywhere."""
    own = [one for one in COMMANDS if scope in one.scopes and scope != "app"]
    everywhere = [one for one in COMMANDS if "app" in one.scopes]
    return [one for one in own + everywhere if rights.allow(one)]


def keys_shown(command: Command) -> str:
    """The keys as displayed: ``x or Del``."""
    return " or ".join(
        _SHOWN.get(key, key.replace("ctrl+", "Ctrl+")) for key in command.keys.split(",")
    )


def table() -> str:
    """The commands as the Markdown table of ``docs/tui.md``."""
    lines = ["| key | command | where | does |", "|---|---|---|---|"]
    for one in COMMANDS:
        where = "everywhere" if one.scopes == APP else ", ".join(one.scopes)
        limits = " Not when read-only." * one.writes + " Not when confined." * one.whole
        limits += " A member: jobs that it added." * one.member
        keys = keys_shown(one).replace("|", "\\|")
        lines.append(f"| `{keys}` | {one.title} | {where} | {one.help}{limits} |")
    return "\n".join(lines)
