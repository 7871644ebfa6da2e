"""Two jobs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from hsejobs.wording import counted
from hsejobs_tui.core.compare import Line
from hsejobs_tui.core.text import safe

#: Characters of a value, and cells of a field's name.
LONGEST, NAME = 400, 20


class Compare(ModalScreen[None]):
    """Shows the fields that differ, then those that agree. Esc, Enter and D close it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,D,q", "leave", "Close"),
        Binding("j,down", "scroll(1)", "Down"),
        Binding("k,up", "scroll(-1)", "Up"),
    ]

    def __init__(self, first: str, second: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self.first, self.second, self.lines = first, second, lines

    def compose(self) -> ComposeResult:
        different = sum(one.differs for one in self.lines)
        with Vertical(classes="dialog -tall"):
            title = f"{counted(different, 'difference')} in {counted(len(self.lines), 'field')}"
            yield Static(title, classes="title", markup=False)
            with VerticalScroll():
                yield Static(self._table(), markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Close (Esc)", id="leave", compact=True)

    def _table(self) -> Group:
        parts: list[RenderableType] = []
        for differs in (True, False):
            found = [one for one in self.lines if one.differs is differs]
            if not found:
                continue
            table = Table.grid(padding=(0, 1), expand=True)
            table.add_column(width=NAME, overflow="fold")
            table.add_column(ratio=1, overflow="fold")
            table.add_column(ratio=1, overflow="fold")
            if differs:
                heads = (safe(self.first, 60), safe(self.second, 60))
                table.add_row("", *(Text(one, "bold") for one in heads))
            else:
                parts.append(Text("the same in both", "dim"))
            for one in found:
                values = [_shown(one.first), _shown(one.second) if differs else Text()]
                name = Text(safe(one.field, 100), "warn" if differs else "dim")
                table.add_row(name, *values)
            parts += [table, Text()] if differs else [table]
        return Group(*parts)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_button_pressed(self) -> None:
        self.dismiss(None)


def _shown(value: str | None) -> Text:
    return Text("-", "dim") if value is None else Text(safe(value, LONGEST))
