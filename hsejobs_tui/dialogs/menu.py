"""The menu: finds commands, queues, tenants, jobs and errors by name; acts come before moves.

Imported when it is opened first. Names are data: they are never read as markup.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.command import CommandPalette, Hit, Hits, Provider, SearchIcon
from textual.content import Content

from hsejobs.control import filters
from hsejobs.errors import InvalidOption, JobsError
from hsejobs_tui.core import menu
from hsejobs_tui.core.commands import keys_shown
from hsejobs_tui.core.text import safe
from hsejobs_tui.session.addresses import ROOT, address_of, read_typed
from hsejobs_tui.session.places import JobPlace, ListPlace, MatchPlace, Place, QueuePlace
from hsejobs_tui.session.session import Session, session_of

#: Added to the score of a match, so that all matches of one kind come before the next kind.
ACTS, OPENS, QUEUES, TENANTS, ERRORS, MOVES = 50.0, 40.0, 30.0, 20.0, 10.0, 0.0
_COMMANDS = {2: ACTS, 1: OPENS, 0: MOVES}
_WHOLE = 100.0
#: The score of what comes after all others.
LAST = 0.001
#: Seconds for which a search waits for what the menu reads when it opens.
LONGEST = 0.3
T = TypeVar("T")


class Found(Provider):
    """A part of the menu."""

    @property
    def session(self) -> Session:
        return session_of(self)

    def hit(
        self, query: str, name: str, help_text: str, tier: float, run: Callable[[], None]
    ) -> Hit | None:
        """The entry, if its name matches what was typed; a match of whole words counts more."""
        shown = safe(name, 200)
        matcher = self.matcher(query)
        score = matcher.match(shown)
        if score <= 0:
            return None
        text = Text(shown)
        _, offsets = matcher.fuzzy_search.match(query, shown)
        for at in offsets:
            text.stylize("bold underline", at, at + 1)
        words = query.casefold() in shown.casefold()
        # A name that only has the letters somewhere comes after all that have the word.
        return Hit(score + tier + _WHOLE * words, text, run, shown, Content(help_text).markup)

    def opens(self, place: Place) -> Callable[[], None]:
        """Opens a place when the entry is chosen."""
        return lambda: self.session.open(place)


class Commands(Found):
    """The commands of the screen below, with their keys."""

    async def search(self, query: str) -> Hits:
        """Commands whose title matches."""
        for hit in self._every(query):
            yield hit

    async def discover(self) -> Hits:
        """All commands of the screen: acts first, moves last."""
        for number, hit in enumerate(self._every("")):
            hit.score -= number / 1_000
            yield hit

    def _every(self, query: str) -> list[Hit]:
        view = getattr(self.app, "view", None)
        scope = view.SCOPE if view is not None else "app"
        found = []
        for one in sorted(self.session.commands(scope), key=lambda one: -menu.rank(one)):
            tier = _COMMANDS[menu.rank(one)]
            help_text = f"{keys_shown(one)}: {one.help}"

            def run(command_id: str = one.id) -> None:
                self.session.perform(command_id)

            hit = (
                self.hit(query, one.title, help_text, tier, run)
                if query
                else Hit(tier, Text(one.title), run, one.title, Content(help_text).markup)
            )
            if hit is not None:
                found.append(hit)
        return found


class Queues(Found):
    """The queues: open one, or pause or resume it."""

    async def search(self, query: str) -> Hits:
        """Queues whose name matches."""
        session = self.session
        for name in list(session.source.infos):
            stats = session.stats(name)
            counts = ""
            if stats is not None:
                counts = (
                    f"{stats.waiting:,} waiting, {stats.active:,} running, {stats.failed:,} failed"
                )
            place = QueuePlace(name, menu.first_state(stats))
            if hit := self.hit(query, f"Queue {name}", counts, QUEUES, self.opens(place)):
                yield hit


class Jobs(Found):
    """A job by its id."""

    async def search(self, query: str) -> Hits:
        """The jobs with exactly this id."""
        session = self.session
        if session.outage is not None:
            return
        try:
            found = await session.read(menu.jobs, session.source, query)
        except JobsError:
            return
        for job in found:
            what = f"{job.status} in {job.queue}, {job.name.rpartition('.')[2]}"
            place = JobPlace(job.queue, job.id)
            name = safe(f"Job {job.id}", 220)
            run = self.opens(place)
            yield Hit(3 * _WHOLE, Text(name), run, name, Content(safe(what, 200)).markup)


class Addresses(Found):
    """A place by its address, as the browser has it or as ``queue:state:id``."""

    async def search(self, query: str) -> Hits:
        """The place at this address."""
        session = self.session
        found = read_typed(query, session.source.infos, session.redis_now)
        if found is None:
            return
        place, window = found
        name = safe(f"Go to {address_of(place)[len(ROOT) :] or '/'}", 200)
        if isinstance(place, ListPlace) and not session.has(place.name):
            return

        def run() -> None:
            if window is not None:
                session.show_window(window)
            if isinstance(place, ListPlace):
                session.perform(place.name)
            else:
                session.open(place)

        about = "an address" if window is None else f"an address, {window.name}"
        yield Hit(4 * _WHOLE, Text(name), run, name, Content(about).markup)


class Everywhere(Found):
    """The text as a search in all queues: the last entry, whatever else it finds."""

    async def search(self, query: str) -> Hits:
        """The search, if the text is a filter."""
        text = query.strip()
        if len(text) < menu.SHORTEST_ID:
            return
        try:
            filters.parse(text)
        except InvalidOption:
            return
        name = safe(f"Search all queues for {text}", 200)
        run = self.opens(MatchPlace(text))
        yield Hit(LAST, Text(name), run, name, Content("the jobs of every state").markup)


class Read(Found, Generic[T]):
    """A part of the menu that is read from Redis when it opens: beside it, as Redis may not answer."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._reading: asyncio.Task[list[T]] | None = None

    async def read(self) -> list[T]:
        """Reads what can be found. Raises RedisUnavailable."""
        raise NotImplementedError

    async def startup(self) -> None:
        """Begins to read."""
        self._reading = asyncio.create_task(self.read())

    async def found(self) -> list[T]:
        """What was read; nothing while Redis takes long."""
        if self._reading is not None and self.session.outage is None:
            with contextlib.suppress(JobsError, TimeoutError):
                return await asyncio.wait_for(asyncio.shield(self._reading), LONGEST)
        return []

    async def shutdown(self) -> None:
        """Ends a read whose result is not needed any more."""
        if self._reading is not None and self._reading.cancel():
            with contextlib.suppress(JobsError, asyncio.CancelledError):
                await self._reading


class Tenants(Read[menu.Tenant]):
    """The busiest organizations: the jobs of one, in the queue where it has most."""

    async def read(self) -> list[menu.Tenant]:
        """Reads the organizations."""
        return await self.session.do(menu.tenants, self.session.source)

    async def search(self, query: str) -> Hits:
        """Organizations whose id matches."""
        for one in await self.found():
            what = f"{one.jobs:,} jobs in {one.queue}"
            place = QueuePlace(one.queue, one.state, f'org="{one.name}"')
            run = self.opens(place)
            if hit := self.hit(query, f"Organization {one.name}", what, TENANTS, run):
                yield hit


class Errors(Read[menu.ErrorGroup]):
    """The errors of the window: the group on the failures screen."""

    async def read(self) -> list[menu.ErrorGroup]:
        """Reads the groups."""
        session = self.session
        return await session.do(menu.errors, session.source, session.bounds)

    async def search(self, query: str) -> Hits:
        """Groups whose kind, text or queue matches."""
        for one in await self.found():
            name = one.text if one.text.startswith(one.kind) else f"{one.kind}: {one.text}"
            what = f"{one.count:,} errors in {one.queue}, {self.session.window.name}"
            run = self.opens(ListPlace("failures", one.key))
            if hit := self.hit(query, f"Error {name}", what, ERRORS, run):
                yield hit


class Menu(CommandPalette):
    """The menu over the current screen."""

    PROVIDERS: ClassVar = (Commands, Addresses, Queues, Jobs, Tenants, Errors, Everywhere)

    def __init__(self) -> None:
        super().__init__(
            self.PROVIDERS,
            placeholder="A command, queue, organization, error, job's id, link, or any text",
            id="--command-palette",
        )

    def compose(self) -> ComposeResult:
        """Textual's palette, with a sign that every terminal has."""
        for widget in super().compose():
            if isinstance(widget, SearchIcon):
                widget.icon = ">"
            yield widget
