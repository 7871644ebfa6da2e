"""A command of the TUI, and what a session may do."""

from __future__ import annotations

from typing import NamedTuple

APP = ("app",)
#: Cursor moves, shown last in the help.
MOVES = ("down", "up", "top", "bottom", "page_down", "page_up", "half_down", "half_up")
#: Screens with a list of rows.
LISTS = (
    "queue",
    "failures",
    "workers",
    "schedules",
    "circuits",
    "overview",
    "alerts",
    "events",
    "tenants",
    "matches",
)
#: Screens that can be closed.
BELOW = (
    "queue",
    "job",
    "failures",
    "workers",
    "insight",
    "alerts",
    "circuits",
    "events",
    "tenants",
    "schedules",
    "matches",
)


class Command(NamedTuple):
    """A command. ``keys``: comma-separated; the footer shows the first.

    ``scopes``: the screens that have it, ``app`` for all. ``writes``: not available when read-only.
    ``member``: of those that write, one that a member may use, for the jobs that it added.
    ``whole``: needs the jobs of all organizations, so not available when confined to one.
    ``footer``: the footer names it, as ``brief`` if room is short; ``spare``: after all others.
    ``first``: no field, dialog or screen gets the key before the command.
    ``acts_on``: what must be there for the command to act: ``row`` under the cursor, ``jobs`` that are
    selected or else the one under the cursor, the ``list`` as a whole, or a ``queue``.
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
    spare: bool = False
    first: bool = False
    brief: str = ""
    acts_on: str = ""


class Rights(NamedTuple):
    """What a session may do: whether it only reads, is limited to one organization, is a member's."""

    read_only: bool = False
    confined: bool = False
    member: bool = False

    def allow(self, command: Command) -> bool:
        """Whether a session with these rights has the command."""
        if command.whole and self.confined:
            return False
        return not command.writes or not (self.read_only or (self.member and not command.member))
