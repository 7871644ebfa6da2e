"""What a session needs from the app that shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from textual.screen import Screen

from hsejobs_tui.session.places import Place

T = TypeVar("T")


class Host(Protocol):
    """The app around a session: the only part that knows all screens."""

    def open(self, place: Place, *, replace: bool = False) -> None:
        """Shows a place on top of the current screen, or with ``replace`` in its stead."""

    def placed(self, place: Place) -> None:
        """Notes that a screen which shows this place has been drawn."""

    async def ask(self, dialog: Screen[T]) -> T:
        """Opens a dialog and returns its answer."""

    def perform(self, command_id: str) -> None:
        """Runs a command of the table, if this session has it."""

    def show_message(self, text: str, *, bad: bool) -> None:
        """Shows a temporary message, never as markup."""

    async def poll(self) -> None:
        """Lets the current screen read its own data."""

    async def poll_slowly(self) -> None:
        """Lets the current screen read what may be some seconds old."""

    @property
    def shown(self) -> object:
        """The current screen, None before there is one: it changes when another one is shown."""

    def draw_last(self, draw: Callable[[], None]) -> None:
        """Draws the effects of a key, once for all keys that wait."""

    def redraw(self) -> None:
        """Draws the head and status lines of the current screen."""
