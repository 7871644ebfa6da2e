"""The one table of commands: keys, footer, palette, help and docs are all made from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """Something a person can do. ``keys``: comma-separated, the first one shown.

    ``scopes``: the screens that have it, ``app`` for all. ``writes``: gone when read-only.
    ``whole``: needs every organization's jobs, so it is gone when confined to one.
    """

    id: str
    keys: str
    title: str
    help: str
    scopes: tuple[str, ...]
    writes: bool = False
    whole: bool = False
    footer: bool = True


APP = ("app",)
#: Shown last in the help: every list has them.
MOVES = ("down", "up", "top", "bottom", "page_down", "page_up", "half_down", "half_up")
LISTS = ("queue", "failures", "workers", "schedules", "circuits", "overview", "alerts", "events")

COMMANDS: tuple[Command, ...] = (
    Command("help", "question_mark", "Help", "What every key does here.", APP),
    Command("overview", "1", "Queues", "All queues: counts, rates, alerts.", APP, footer=False),
    Command("failures", "2", "Failures", "Failed jobs, grouped by error.", APP, footer=False),
    Command("workers", "3", "Workers", "Who runs what, since when.", APP, whole=True, footer=False),
    Command(
        "schedules",
        "4",
        "Schedules",
        "Periodic tasks: next and last run.",
        APP,
        whole=True,
        footer=False,
    ),
    Command("alerts", "5", "Alerts", "What is wrong now, and what to do.", APP, footer=False),
    Command(
        "circuits",
        "6",
        "Circuits",
        "Receivers and mail servers that are held off.",
        APP,
        footer=False,
    ),
    Command("events", "7", "Events", "What happens to jobs, as it happens.", APP, footer=False),
    Command("menu", "ctrl+p", "Menu", "Find any command by its name.", APP, footer=False),
    Command("goto", "colon", "Go to job", "Open a job by its id, in any queue.", APP, footer=False),
    Command(
        "undo",
        "u",
        "Undo",
        "Bring back what was removed within the last minute.",
        APP,
        writes=True,
        footer=False,
    ),
    Command("reload", "ctrl+r", "Reload", "Read again now.", APP, footer=False),
    Command(
        "back",
        "escape",
        "Back",
        "Leave this screen, a search or a selection.",
        ("queue", "job", "failures", "workers", "schedules", "alerts", "circuits", "events"),
        footer=False,
    ),
    Command("quit", "q", "Quit", "End the TUI; what runs goes on.", APP, footer=True),
    Command(
        "quit_typing",
        "ctrl+q",
        "Quit while typing",
        "As q, where q is a letter or a dialog is open.",
        APP,
        footer=False,
    ),
    Command(
        "suspend",
        "ctrl+z",
        "To the shell",
        "Suspend the TUI; fg brings it back.",
        APP,
        footer=False,
    ),
    Command(
        "open",
        "enter",
        "Open",
        "Look into the row under the cursor.",
        ("overview", "queue", "failures", "workers", "alerts", "schedules", "events"),
        footer=True,
    ),
    Command("down", "j,down", "Down", "One row down.", (*LISTS, "job"), footer=False),
    Command("up", "k,up", "Up", "One row up.", (*LISTS, "job"), footer=False),
    Command("top", "g,home", "Top", "The first row.", (*LISTS, "job"), footer=False),
    Command(
        "bottom", "G,end", "Bottom", "The last row, however far.", (*LISTS, "job"), footer=False
    ),
    Command(
        "page_down", "pagedown,ctrl+f", "Page down", "A page down.", (*LISTS, "job"), footer=False
    ),
    Command("page_up", "pageup,ctrl+b", "Page up", "A page up.", (*LISTS, "job"), footer=False),
    Command(
        "half_down", "ctrl+d", "Half page down", "Half a page down.", ("queue", "job"), footer=False
    ),
    Command("half_up", "ctrl+u", "Half page up", "Half a page up.", ("queue", "job"), footer=False),
    Command(
        "next_state", "tab,l", "Next state", "The jobs of the next state.", ("queue",), footer=False
    ),
    Command(
        "last_state",
        "shift+tab,h",
        "State before",
        "The jobs of the state before.",
        ("queue",),
        footer=False,
    ),
    Command(
        "search",
        "slash",
        "Search",
        "Search all jobs of the queue by id, task, error, org or payload.",
        ("overview", "queue"),
    ),
    Command("order", "o", "Order", "Newest or oldest first.", ("queue",), footer=False),
    Command("select", "space", "Select", "Mark or unmark the job for the next act.", ("queue",)),
    Command(
        "select_all",
        "asterisk",
        "Select all",
        "Act on all that match the filter.",
        ("queue",),
        footer=False,
    ),
    Command(
        "retry",
        "r",
        "Retry",
        "Give failed jobs a fresh budget of attempts.",
        ("queue", "job", "failures"),
        writes=True,
    ),
    Command(
        "remove",
        "x,delete",
        "Remove",
        "Take jobs away; undo with u for a minute.",
        ("queue", "job", "failures"),
        writes=True,
    ),
    Command(
        "promote",
        "p",
        "Promote",
        "Let delayed jobs run now.",
        ("queue", "job"),
        writes=True,
        footer=False,
    ),
    Command(
        "copy_id", "y", "Copy id", "The job's id to the clipboard.", ("queue", "job"), footer=False
    ),
    Command(
        "duplicate",
        "d",
        "Duplicate",
        "Add a copy of the job, with edits.",
        ("queue", "job"),
        writes=True,
        footer=False,
    ),
    Command(
        "enqueue",
        "n",
        "New job",
        "Write a payload and add it.",
        ("overview", "queue"),
        writes=True,
        footer=False,
    ),
    Command(
        "clean",
        "c",
        "Clean",
        "Remove jobs of a state by age; shows how many first.",
        ("overview", "queue"),
        writes=True,
        footer=False,
    ),
    Command(
        "pause",
        "P",
        "Pause/resume",
        "Stop or start the queue; running jobs finish.",
        ("overview", "queue"),
        writes=True,
        whole=True,
    ),
    Command(
        "drain",
        "D",
        "Drain",
        "Remove everything that waits or is delayed.",
        ("overview", "queue"),
        writes=True,
        whole=True,
        footer=False,
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
    ),
    Command(
        "run_now",
        "R",
        "Run now",
        "Run the schedule once, beside its slots.",
        ("schedules",),
        writes=True,
        whole=True,
    ),
    Command(
        "circuit_open",
        "b",
        "Hold off",
        "Postpone all calls until closed by hand.",
        ("circuits",),
        writes=True,
        whole=True,
    ),
    Command(
        "circuit_close",
        "c",
        "Let through",
        "Close the circuit: calls are made again.",
        ("circuits",),
        writes=True,
        whole=True,
    ),
    Command("freeze", "space", "Freeze", "Stop or go on with the tail.", ("events",)),
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
    "down": "Down",
    "up": "Up",
    "enter": "Enter",
    "space": "Space",
    "delete": "Del",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
}


def by_id(command_id: str) -> Command:
    """The command of that id."""
    return next(one for one in COMMANDS if one.id == command_id)


def allowed(command: Command, *, read_only: bool, confined: bool) -> bool:
    """Whether a session has the command at all."""
    return not (command.writes and read_only) and not (command.whole and confined)


def for_scope(scope: str, *, read_only: bool = False, confined: bool = False) -> list[Command]:
    """What a screen has, its own commands first, those of everywhere after them."""
    own = [one for one in COMMANDS if scope in one.scopes and scope != "app"]
    everywhere = [one for one in COMMANDS if "app" in one.scopes]
    return [one for one in own + everywhere if allowed(one, read_only=read_only, confined=confined)]


def keys_shown(command: Command) -> str:
    """The keys for people: ``x or Del``."""
    return " or ".join(
        _SHOWN.get(key, key.replace("ctrl+", "Ctrl+")) for key in command.keys.split(",")
    )


def table() -> str:
    """The commands as the Markdown table of ``docs/tui.md``."""
    lines = ["| key | command | where | does |", "|---|---|---|---|"]
    for one in COMMANDS:
        where = "everywhere" if one.scopes == APP else ", ".join(one.scopes)
        limits = " Not when read-only." * one.writes + " Not when confined." * one.whole
        keys = keys_shown(one).replace("|", "\\|")
        lines.append(f"| `{keys}` | {one.title} | {where} | {one.help}{limits} |")
    return "\n".join(lines)
