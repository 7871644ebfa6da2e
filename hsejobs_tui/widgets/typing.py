"""Text inputs without a blinking cursor, because blinking causes traffic over SSH."""

from __future__ import annotations

from textual.widgets import Input, TextArea


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


class Lines(TextArea):
    """A multi-line input with line numbers."""

    def __init__(self, text: str) -> None:
        super().__init__(text, show_line_numbers=True, tab_behavior="indent")
        self.cursor_blink = False
