"""The footer: a line with the keys of the screen.

Textual's own footer creates a widget per key at each change of screen and never frees
them: 50 MB after 336 changes. This footer is one line of text.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual import events
from textual.widgets import Static

from hsejobs_tui.core.command import Command
from hsejobs_tui.core.commands import keys_shown
from hsejobs_tui.session.session import session_of

#: Cells between two commands.
GAP = 2


class Keys(Static):
    """The commands that the screen ``offers``; each can be clicked.

    What is ``spare`` fills the rest of the line: before the commands of all screens, as far as it fits.
    """

    def __init__(self, scope: str, offers: Callable[[Command], bool]) -> None:
        super().__init__(id="keys", markup=False)
        self.scope, self.offers = scope, offers
        self._drawn: object = None
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Draws the line."""
        self.draw()

    def draw(self) -> None:
        """Draws the line again if the screen offers something else."""
        offered = [one for one in session_of(self).commands(self.scope) if self.offers(one)]
        drawn = (offered, self.app.size.width)
        if drawn == self._drawn:
            return
        self._drawn, self._spans, text = drawn, [], Text()
        for one in _fitting(offered, self.app.size.width):
            first = text.cell_len
            text.append_text(_named(one))
            self._spans.append((first, text.cell_len, one.id))
            text.append(" " * GAP)
        text.rstrip()
        self.update(text)

    def on_click(self, event: events.Click) -> None:
        """Runs the command under the mouse."""
        for first, end, command_id in self._spans:
            if first <= event.x < end:
                session_of(self).perform(command_id)


def _named(command: Command) -> Text:
    key = keys_shown(command).partition(" or ")[0]
    return Text.assemble((key, "key"), f" {command.title}")


def _fitting(offered: list[Command], width: int) -> list[Command]:
    """Those that are always named, and the spare ones that the width leaves room for."""
    found = [one for one in offered if not one.spare]
    room = width - sum(_named(one).cell_len + GAP for one in found) + GAP
    for one in offered:
        if one.spare and (needed := _named(one).cell_len + GAP) <= room:
            room -= needed
            at = next((n for n, other in enumerate(found) if "app" in other.scopes), len(found))
            found.insert(at, one)
    return found
