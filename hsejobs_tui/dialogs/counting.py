"""A question about a set that is still being counted: it says "so far", and names what it fixes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from textual.widgets import Button, Input, Static

from hsejobs.store.write import Seen
from hsejobs.wording import all_of, counted
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.questions import Confirm

#: Seconds between two looks at how far the counting is.
LOOK = 0.1


class Counting(Protocol):
    """How far the counting of what an act is about is. ``bound`` grows until ``over``."""

    @property
    def bound(self) -> Sequence[Seen]:
        """The jobs so far."""

    @property
    def over(self) -> bool:
        """Whether those are all."""

    @property
    def broken(self) -> bool:
        """Whether the counting ended before that: Redis went away."""


class Counted(Confirm):
    """The count must be typed. While it grows, Enter fixes those so far; nothing is added after that.

    ``noun`` and ``which`` end the sentence that begins with the act: ``failed job``, ``matching x``.

    Textual calls the handlers of ``Confirm`` too, unless an event's default is prevented.
    """

    def __init__(self, act: str, noun: str, which: str, text: str, counting: Counting) -> None:
        self.noun, self.which = noun, f" {which}" if which else ""
        super().__init__(f"{act} ... {noun}s{self.which}?", text, typed="?")
        self.act, self.counting = act, counting
        #: What the question names, once it is fixed.
        self.fixed: tuple[Seen, ...] | None = None
        #: What was typed and entered before the count was over: the answer if that is the count.
        self._entered = ""

    def on_mount(self) -> None:
        """What is counted already is fixed at once."""
        self._look()
        if self.fixed is None:
            self.set_interval(LOOK, self._look)

    def _look(self) -> None:
        if self.fixed is not None:
            return
        if self.counting.over:
            self._fix(every=True)
            return
        count = len(self.counting.bound)
        how = "Still counting. Enter takes those so far; or wait for the end. Esc leaves it."
        if self.counting.broken:
            how = "The counting broke off. "
            how += "Enter takes those so far; Esc leaves it." if count else "Esc leaves it."
        those = counted(count, self.noun) + self.which
        self._say(f"{self.act} {those}, so far?", how, "Those so far (Enter)", count == 0)

    def _fix(self, *, every: bool) -> None:
        self.fixed = tuple(self.counting.bound)
        count = len(self.fixed)
        self.typed = str(count)
        if not count:
            self._say(
                f"There are no {self.noun}s{self.which}.", "Esc leaves it.", "Yes (Enter)", True
            )
            return
        those = all_of(count, self.noun) if every else f"the first {counted(count, self.noun)}"
        self._say(
            f"{self.act} {those}{self.which}?",
            f"Type {count} to go on, Esc to leave it.",
            "Yes (Enter)",
            True,
        )
        if self._entered == self.typed:
            self.dismiss(True)

    def _say(self, title: str, note: str, yes: str, shut: bool) -> None:
        self.query_one(".title", Static).update(safe(title))
        self.query_one("#note", Static).update(note)
        button = self.query_one("#yes", Button)
        button.disabled = shut
        if str(button.label) != yes:
            button.label = yes
            button.refresh(layout=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """The button opens when the text is right, or while there is something to fix."""
        self._entered = ""
        if self.fixed is None:
            event.prevent_default()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: fixes those so far; then, with the right text, the answer."""
        self._look()
        if not self.fixed:
            event.prevent_default()
        if self.fixed is None and event.value.strip():
            # Fast hands: the count may be over in a moment, and be what they typed.
            self._entered = event.value.strip()
        elif self.fixed is None and self.counting.bound:
            self._fix(every=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """By mouse."""
        if event.button.id == "yes" and self.fixed is None:
            event.prevent_default()
            self._fix(every=False)
            self.query_one(Input).focus()
