"""Questions: yes or no, type it to mean it, a line of text; and the bar of an act on many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, ProgressBar, Static

from hsejobs.control.acts import Progress
from hsejobs_tui.core.text import safe
from hsejobs_tui.session.session import session_of
from hsejobs_tui.widgets.typing import Line


class Confirm(ModalScreen[bool]):
    """y or n; with ``typed`` that text must be typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "No"),
        Binding("n", "answer(False)", "No"),
        Binding("y", "yes", "Yes"),
    ]

    def __init__(self, title: str, text: str = "", typed: str = "") -> None:
        super().__init__()
        self.asked, self.text, self.typed = title, text, typed

    def compose(self) -> ComposeResult:
        """Title, text, the answer."""
        with Vertical(classes="dialog"):
            yield Static(safe(self.asked, lines=True), classes="title", markup=False)
            yield Static(safe(self.text, lines=True), markup=False)
            if self.typed:
                yield Static(
                    f"Type {self.typed} to go on, Esc to leave it.", id="note", markup=False
                )
                yield Line()
            with Horizontal(classes="buttons"):
                label = "Yes (Enter)" if self.typed else "Yes (y)"
                yield Button(label, id="yes", compact=True, disabled=bool(self.typed))
                yield Button("No (Esc)" if self.typed else "No (n, Esc)", id="no", compact=True)

    def on_mount(self) -> None:
        """The harmless answer has the focus."""
        self.query_one(Input if self.typed else "#no").focus()

    def action_answer(self, answer: bool) -> None:
        """Ends with the answer."""
        self.dismiss(answer)

    def action_yes(self) -> None:
        """Yes, where typing is not asked for."""
        if not self.typed:
            self.dismiss(True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """The button opens when the text is right."""
        self.query_one("#yes", Button).disabled = event.value.strip() != self.typed

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter, with the right text."""
        if event.value.strip() == self.typed:
            self.dismiss(True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """By mouse."""
        self.dismiss(event.button.id == "yes")


class Ask(ModalScreen[str]):
    """A line of text; '' when left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave")]

    def __init__(self, title: str, text: str = "", value: str = "") -> None:
        super().__init__()
        self.asked, self.text, self.value = title, text, value

    def compose(self) -> ComposeResult:
        """Title, text, the line."""
        with Vertical(classes="dialog"):
            yield Static(safe(self.asked), classes="title", markup=False)
            yield Static(safe(self.text, lines=True), markup=False)
            yield Line(self.value)
            with Horizontal(classes="buttons"):
                yield Button("OK (Enter)", id="ok", compact=True)
                yield Button("Cancel (Esc)", id="no", compact=True)

    def on_mount(self) -> None:
        """Ready to be typed into."""
        self.query_one(Input).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """By mouse."""
        self.dismiss(self.query_one(Input).value if event.button.id == "ok" else "")

    def action_leave(self) -> None:
        """Nothing."""
        self.dismiss("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.dismiss(event.value)


class Working(ModalScreen[None]):
    """The bar of an act on many jobs; Esc cancels it. Esc and Enter close its report."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("enter", "close", "Close"),
    ]

    def __init__(
        self, title: str, total: int, steps: Callable[[Callable[[], bool]], Iterator[Progress]]
    ) -> None:
        super().__init__()
        self.asked, self.total = title, total
        self.steps = steps
        self.stopped = self.over = False

    def compose(self) -> ComposeResult:
        """Title, bar, report."""
        with Vertical(classes="dialog"):
            yield Static(safe(self.asked), classes="title", markup=False)
            yield ProgressBar(total=max(1, self.total), show_eta=False)
            yield Static("Esc cancels; what is done stays done.", id="report", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel (Esc)", id="leave", compact=True)

    def on_mount(self) -> None:
        """Begins."""
        self.run_worker(self._go(), exit_on_error=False)

    async def _go(self) -> None:
        last: list[Progress] = []

        def shown(progress: Progress) -> None:
            last[:] = [progress]
            self.query_one(ProgressBar).update(total=max(1, progress.total), progress=progress.seen)

        session = session_of(self)
        try:
            await session.each(self.steps(lambda: self.stopped), shown)
            broken = last[0].error if last else None
            why = session.explain(broken) if broken is not None else ""
            text = last[0].report(why) if last else "Nothing to do."
        except Exception as error:
            why = session.explain(error)
            text = last[0].report(why) if last else why
        self.over = True
        session.poll_soon()
        self.query_one("#report", Static).update(safe(text))
        button = self.query_one("#leave", Button)
        button.label = "Close (Esc, Enter)"
        # A new label alone leaves a button as wide as it was.
        button.refresh(layout=True)

    def action_leave(self) -> None:
        """Cancels, or closes when all is said."""
        if self.over:
            self.dismiss(None)
        self.stopped = True

    def action_close(self) -> None:
        """Closes the report; a second Enter after a typed count is no wish to cancel."""
        if self.over:
            self.dismiss(None)

    def on_button_pressed(self) -> None:
        """By mouse."""
        self.action_leave()
