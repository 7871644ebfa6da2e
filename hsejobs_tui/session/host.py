"""What a session needs of the program that shows it."""

from __future__ import annotations

from typing import Protocol, TypeVar

from textual.screen import Screen

from hsejobs_tui.session.places import Place

T = TypeVar("T")


class Host(Protocol):
    """The program around a session: it has the screens, and is all that knows every one of them."""

    def open(self, place: Place, *, replace: bool = False) -> None:
        """Shows a place above the screen that is shown, or with ``replace`` instead of it."""

    async def ask(self, dialog: Screen[T]) -> T:
        """Opens a dialog and returns its answer."""

    def perform(self, command_id: str) -> None:
        """Runs a command of the table, if this session has it."""

    def show_message(self, text: str, *, bad: bool) -> None:
        """Shows a passing message, never as markup."""

    async def poll(self) -> None:
        """Lets the screen that is shown read what is its own."""

    def redraw(self) -> None:
        """Draws the head and status lines of the screen that is shown."""
