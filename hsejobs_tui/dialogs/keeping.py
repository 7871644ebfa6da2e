"""Dialogs with a text that took work: the key that leaves them does not throw it away at once."""

from __future__ import annotations

from typing import TypeVar

from textual.screen import ModalScreen

from hsejobs_tui.dialogs.discard import Discard

T = TypeVar("T")


class Keeping(ModalScreen[T | None]):
    """A dialog whose text is not lost to one key; returns None when it is left."""

    heading: str

    @property
    def unsaved(self) -> bool:
        """Whether leaving it would lose what was typed."""
        raise NotImplementedError

    def action_leave(self) -> None:
        """Leaves the dialog; asks first if something was typed."""
        if self.unsaved:
            self.app.push_screen(Discard(self.heading), self._answered)
        else:
            self.dismiss(None)

    def _answered(self, discard: bool | None) -> None:
        if discard:
            self.dismiss(None)
