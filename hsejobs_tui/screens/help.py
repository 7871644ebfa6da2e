"""What every key does on the screen from which it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from hsejobs_tui.core.commands import for_scope, keys_shown

if TYPE_CHECKING:
    from hsejobs_tui.app import JobsApp


class Help(ModalScreen[None]):
    """The commands of a scope, from the table."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close")
    ]

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def compose(self) -> ComposeResult:
        """The list."""
        options = cast("JobsApp", self.app).options
        text = Text()
        for one in for_scope(self.scope, read_only=options.read_only,
                             confined=options.organization_id is not None):  # fmt: skip
            text.append(f"{keys_shown(one):<16}", "bold")
            text.append(f"{one.title:<16}").append(one.help + "\n", "dim")
        with Vertical(classes="dialog -tall"):
            yield Static(f"Keys: {self.scope}   (Ctrl+P finds all by name, Esc closes)",
                         classes="title", markup=False)  # fmt: skip
            with VerticalScroll():
                yield Static(text, markup=False)
