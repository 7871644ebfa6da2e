"""A question about a set of jobs that is still being counted: it says "so far" until it is fixed."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Protocol

from textual.widgets import Button, Input, Static

from hsejobs.store.write import Seen
from hsejobs.wording import all_of, counted
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.questions import NOTE, TYPED, Check, Confirm

#: Seconds between two updates of the question while the count grows; seconds after which a person can have
#: seen that the count is over.
UPDATE, AWARE = 0.1, 0.4


def none_of(noun: str, which: str) -> str:
    """Says that there are none of these jobs: ``There are no failed jobs matching x.``"""
    return f"There are no {noun}s{f' {which}' if which else ''}."


class Counting(Protocol):
    """The progress of counting the jobs of an act. ``bound`` grows until ``over`` is True."""

    @property
    def bound(self) -> Sequence[Seen]:
        """Ids and versions of the jobs found so far."""

    @property
    def over(self) -> bool:
        """Whether all jobs have been counted."""

    @property
    def broken(self) -> bool:
        """Whether an error, such as an outage of Redis, ended the count early."""


class Counted(Confirm):
    """Asks about the jobs that are counted. While the count grows, Enter fixes the jobs found so far.

    Then the count must be ``typed``, or else y confirms.

    ``noun`` and ``which`` complete the question that begins with the act: ``failed job``,
    ``matching x``. With ``check``, it also asks for a reason.

    Textual also calls the handlers of ``Confirm``, unless an event's default is prevented.
    """

    def __init__(
        self,
        act: str,
        noun: str,
        which: str,
        text: str,
        counting: Counting,
        check: Check | None = None,
        *,
        typed: bool = True,
    ) -> None:
        self.noun, self.which = noun, f" {which}" if which else ""
        title = f"{act} ... {noun}s{self.which}?"
        super().__init__(title, text, typed="?" if typed else "", check=check)
        self.note = self.note or "Esc cancels."
        #: Digits count from the start on, if they may be typed at all.
        self.count = int(not typed)
        self.act, self.counting = act, counting
        #: The jobs that the question is about, once they are fixed.
        self.fixed: tuple[Seen, ...] | None = None
        self._fixed_at = 0.0
        #: Text submitted before the count was complete: it confirms if it equals the final count.
        self._entered = ""

    def on_mount(self) -> None:
        """Fixes a complete count at once, otherwise updates the question while the count grows."""
        self._update()
        if self.fixed is None:
            self.set_interval(UPDATE, self._update)

    def _update(self) -> None:
        if self.fixed is not None:
            return
        if self.counting.over:
            self._fix(every=True)
            return
        count = len(self.counting.bound)
        how = "Still counting. Enter uses the count so far; or wait for the end. Esc cancels."
        if self.counting.broken:
            how = "The count was interrupted. "
            how += "Enter uses the count so far; Esc cancels." if count else "Esc cancels."
        those = counted(count, self.noun) + self.which
        self._show(f"{self.act} {those}, so far?", how, disabled=count == 0)

    def _fix(self, *, every: bool) -> None:
        self.fixed, self._fixed_at = tuple(self.counting.bound), monotonic()
        count = len(self.fixed)
        if not count:
            self._show_none()
            return
        those = all_of(count, self.noun) if every else f"the first {counted(count, self.noun)}"
        title = f"{self.act} {those}{self.which}?"
        if not self.typed:
            self.count = count
            note = f"{NOTE.format(count=count)} {self.digits}".strip()
            self._show(title, note, disabled=False)
            if self._entered == str(count):
                self.confirm()
            return
        self.typed = str(count)
        self._show(title, TYPED.format(count), disabled=True)
        if self._entered == self.typed:
            self.confirm()

    def _show_none(self) -> None:
        """Asks nothing any more. It stays open: keys that were meant for it go nowhere else."""
        self._show(none_of(self.noun, self.which.strip()), "Nothing to act on.", disabled=True)
        for one in self.query("#yes, #typed, #reason, #why"):
            one.display = False
        self.query_one("#no", Button).focus()

    @property
    def labels(self) -> tuple[str, str]:
        """While the count grows, Enter is about it."""
        if self.fixed == ():
            return "", "Close (Esc, Enter)"
        yes, no = super().labels
        return ("Count so far (Enter)" if self.fixed is None else yes), no

    @property
    def first(self) -> str:
        """Unless the count must be typed, nothing: Enter is about the count."""
        return super().first if self.typed else "#nothing"

    def _type(self, digits: str) -> None:
        """While it counts, the number is kept without being shown: the note says something else."""
        if self.fixed is None:
            self.digits = digits
        else:
            super()._type(digits)

    def action_yes(self) -> None:
        """Confirms what y is enough for, once it is fixed."""
        if self.fixed:
            super().action_yes()

    def action_enter(self) -> None:
        """Fixes the count so far; afterwards it confirms if that number was typed."""
        if self.fixed is not None:
            super().action_enter()
        elif self.digits:
            # It was typed before the count was complete: keep it, as it may be right.
            self._entered = self.digits
        elif self.counting.bound:
            self._fix(every=False)

    def _show(self, title: str, note: str, *, disabled: bool) -> None:
        self.query_one(".title", Static).update(safe(title))
        self.query_one("#note", Static).update(note)
        self.query_one("#yes", Button).disabled = disabled
        self.name_buttons()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Enables the button when the text matches, or while there is a count to fix."""
        if event.input.id != "typed":
            return
        self._entered = ""
        if self.fixed is None:
            event.prevent_default()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter fixes the count so far; afterwards it confirms if the text matches."""
        self._update()
        if event.input.id != "typed":
            return
        if not self.fixed:
            event.prevent_default()
        if self.fixed is None and event.value.strip():
            # The user typed the count before it was complete: keep it, as it may be right.
            self._entered = event.value.strip()
        elif self.fixed is None and self.counting.bound:
            self._fix(every=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id != "yes":
            return
        if self.fixed is None:
            event.prevent_default()
            self._fix(every=False)
            for field in self.query("#typed"):
                field.focus()
        elif not self.typed and monotonic() - self._fixed_at < AWARE:
            # The button was about the count so far when it was pressed.
            event.prevent_default()
