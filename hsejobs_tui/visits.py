"""Keeps a browser's address and the screen the same, in both directions."""

from __future__ import annotations

import time
from typing import Any

from textual.app import App

from hsejobs.errors import InvalidOption
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.browser import Browser
from hsejobs_tui.session.places import JobPlace, ListPlace, MatchPlace, Place, QueuePlace
from hsejobs_tui.session.session import Session


class Visits:
    """The address of one app's screen. ``waiting``: until the address that the page has is shown."""

    def __init__(self, app: App[Any], session: Session, *, waiting: bool) -> None:
        self._app, self._session = app, session
        self._waiting = waiting
        #: What the browser shows; None: nothing that the app has chosen.
        self._shown: tuple[str, str] | None = None
        self._place: Place | None = None

    def note(self, place: Place) -> None:
        """Shows a place's address in the browser; a new entry of its history for another place."""
        browser: Browser | None = getattr(self._app, "_driver", None)
        if self._waiting or browser is None or not hasattr(browser, "show_address"):
            return
        # Only in a browser.
        from hsejobs_tui.session.addresses import address_of

        session = self._session
        shown = (address_of(place, session.window), title_of(place, len(session.alerts)))
        if shown != self._shown:
            same = self._place is None or place == self._place
            browser.show_address(*shown, replace=same)
            self._shown, self._place = shown, place

    def read(self, address: str) -> Place | None:
        """Moves the window of time to an address, and returns its place; None, with the reason, if
        this session cannot show it.
        """
        from hsejobs_tui.session.addresses import read_address

        session = self._session
        self._waiting = False
        # The browser has this address already: what is shown next becomes the same entry.
        self._shown = self._place = None
        now = session.redis_now or int(time.time() * 1000)
        try:
            place, window = read_address(address, now)
        except InvalidOption as error:
            session.show_message(error)
            return None
        if not isinstance(self._app.screen, View):
            session.show_message("close this first: Esc", bad=True)
            return None
        if isinstance(place, ListPlace) and not session.has(place.name):
            session.show_message(f"this session has no screen {place.name!r}", bad=True)
            return None
        seen = session.snapshot
        if isinstance(place, QueuePlace) and seen is not None and place.queue not in seen.infos:
            session.show_message(f"there is no queue {place.queue!r}", bad=True)
            return None
        session.show_window(window)
        return place

    def known(self, place: Place) -> int | None:
        """The position of the topmost screen that shows a place; None if none does."""
        stack = list(enumerate(self._app.screen_stack))
        found = (at for at, one in reversed(stack) if isinstance(one, View) and one.place == place)
        return next(found, None)


def title_of(place: Place, alerts: int) -> str:
    """The title of the page, with the number of active alerts first: ``(3) billing failed``."""
    match place:
        case ListPlace():
            name = "Jobs" if place.name == "overview" else f"{place.name.capitalize()} - Jobs"
        case QueuePlace():
            name = f"{place.queue} {place.state} - Jobs"
        case MatchPlace():
            name = f"{place.query[:60]} - Jobs"
        case JobPlace():
            name = f"{place.job_id} - {place.queue} - Jobs"
    return f"({alerts}) {name}" if alerts else name
