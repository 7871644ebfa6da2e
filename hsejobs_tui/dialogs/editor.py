"""A text of many lines, written in the built-in editor or in $EDITOR."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static, TextArea

from hsejobs_tui.core.text import safe
from hsejobs_tui.session.session import session_of
from hsejobs_tui.widgets.typing import Lines


class Editor(ModalScreen[str]):
    """A text; '' when left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", priority=True),
        Binding("ctrl+s", "save", "Check and add", priority=True),
        Binding("ctrl+e", "outside", "$EDITOR", priority=True),
    ]

    def __init__(self, title: str, text: str, problem: str = "") -> None:
        super().__init__()
        self.asked, self.text, self.problem = title, text, problem

    def compose(self) -> ComposeResult:
        """Title, text, what is wrong."""
        with Vertical(classes="dialog -tall"):
            yield Static(safe(self.asked), classes="title", markup=False)
            yield Lines(self.text)
            yield Static(safe(self.problem, 400), markup=False, id="problem")
            with Horizontal(classes="buttons"):
                yield Button("Check and add (Ctrl+S)", id="save", compact=True)
                if not self._far:
                    yield Button("$EDITOR (Ctrl+E)", id="outside", compact=True)
                yield Button("Leave (Esc)", id="leave", compact=True)

    @property
    def _far(self) -> bool:
        """Whether the person sits at another machine: its browser has no editor of this one."""
        return session_of(self).options.viewer is not None

    def on_mount(self) -> None:
        """Ready to be typed into."""
        self.query_one(TextArea).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """By mouse."""
        getattr(self, f"action_{event.button.id}")()

    def action_leave(self) -> None:
        """Nothing."""
        self.dismiss("")

    def action_save(self) -> None:
        """The text."""
        self.dismiss(self.query_one(TextArea).text)

    def action_outside(self) -> None:
        """In the person's own editor, while the TUI stands aside."""
        if self._far:
            return
        words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
        if not words:
            self.query_one("#problem", Static).update("$EDITOR is not set")
            return
        area = self.query_one(TextArea)
        with tempfile.NamedTemporaryFile("w+", suffix=".json", encoding="utf-8") as file:
            file.write(area.text)
            file.flush()
            with self.app.suspend():
                status = subprocess.call([*words, file.name])
            # Editors that write a new file in its place leave ours as it was.
            with open(file.name, encoding="utf-8", errors="replace") as written:
                text = written.read()
        if status == 0:
            area.text = text
