"""The navigation line: the screens, the current one, and the number of active alerts; clickable."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.widgets import Static

from hsejobs_tui.core.commands import COMMANDS
from hsejobs_tui.session.session import session_of

#: Screens that are opened from another one, and its name.
BELOW = {"queue": "overview", "job": "overview"}


class Nav(Static):
    """One line of screen names; each name runs its command."""

    def __init__(self, scope: str) -> None:
        super().__init__(id="nav", markup=False)
        self.scope = BELOW.get(scope, scope)
        self.alerts = -1
        self._spans: list[tuple[int, int, str]] = []

    def draw(self, alerts: int) -> None:
        """Draws the line; ``alerts``: the number of active alerts."""
        if alerts == self.alerts:
            return
        self.alerts = alerts
        session = session_of(self)
        text, self._spans = Text(" "), []
        for one in COMMANDS:
            if len(one.keys) > 1 or not one.keys.isdigit() or not session.has(one.id):
                continue
            word = Text(f"{one.keys} {one.title}", "bold reverse" if one.id == self.scope else "")
            if one.id == "alerts" and alerts:
                word.append(f"({alerts})", "bold fail")
            self._add(text, word, one.id)
        self._add(text, Text("Menu"), "menu")
        self.update(text)

    def _add(self, text: Text, word: Text, command_id: str) -> None:
        self._spans.append((text.cell_len, text.cell_len + word.cell_len, command_id))
        text.append_text(word).append(" ")

    def on_click(self, event: events.Click) -> None:
        """Opens the screen under the mouse."""
        for first, end, command_id in self._spans:
            if first <= event.x < end:
                session_of(self).perform(command_id)
