"""Dialogs: confirmation, typed confirmation, text input, and the progress bar of an act."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, ProgressBar, Static

from hsejobs.errors import InvalidOption, JobsError
from hsejobs_tui.core.text import safe
from hsejobs_tui.session.session import session_of
from hsejobs_tui.widgets.typing import Line, lines_of

#: What is said where y is enough, and the count may be typed; and above the field of a reason.
NOTE = "y continues, or {count} and Enter; Esc cancels."
WHY = "Reason, kept with the job (optional): Tab, then write it."
WHY_TYPED = "Reason, kept with the job (optional): Tab."
#: What is said where a text must be typed.
TYPED = "Type {} to continue, Esc to cancel."
#: Checks a reason that was typed; raises InvalidOption for one that is refused.
Check = Callable[[str], str | None]


class Confirm(ModalScreen[bool]):
    """Asks yes or no; with ``typed``, that text must be typed to confirm.

    With ``count``, that number and Enter may be typed in place of y. With ``check``, a reason may be written,
    too; ``reason`` is what ``check`` returned. The first key answers, as in every question: y and n are
    letters of the reason once it was begun, by Tab or another letter.
    """

    AUTO_FOCUS: ClassVar[str | None] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Enter", show=False),
        Binding("backspace", "erase", "Erase", show=False),
        Binding("escape", "answer(False)", "No"),
        Binding("n", "answer(False)", "No"),
        Binding("y", "yes", "Yes"),
    ]

    def __init__(
        self,
        title: str,
        text: str = "",
        typed: str = "",
        check: Check | None = None,
        count: int = 0,
    ) -> None:
        super().__init__()
        self.count, self.digits = count, ""
        self.heading, self.text, self.typed, self.check = title, text, typed, check
        self.reason: str | None = None
        self.note = TYPED.format(typed) if typed else ""
        if count:
            self.note = NOTE.format(count=count)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self.heading, lines=True), classes="title", markup=False)
            yield Static(safe(self.text, lines=True), markup=False)
            if self.note:
                yield Static(self.note, id="note", markup=False)
            if self.typed:
                yield Line(id="typed")
            if self.check is not None:
                yield Static(WHY_TYPED if self.typed else WHY, id="why", markup=False)
                yield Line(id="reason", corrects=True)
            with Horizontal(classes="buttons"):
                yes, no = self.labels
                yield Button(yes, id="yes", compact=True, disabled=bool(self.typed))
                yield Button(no, id="no", compact=True)

    @property
    def labels(self) -> tuple[str, str]:
        """What the buttons say: the keys that answer now."""
        if self.typed or isinstance(self.focused, Input):
            return "Yes (Enter)", "No (Esc)"
        return "Yes (y)", "No (n, Esc)"

    def on_descendant_focus(self) -> None:
        """In a field, y and n are letters."""
        self.name_buttons()

    def name_buttons(self) -> None:
        """Says which keys answer now."""
        for name, label in zip(("#yes", "#no"), self.labels, strict=True):
            button = self.query_one(name, Button)
            if str(button.label) != label:
                button.label = label
                # A new label alone does not resize the button.
                button.refresh(layout=True)

    def on_mount(self) -> None:
        """Focuses the safe answer, or the text that must be typed."""
        for one in self.query(self.first).results(Widget):
            one.focus()
            break

    @property
    def first(self) -> str:
        """What has the focus at first: nothing where a number may be typed, which Enter confirms."""
        return "#typed" if self.typed else "#nothing" if self.count else "#no"

    def on_key(self, event: events.Key) -> None:
        """Collects the digits of the count, or begins the reason."""
        letter = event.character or ""
        if isinstance(self.focused, Input) or letter in ("y", "n", " "):
            return
        if self.check is not None and not self.typed and event.is_printable:
            event.stop()
            self._write(letter)
        elif self.count and not self.typed and letter.isdecimal():
            event.stop()
            self._type(self.digits + letter)

    def on_paste(self, event: events.Paste) -> None:
        """A text that is pasted is a reason, and answers nothing."""
        if self.check is not None and not self.typed and not isinstance(self.focused, Input):
            event.stop()
            self._write(" ".join(lines_of(event.text)))

    def _write(self, text: str) -> None:
        field = self.query_one("#reason", Input)
        self.set_focus(field)
        field.insert_text_at_cursor(text)

    def _type(self, digits: str) -> None:
        self.digits = digits[: len(str(self.count))]
        text = f"{NOTE.format(count=self.count)} {self.digits}".strip()
        self.query_one("#note", Static).update(text)

    def action_erase(self) -> None:
        """Takes back the last digit."""
        if self.digits:
            self._type(self.digits[:-1])

    def action_enter(self) -> None:
        """Confirms if the count was typed."""
        if self.count and self.digits == str(self.count):
            self.confirm()

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    def action_yes(self) -> None:
        """Confirms, unless a text must be typed."""
        if not self.typed:
            self.confirm()

    def confirm(self) -> None:
        """Confirms, unless the reason is refused."""
        if self.check is not None:
            try:
                self.reason = self.check(self.query_one("#reason", Input).value)
            except InvalidOption as error:
                why = safe(f"The reason {error.problems[0][1]}.")
                self.query_one("#why", Static).update(why)
                self.query_one("#reason", Input).focus()
                return
        self.dismiss(True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Enables the button when the text matches."""
        if event.input.id == "typed":
            self.query_one("#yes", Button).disabled = event.value.strip() != self.typed

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Confirms, unless a text must be typed that does not match: the reason leads back to it."""
        typed = self.query_one("#typed", Input) if self.typed else None
        if typed is None or typed.value.strip() == self.typed:
            self.confirm()
        elif event.input is not typed:
            typed.focus()
        elif typed.value.strip():
            self.query_one("#note", Static).update(f"That is not it. {TYPED.format(self.typed)}")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "yes":
            self.confirm()
        else:
            self.dismiss(False)


class Ask(ModalScreen[str]):
    """Asks for a line of text; returns '' when cancelled. ``corrects``: typing continues the ``value``."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(
        self, title: str, text: str = "", value: str = "", *, corrects: bool = False
    ) -> None:
        super().__init__()
        self.heading, self.text, self.value, self.corrects = title, text, value, corrects

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self.heading), classes="title", markup=False)
            yield Static(safe(self.text, lines=True), markup=False)
            yield Line(self.value, corrects=self.corrects)
            with Horizontal(classes="buttons"):
                yield Button("OK (Enter)", id="ok", compact=True)
                yield Button("Cancel (Esc)", id="no", compact=True)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(self.query_one(Input).value if event.button.id == "ok" else "")

    def action_leave(self) -> None:
        self.dismiss("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)


class Report(Protocol):
    """The progress of a long act and, at its end, its report. ``error``: what ended it early."""

    @property
    def total(self) -> int: ...

    @property
    def seen(self) -> int: ...

    @property
    def error(self) -> JobsError | None: ...

    def report(self, then: str = "") -> str:
        """A sentence; ``then``: the text of the error."""


class Working(ModalScreen[None]):
    """Runs an act on many jobs with a progress bar; Esc cancels. Esc and Enter close its report, u undoes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("enter", "close", "Close"),
        Binding("u", "undo", "Undo"),
    ]

    def __init__(
        self,
        title: str,
        total: int,
        steps: Callable[[Callable[[], bool]], Iterator[Report]],
        note: str = "Esc cancels; completed steps are not undone.",
    ) -> None:
        super().__init__()
        self.heading, self.total, self.note = title, total, note
        self.steps = steps
        self.cancelled = self.finished = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self.heading), classes="title", markup=False)
            yield ProgressBar(total=max(1, self.total), show_eta=False)
            yield Static(safe(self.note), id="report", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel (Esc)", id="leave", compact=True)

    def on_mount(self) -> None:
        self.run_worker(self._go(), exit_on_error=False)

    async def _go(self) -> None:
        last: list[Report] = []

        def show(progress: Report) -> None:
            last[:] = [progress]
            self.query_one(ProgressBar).update(total=max(1, progress.total), progress=progress.seen)

        session = session_of(self)
        try:
            await session.each(self.steps(lambda: self.cancelled), show)
            broken = last[0].error if last else None
            why = session.explain(broken) if broken is not None else ""
            text = last[0].report(why) if last else "There was nothing to do."
        except Exception as error:
            why = session.explain(error)
            text = last[0].report(why) if last else why
        self.finished = True
        session.poll_soon()
        self.query_one("#report", Static).update(safe(text))
        button = self.query_one("#leave", Button)
        button.label = "Close (Esc, Enter)"
        # A new label alone does not resize the button.
        button.refresh(layout=True)

    def action_leave(self) -> None:
        """Cancels the act, or closes the finished report."""
        if self.finished:
            self.dismiss(None)
        self.cancelled = True

    def action_close(self) -> None:
        """Closes the report; never cancels, because Enter may be pressed twice after a typed count."""
        if self.finished:
            self.dismiss(None)

    def action_undo(self) -> None:
        """Undoes what the report tells of, if it says so."""
        if self.finished and session_of(self).undoable()[0]:
            self.dismiss(None)
            self.app.call_later(session_of(self).perform, "undo")

    def on_button_pressed(self) -> None:
        self.action_leave()
