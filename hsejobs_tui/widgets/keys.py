"""The footer: a line with the keys of the screen.

Textual's own footer creates a widget per key at each change of screen and never frees
them: 50 MB after 336 changes. This footer is one line of text.
"""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.widgets import Static

from hsejobs_tui.core.commands import keys_shown
from hsejobs_tui.session.session import session_of


class Keys(Static):
    """The screen's commands that have ``footer`` set; each can be clicked."""

    def __init__(self, scope: str) -> None:
        super().__init__(id="keys", markup=False)
        self.scope = scope
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Draws the line once, as a session's commands do not change."""
        session = session_of(self)
        text = Text()
        for one in session.commands(self.scope):
            if one.footer:
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
