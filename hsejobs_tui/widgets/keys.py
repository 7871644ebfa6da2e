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


class Keys(Static):
    """The commands that the screen ``offers``; each can be clicked."""

    def __init__(self, scope: str, offers: Callable[[Command], bool]) -> None:
        super().__init__(id="keys", markup=False)
        self.scope, self.offers = scope, offers
        self._drawn: list[Command] | None = None
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Draws the line."""
        self.draw()

    def draw(self) -> None:
        """Draws the line again if the screen offers something else."""
        found = [one for one in session_of(self).commands(self.scope) if self.offers(one)]
        if found == self._drawn:
            return
        self._drawn, self._spans, text = found, [], Text()
        for one in found:
            first = text.cell_len
            text.append(keys_shown(one).partition(" or ")[0], "key").append(f" {one.title}")
            self._spans.append((first, text.cell_len, one.id))
            text.append("  ")
        text.rstrip()
        self.update(text)

    def on_click(self, event: events.Click) -> None:
        """Runs the command under the mouse."""
        for first, end, command_id in self._spans:
            if first <= event.x < end:
                session_of(self).perform(command_id)
