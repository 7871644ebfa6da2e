"""A menu: one of a few choices, by a digit or with the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from hsejobs_tui.core.text import safe

#: The keys of the choices, in their order.
KEYS = "1234567890"


class Choose(ModalScreen[str]):
    """Returns the chosen text; '' when cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("j,down", "move(1)", "Down"),
        Binding("k,up", "move(-1)", "Up"),
        Binding("enter", "take", "Choose"),
    ]

    def __init__(self, title: str, choices: Sequence[str], text: str = "") -> None:
        super().__init__()
        self.heading, self.choices, self.text = title, list(choices)[: len(KEYS)], text
        self.cursor = 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self.heading), classes="title", markup=False)
            if self.text:
                yield Static(safe(self.text, 300), markup=False)
            yield Static(self._list(), id="choices", markup=False)
            yield Static("A digit, or Enter; Esc cancels.", markup=False)

    def _list(self) -> Text:
        text = Text()
        for at, one in enumerate(self.choices):
            line = Text(f" {'>' if at == self.cursor else ' '} ").append(KEYS[at], "key")
            line.append(f" {safe(one, 100)}", "bold" if at == self.cursor else "")
            text.append_text(line).append("\n" * (at + 1 < len(self.choices)))
        return text

    def action_move(self, by: int) -> None:
        self.cursor = (self.cursor + by) % len(self.choices)
        self.query_one("#choices", Static).update(self._list())

    def action_take(self) -> None:
        self.dismiss(self.choices[self.cursor])

    def action_leave(self) -> None:
        self.dismiss("")

    def on_key(self, event: events.Key) -> None:
        """Chooses by a digit."""
        at = KEYS.find(event.key) if len(event.key) == 1 else -1
        if 0 <= at < len(self.choices):
            event.stop()
            self.dismiss(self.choices[at])

    def on_click(self, event: events.Click) -> None:
        """Chooses the line under the mouse."""
        on_list = event.widget is not None and event.widget.id == "choices"
        if on_list and 0 <= event.y < len(self.choices):
            self.dismiss(self.choices[event.y])
