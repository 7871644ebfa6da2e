"""Collects commands and sends many of them in one round trip."""

from __future__ import annotations

from hsejobs.store.client import RedisClient
from hsejobs.store.scripts import Arg

#: Commands in one round trip.
AT_ONCE = 2_000


class Pipe:
    """Sends commands in order; ``flush`` sends those that are left. Raises RedisUnavailable."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._commands: list[tuple[Arg, ...]] = []

    def add(self, *words: Arg) -> None:
        """Adds a command, which must be safe to send twice."""
        self._commands.append(words)
        if len(self._commands) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Sends what was added."""
        if self._commands:
            self._client.batch([(None, words) for words in self._commands])
            self._commands = []
