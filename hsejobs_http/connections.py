"""Limits the number of connections and their time, and closes one to make room for a new one.

A caller that begins a request and does not finish it, or does not read its answer, costs a
connection, and nothing else. When there is no room, the address with the most connections loses
one first, out of those that wait for their caller and not for us.
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

#: Files that the process needs besides its connections: Redis, dashboard views, artifacts.
SPARE_FILES = 256
#: The least number of connections, however few files the process may open.
FEWEST = 16


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """Time limits of a head, a body and an idle connection in s; ``rate``: body bytes per extra second."""

    head: float
    body: float
    rate: float
    idle: float


class Connection(Protocol):
    """A connection, as ``ConnectionLimiter`` sees it."""

    def rank(self) -> tuple[int, float] | None:
        """Returns how soon it is closed to make room, lowest first; None while it is being answered."""

    def close_now(self) -> None:
        """Closes the connection at once."""

    def enforce_deadline(self, now: float) -> None:
        """Closes the connection if its time is over; ``now`` is the event loop's time in s."""


class ConnectionLimiter:
    """All connections of one process; call it from the event loop only."""

    def __init__(self, settings: Settings) -> None:
        self.timeouts = ConnectionTimeouts(
            settings.http_head_timeout_ms / 1000,
            settings.http_body_timeout_ms / 1000,
            settings.http_body_rate,
            settings.http_idle_timeout_ms / 1000,
        )
        self.max_connections = connection_limit(settings)
        self.max_per_address = max(1, self.max_connections // 2)
        self.proxies = Proxies(settings.trusted_proxies)
        self._connections: dict[Connection, str | None] = {}
        self._of: Counter[str | None] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, connection: Connection, address: str | None) -> bool:
        """Admits a connection, closing another if necessary; returns False if there is no room."""
        shared = address is not None and self.proxies.trusts(address)
        admitted = True
        if not shared and self._of[address] >= self.max_per_address:
            admitted = self._make_room(address)
        elif len(self._connections) >= self.max_connections:
            admitted = self._make_room(max(self._of, key=self._of.__getitem__)) or self._make_room()
        self._connections[connection] = address
        self._of[address] += 1
        if self._timer is None:
            self._schedule_check()
        return admitted

    def release(self, connection: Connection) -> None:
        """Forgets a connection that has closed, or has become a websocket."""
        if connection in self._connections:
            address = self._connections.pop(connection)
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]

    def _make_room(self, *addresses: str | None) -> bool:
        found = None
        for connection, address in self._connections.items():
            if addresses and address not in addresses:
                continue
            rank = connection.rank()
            if rank is not None and (found is None or rank < found[0]):
                found = rank, connection
        if found is None:
            return False
        self.release(found[1])
        found[1].close_now()
        return True

    def _schedule_check(self) -> None:
        shortest = min(self.timeouts.head, self.timeouts.body, self.timeouts.idle)
        self._timer = asyncio.get_running_loop().call_later(min(1.0, shortest / 4), self._check_all)

    def _check_all(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            connection.enforce_deadline(now)
        if self._connections:
            self._schedule_check()


def connection_limit(settings: Settings) -> int:
    """Returns the most connections that the process can have: as set, or as its open-file limit allows."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        files = 1 << 30
    return max(FEWEST, min(settings.http_connections, max(files - SPARE_FILES, files // 2)))


def raise_file_limit(settings: Settings) -> None:
    """Raises the open-file limit to what the connections may need; children inherit it."""
    files, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.http_connections + SPARE_FILES
    limit = math.inf if hard == resource.RLIM_INFINITY else hard
    if files != resource.RLIM_INFINITY and files < min(wanted, limit):
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(min(wanted, limit)), hard))


@cache
def connection_limiter() -> ConnectionLimiter:
    """Returns this process's ``ConnectionLimiter``."""
    return ConnectionLimiter(runtime().settings)
