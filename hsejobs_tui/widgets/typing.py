"""What is typed into: with a cursor that stands still, as a blink is traffic over SSH."""

from __future__ import annotations

from textual.widgets import Input, TextArea


class Line(Input):
    """A line of text."""

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(value, placeholder=placeholder, id=id)
        self.cursor_blink = False


class Lines(TextArea):
    """Many lines of text, numbered."""

    def __init__(self, text: str) -> None:
        super().__init__(text, show_line_numbers=True, tab_behavior="indent")
        self.cursor_blink = False
