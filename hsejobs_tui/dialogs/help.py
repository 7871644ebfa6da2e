"""The help: what each key does on the current screen."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from hsejobs_tui.core.command import MOVES
from hsejobs_tui.core.commands import keys_shown
from hsejobs_tui.session.session import session_of


class Help(ModalScreen[None]):
    """Lists the commands of a scope, from the command table."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close")
    ]

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def compose(self) -> ComposeResult:
        session = session_of(self)
        every = session.commands(self.scope)
        here = [one for one in every if self.scope in one.scopes and one.id not in MOVES]
        moves = [one for one in every if one.id in MOVES]
        rest = [one for one in every if "app" in one.scopes]
        table = Table.grid(padding=(0, 2))
        for title, part in (("This screen", here), ("Everywhere", rest), ("Moving", moves)):
            if part:
                table.add_row(Text(title, "bold underline"), "", "")
            for one in part:
                table.add_row(Text(keys_shown(one), "bold"), one.title, Text(one.help, "dim"))
        with Vertical(classes="dialog -tall"):
            yield Static(f"Keys: {self.scope}", classes="title", markup=False)
            with VerticalScroll():
                yield Static(table, markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Close (Esc)", compact=True)

    def on_mount(self) -> None:
        """Focuses the list, so that arrow keys scroll."""
        self.query_one(VerticalScroll).focus()

    def on_button_pressed(self) -> None:
        self.dismiss(None)
