"""The line of keys at the bottom.

The library's own makes a widget a key whenever the screen changes, each bound to its
footer for good: 50 MB after 336 changes of screen. This is one line of text.
"""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.widgets import Static

from hsejobs_tui.core.commands import for_scope, keys_shown
from hsejobs_tui.session.session import session_of


class Keys(Static):
    """The commands of a screen that the table wants shown; each of them can be clicked."""

    def __init__(self, scope: str) -> None:
        super().__init__(id="keys", markup=False)
        self.scope = scope
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Drawn once: what a session may do does not change."""
        session = session_of(self)
        text = Text()
        for one in for_scope(
            self.scope, read_only=session.options.read_only, confined=session.confined
        ):
            if one.footer:
                first = text.cell_len
                text.append(keys_shown(one).partition(" or ")[0], "key").append(f" {one.title}")
                self._spans.append((first, text.cell_len, one.id))
                text.append("  ")
        text.rstrip()
        self.update(text)

    def on_click(self, event: events.Click) -> None:
        """The command under the mouse."""
        for first, end, command_id in self._spans:
            if first <= event.x < end:
                session_of(self).perform(command_id)
