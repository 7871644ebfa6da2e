"""The dialog for a tenant's weight and limit."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from hsejobs.control.sharing import KEEP, check_settings
from hsejobs.errors import InvalidOption
from hsejobs_tui.core.text import safe, whole_number
from hsejobs_tui.widgets.typing import Line

#: What each field returns: the weight, and the limit (None: no limit of its own); KEEP for no change.
Settings = tuple[Any, Any]


class TenantSettings(ModalScreen[Settings | None]):
    """Asks for weight and limit; returns None when cancelled.

    A field that is left as it was keeps the setting, also where it differs between queues (``1-5``).
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(self, owner: str, where: str, weight: str, limit: str) -> None:
        super().__init__()
        self.owner, self.where = owner, where
        self.before = {"weight": weight, "limit": "none" if limit == "-" else limit}

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(f"Settings of {self.owner}", 100), classes="title", markup=False)
            yield Static(safe(f"In {self.where}.", 300), markup=False)
            yield Static(
                "Weight, 1 to 1,000: how many turns it has beside the others.", markup=False
            )
            yield Line(self.before["weight"], id="weight")
            yield Static("Limit: how many of its jobs may run at once, or none.", markup=False)
            yield Line(self.before["limit"], id="limit")
            yield Static("", id="wrong", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Set (Enter)", id="ok", compact=True)
                yield Button("Cancel (Esc)", id="no", compact=True)

    def on_mount(self) -> None:
        self.query_one("#weight", Input).focus()

    def _submit(self) -> None:
        try:
            weight, limit = self._value("weight"), self._value("limit")
        except InvalidOption as error:
            field, why = error.problems[0]
            self.query_one("#wrong", Static).update(safe(f"The {field} {why}."))
            self.query_one(f"#{field}", Input).focus()
            return
        self.dismiss((weight, limit))

    def _value(self, name: str) -> Any:
        """The number in a field; None for no limit, KEEP if it is unchanged. Raises InvalidOption."""
        text = self.query_one(f"#{name}", Input).value.strip().replace(",", "")
        if text == self.before[name]:
            return KEEP
        value: Any = text
        if name == "limit" and text.lower() in ("none", "-", ""):
            value = None
        elif (number := whole_number(text)) is not None:
            value = number
        check_settings(**{name: value})
        return value

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on to the limit, and from there submits."""
        if event.input.id == "weight":
            self.query_one("#limit", Input).focus()
        else:
            self._submit()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "ok":
            self._submit()
        else:
            self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)
