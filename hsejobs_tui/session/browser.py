"""What a session in a browser exchanges with the page around it: the address and the title."""

from __future__ import annotations

from typing import Protocol

from textual import events


class Visit(events.Event):
    """The browser went to an address: when it opened the page, or by its back and forward."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address


class Browser(Protocol):
    """The driver of an app whose terminal is in a page."""

    def show_address(self, address: str, title: str, *, replace: bool) -> None:
        """Shows an address and a title; ``replace``: as the same entry of the browser's history."""
