"""The form of a new job: a line for each field of the payload and for each option, or the editor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Static

from hsejobs_tui.core.form import Field
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.keeping import Keeping
from hsejobs_tui.widgets.typing import Line

#: Cells of a field's name.
NAMES = 24


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written, by the name of the field. ``edit``: continue in the editor."""

    values: dict[str, str]
    options: dict[str, str]
    edit: bool = False


class FormLine(Line):
    """The input of a field; Up and Down go to the fields above and below."""

    def __init__(self, field: Field, value: str) -> None:
        hint = "" if field.required else safe(field.hint, 200)
        super().__init__(value, placeholder=hint, corrects=True)
        self.field = field

    def joined(self, text: str) -> None:
        """Says it in the form: a message would hide what is below the fields."""
        self.screen.query_one("#problem", Static).update(f"{text}; the editor (Ctrl+E) keeps them.")

    def on_key(self, event: events.Key) -> None:
        """PgDn and PgUp choose; Up and Down move."""
        choices = ["", *self.field.choices] if not self.field.required else [*self.field.choices]
        if event.key in ("pagedown", "pageup") and choices:
            at = choices.index(self.value) if self.value in choices else -1
            step = 1 if event.key == "pagedown" else -1
            self.value = choices[(at + step) % len(choices)]
        elif event.key == "down":
            self.screen.focus_next(Input)
        elif event.key == "up":
            self.screen.focus_previous(Input)
        else:
            return
        event.stop()
        event.prevent_default()


class JobForm(Keeping[Filled]):
    """Asks for a payload and options; None when cancelled. ``problem``: what was wrong with the last try."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", priority=True),
        Binding("ctrl+s", "save", "Check and add", priority=True),
        Binding("ctrl+e", "edit", "Editor", priority=True),
    ]

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        options: Sequence[Field],
        values: Mapping[str, str],
        chosen: Mapping[str, str],
        problem: str = "",
    ) -> None:
        super().__init__()
        self.heading, self.fields, self.options = title, fields, options
        self.values, self.chosen, self.problem = values, chosen, problem

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall"):
            yield Static(safe(self.heading), classes="title", markup=False)
            with VerticalScroll(can_focus=False):
                for one in self.fields:
                    yield from self._line(one, self.values.get(one.name, one.start))
                yield Static("options, empty for the task's own", classes="title", markup=False)
                for one in self.options:
                    yield from self._line(one, self.chosen.get(one.name, ""))
            yield Static(id="hint", markup=False)
            yield Static(safe(self.problem, 400), id="problem", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Check and add (Ctrl+S)", id="save", compact=True)
                yield Button("As JSON (Ctrl+E)", id="edit", compact=True)
                yield Button("Cancel (Esc)", id="leave", compact=True)

    def _line(self, one: Field, value: str) -> ComposeResult:
        with Horizontal(classes="field"):
            mark = "*" if one.required else " "
            name = Text(f"{mark}{safe(one.name, NAMES - 2)}", "bold" if one.required else "")
            yield Static(name, classes="name", markup=False)
            yield FormLine(one, value)

    def on_mount(self) -> None:
        """Focuses the first field, or the first that the problem names."""
        lines = list(self.query(FormLine))
        named = [one for one in lines if self.problem.startswith(f"{one.field.name}:")]
        (named or lines)[0].focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Shows what the field may be."""
        widget = event.widget
        hint = self.query_one("#hint", Static)
        if isinstance(widget, FormLine):
            one = widget.field
            words = ["required"] if one.required else []
            words += [safe(one.hint, 300)] if one.hint else []
            words += ["PgDn and PgUp choose"] if one.choices else []
            words += ["secret"] if one.secret else []
            hint.update(Text(f"{safe(one.name, 60)}: {'; '.join(words)}", "dim"))

    def on_input_submitted(self) -> None:
        """Enter goes to the next field."""
        self.focus_next(Input)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        getattr(self, f"action_{event.button.id}")()

    def _filled(self, *, edit: bool) -> Filled:
        lines = list(self.query(FormLine))
        values = {one.field.name: one.value for one in lines if one.field.path}
        chosen = {one.field.name: one.value for one in lines if not one.field.path}
        return Filled(values, chosen, edit)

    @property
    def unsaved(self) -> bool:
        """Whether a field has another text than in an untouched form."""
        return any(one.value != one.field.start for one in self.query(FormLine))

    def action_save(self) -> None:
        self.dismiss(self._filled(edit=False))

    def action_edit(self) -> None:
        """Continues with the payload as JSON."""
        self.dismiss(self._filled(edit=True))
