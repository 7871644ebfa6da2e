"""The question before a text that was typed is thrown away."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from hsejobs_tui.core.text import safe


class Discard(ModalScreen[bool]):
    """Asks whether to throw away what was typed: True after the same ``key`` again.

    Any other key goes on, and does nothing else: what is typed blindly after the first key must not be
    thrown away with the next letter, nor begin in the middle of the text. A paste is no answer.
    """

    AUTO_FOCUS: ClassVar[str | None] = ""

    def __init__(
        self, heading: str, key: str = "escape", shown: str = "Esc", then: str = ""
    ) -> None:
        super().__init__()
        self.heading, self.key, self.shown, self.then = heading, key, shown, then

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            title = f"Throw away what you typed{self.then}?"
            yield Static(title, classes="title", markup=False)
            yield Static(safe(self.heading, 200), markup=False)
            text = f"{self.shown} again throws it away; any other key goes back to it."
            yield Static(text, markup=False)
            with Horizontal(classes="buttons"):
                yield Button(f"Throw away ({self.shown})", id="yes", compact=True)
                yield Button("Go back", id="no", compact=True)

    def on_key(self, event: events.Key) -> None:
        """Answers with any key."""
        event.stop()
        event.prevent_default()
        self.dismiss(event.key == self.key)

    def on_paste(self, event: events.Paste) -> None:
        event.stop()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
