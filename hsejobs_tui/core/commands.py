"""The command table: keys, footer, palette, help and docs are generated from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command. ``keys``: comma-separated; the footer shows the first.

    ``scopes``: the screens that have it, ``app`` for all. ``writes``: not available when read-only.
    ``member``: of those that write, one that a member may use, for the jobs that it added.
    ``whole``: needs the jobs of all organizations, so not available when confined to one.
    """

    id: str
    keys: str
    title: str
    help: str
    scopes: tuple[str, ...]
    writes: bool = False
    member: bool = False
    whole: bool = False
    footer: bool = True


APP = ("app",)
#: Cursor moves, shown last in the help.
MOVES = ("down", "up", "top", "bottom", "page_down", "page_up", "half_down", "half_up")
LISTS = ("queue", "failures", "workers", "schedules", "circuits", "overview", "alerts", "events")

COMMANDS: tuple[Command, ...] = (
    Command("help", "question_mark", "Help", "Show what each key does on this screen.", APP),
    Command(
        "overview", "1", "Queues", "Show all queues: counts, rates, alerts.", APP, footer=False
    ),
    Command("failures", "2", "Failures", "Show failed jobs, grouped by error.", APP, footer=False),
    Command(
        "workers",
        "3",
        "Workers",
        "Show workers and the jobs they run.",
        APP,
        whole=True,
        footer=False,
    ),
    Command(
        "schedules",
        "4",
        "Schedules",
        "Show periodic tasks: next and last run.",
        APP,
        whole=True,
        footer=False,
    ),
    Command("alerts", "5", "Alerts", "Show active alerts and what to do.", APP, footer=False),
    Command(
        "circuits",
        "6",
        "Circuits",
        "Show circuit breakers of endpoints and mail servers.",
        APP,
        footer=False,
    ),
    Command("events", "7", "Events", "Show job events as they happen.", APP, footer=False),
    Command("menu", "ctrl+p", "Menu", "Find a command by its name.", APP, footer=False),
    Command("goto", "colon", "Go to job", "Open a job by its id, in any queue.", APP, footer=False),
    Command(
        "undo",
        "u",
        "Undo",
        "Restore the jobs removed within the last minute.",
        APP,
        writes=True,
        footer=False,
    ),
    Command("reload", "ctrl+r", "Reload", "Read from Redis now.", APP, footer=False),
    Command(
        "back",
        "escape",
        "Back",
        "Close this screen, a search or a selection.",
        ("queue", "job", "failures", "workers", "schedules", "alerts", "circuits", "events"),
        footer=False,
    ),
    Command("quit", "q", "Quit", "Close the TUI; running jobs continue.", APP, footer=True),
    Command(
        "quit_typing",
        "ctrl+q",
        "Quit while typing",
        "Close the TUI from a text field or a dialog.",
        APP,
        footer=False,
    ),
    Command(
        "suspend",
        "ctrl+z",
        "Suspend",
        "Suspend the TUI; fg resumes it.",
        APP,
        footer=False,
    ),
    Command(
        "open",
        "enter",
        "Open",
        "Open the row under the cursor.",
        ("overview", "queue", "failures", "workers", "alerts", "schedules", "events"),
        footer=True,
    ),
    Command("down", "j,down", "Down", "Move one row down.", (*LISTS, "job"), footer=False),
    Command("up", "k,up", "Up", "Move one row up.", (*LISTS, "job"), footer=False),
    Command("top", "g,home", "Top", "Go to the first row.", (*LISTS, "job"), footer=False),
    Command("bottom", "G,end", "Bottom", "Go to the last row.", (*LISTS, "job"), footer=False),
    Command(
        "page_down",
        "pagedown,ctrl+f",
        "Page down",
        "Move one page down.",
        (*LISTS, "job"),
        footer=False,
    ),
    Command(
        "page_up", "pageup,ctrl+b", "Page up", "Move one page up.", (*LISTS, "job"), footer=False
    ),
    Command(
        "half_down",
        "ctrl+d",
        "Half page down",
        "Move half a page down.",
        ("queue", "job"),
        footer=False,
    ),
    Command(
        "half_up", "ctrl+u", "Half page up", "Move half a page up.", ("queue", "job"), footer=False
    ),
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
        "Search the queue's jobs by id, task, error, organization or payload.",
        ("overview", "queue"),
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
        ("queue", "job"),
        writes=True,
        member=True,
        footer=False,
    ),
    Command(
        "copy_id",
        "y",
        "Copy id",
        "Copy the job's id to the clipboard.",
        ("queue", "job"),
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
    Command(
        "clean",
        "c",
        "Clean",
        "Remove jobs of a state by age; shows the count first.",
        ("overview", "queue"),
        writes=True,
        footer=False,
    ),
    Command(
        "pause",
        "P",
        "Pause/resume",
        "Pause or resume the queue: running jobs finish.",
        ("overview", "queue"),
        writes=True,
        whole=True,
    ),
    Command(
        "drain",
        "D",
        "Drain",
        "Remove all waiting and delayed jobs.",
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
        "Run the schedule once, outside its regular times.",
        ("schedules",),
        writes=True,
        whole=True,
    ),
    Command(
        "circuit_open",
        "b",
        "Open circuit",
        "Open the circuit: calls are postponed until it is closed manually.",
        ("circuits",),
        writes=True,
        whole=True,
    ),
    Command(
        "circuit_close",
        "c",
        "Close circuit",
        "Close the circuit: calls are made again.",
        ("circuits",),
        writes=True,
        whole=True,
    ),
    Command("freeze", "space", "Freeze", "Freeze or resume the list of events.", ("events",)),
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
    return next(one for one in COMMANDS if one.id == command_id)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a session may do: whether it only reads, is limited to one organization, is a member's."""

    read_only: bool = False
    confined: bool = False
    member: bool = False

    def allow(self, command: Command) -> bool:
        """Whether a session with these rights has the command."""
        if command.whole and self.confined:
            return False
        return not command.writes or not (self.read_only or (self.member and not command.member))


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
