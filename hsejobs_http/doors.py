"""How many connections there may be, how long each may take, and which gives way to a new one.

A caller that begins a request and does not end it, or that does not take its answer, costs a
connection, and nothing else: when there is no room the connections of whoever has the most, that
wait for their caller and not for us, go first.
"""

from __future__ import annotations

import asyncio
import math
import resource
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from hsejobs.engine.runtime import runtime
from hsejobs.settings import Settings
from hsejobs_http.proxies import Proxies

#: Files that the process needs beside its connections: Redis, views of the dashboard, artifacts.
SPARE_FILES = 256
#: Fewest connections, however few files the process may open.
FEWEST = 16


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for a head, a body and an idle connection; bytes of a body that buy another second."""

    head: float
    body: float
    rate: float
    idle: float


class Guest(Protocol):
    """A connection as the doors see it."""

    def rank(self) -> tuple[int, float] | None:
        """How soon it gives way, the lowest first; None while it is being answered."""

    def give_way(self) -> None:
        """Ends it at once."""

    def mind(self, now: float) -> None:
        """Ends it if its time is over; ``now`` by the loop's clock."""


class Doors:
    """The connections of one process; all calls come from its event loop."""

    def __init__(self, settings: Settings) -> None:
        self.patience = Patience(
            settings.http_head_timeout_ms / 1000,
            settings.http_body_timeout_ms / 1000,
            settings.http_body_rate,
            settings.http_idle_timeout_ms / 1000,
        )
        self.most = room(settings)
        self.each = max(1, self.most // 2)
        self.proxies = Proxies(settings.trusted_proxies)
        self._guests: dict[Guest, str | None] = {}
        self._of: Counter[str | None] = Counter()
        self._round: asyncio.TimerHandle | None = None

    def enter(self, guest: Guest, address: str | None) -> bool:
        """Takes a connection in, if need be in place of another; False: there is no room."""
        shared = address is not None and self.proxies.trusts(address)
        room = True
        if not shared and self._of[address] >= self.each:
            room = self._make_room(address)
        elif len(self._guests) >= self.most:
            room = self._make_room(max(self._of, key=self._of.__getitem__)) or self._make_room()
        self._guests[guest] = address
        self._of[address] += 1
        if self._round is None:
            self._next_round()
        return room

    def leave(self, guest: Guest) -> None:
        """The connection is gone, or is no HTTP any more."""
        if guest in self._guests:
            address = self._guests.pop(guest)
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]

    def _make_room(self, *addresses: str | None) -> bool:
        found = None
        for guest, address in self._guests.items():
            if addresses and address not in addresses:
                continue
            rank = guest.rank()
            if rank is not None and (found is None or rank < found[0]):
                found = rank, guest
        if found is None:
            return False
        self.leave(found[1])
        found[1].give_way()
        return True

    def _next_round(self) -> None:
        shortest = min(self.patience.head, self.patience.body, self.patience.idle)
        self._round = asyncio.get_running_loop().call_later(min(1.0, shortest / 4), self._mind)

    def _mind(self) -> None:
        self._round = None
        now = asyncio.get_running_loop().time()
        for guest in list(self._guests):
            guest.mind(now)
        if self._guests:
            self._next_round()


def room(settings: Settings) -> int:
    """Connections that the process can have: as set, or as its limit of open files allows."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        files = 1 << 30
    return max(FEWEST, min(settings.http_connections, max(files - SPARE_FILES, files // 2)))


def widen(settings: Settings) -> None:
    """Asks for as many files as the connections may need; children inherit it."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.http_connections + SPARE_FILES
    limit = math.inf if most == resource.RLIM_INFINITY else most
    if files != resource.RLIM_INFINITY and files < min(wanted, limit):
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(min(wanted, limit)), most))


@cache
def doors() -> Doors:
    """This process's."""
    return Doors(runtime().settings)
