"""Text inputs without a blinking cursor, because blinking causes traffic over SSH."""

from __future__ import annotations

from textual import events
from textual.widgets import Input, TextArea

from hsejobs_tui.session.session import session_of


def lines_of(text: str) -> list[str]:
    """The lines of a pasted text that are not blank."""
    return [one for one in text.splitlines() if one.strip()]


class Line(Input):
    """``corrects``: when it gets the focus again, its text is continued, not replaced."""

    def __init__(
        self,
        value: str = "",
        *,
        placeholder: str = "",
        id: str | None = None,
        corrects: bool = False,
    ) -> None:
        super().__init__(value, placeholder=placeholder, id=id, select_on_focus=not corrects)
        self.cursor_blink = False

    def on_paste(self, event: events.Paste) -> None:
        """Joins the lines of what is pasted: the input of Textual takes the first and drops the others."""
        if len(event.text.splitlines()) < 2:
            return
        event.prevent_default()
        event.stop()
        if lines := lines_of(event.text):
            self.replace(" ".join(lines), *self.selection)
        if len(lines) > 1:
            self.joined(f"{len(lines):,} lines were pasted as one: line breaks became spaces")

    def joined(self, text: str) -> None:
        """Says that lines were joined."""
        session_of(self).show_message(text)


class Lines(TextArea):
    """A multi-line input with line numbers."""

    def __init__(self, text: str) -> None:
        super().__init__(text, show_line_numbers=True, tab_behavior="indent")
        self.cursor_blink = False
