"""The editor for multi-line text: built in, with $EDITOR as an alternative."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static, TextArea

from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.keeping import Keeping
from hsejobs_tui.session.session import session_of
from hsejobs_tui.widgets.typing import Lines


class Editor(Keeping[str]):
    """Edits a text and returns it; None when cancelled. ``problem``: a message below the text.

    ``before``: the text as it was before any edit.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", priority=True),
        Binding("ctrl+s", "save", "Check and add", priority=True),
        Binding("ctrl+e", "outside", "$EDITOR", priority=True),
    ]

    def __init__(self, title: str, text: str, problem: str, before: str) -> None:
        super().__init__()
        self.heading, self.text, self.problem, self.before = title, text, problem, before

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall"):
            yield Static(safe(self.heading), classes="title", markup=False)
            yield Lines(self.text)
            yield Static(safe(self.problem, 400), markup=False, id="problem")
            with Horizontal(classes="buttons"):
                yield Button("Check and add (Ctrl+S)", id="save", compact=True)
                if not self._remote:
                    yield Button("$EDITOR (Ctrl+E)", id="outside", compact=True)
                yield Button("Cancel (Esc)", id="leave", compact=True)

    @property
    def _remote(self) -> bool:
        """Whether the user is in a browser, where $EDITOR of this machine is not available."""
        return session_of(self).options.viewer is not None

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        getattr(self, f"action_{event.button.id}")()

    @property
    def unsaved(self) -> bool:
        return self.query_one(TextArea).text != self.before

    def action_save(self) -> None:
        self.dismiss(self.query_one(TextArea).text)

    def action_outside(self) -> None:
        """Opens the text in $EDITOR while the TUI is suspended."""
        if self._remote:
            return
        area = self.query_one(TextArea)
        try:
            words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
            if not words:
                self._tell("$EDITOR is not set; set it and restart the TUI")
                return
            status, text = self._edited_outside(words, area.text)
        # Of words that no shell would take, and of a name that no file may have.
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            self._tell(f"$EDITOR cannot be run, the text is as it was: {why}")
            return
        if status == 0:
            area.text = text
            self._tell("")
        else:
            self._tell(f"$EDITOR ended with status {status}: the text is as it was before")

    def _edited_outside(self, words: list[str], text: str) -> tuple[int, str]:
        """The exit status of the editor, and the text that it wrote. Raises OSError."""
        with tempfile.NamedTemporaryFile("w+", suffix=".json", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            status: int | OSError | ValueError
            with self.app.suspend():
                # An error that leaves this block would leave the terminal as it is for the editor.
                try:
                    status = subprocess.call([*words, file.name])
                except (OSError, ValueError) as error:
                    status = error
            if isinstance(status, Exception):
                raise status
            # Some editors replace the file, so it is read by name, not through the open handle.
            with open(file.name, encoding="utf-8", errors="replace") as written:
                return status, written.read()

    def _tell(self, text: str) -> None:
        self.query_one("#problem", Static).update(safe(text, 400))
