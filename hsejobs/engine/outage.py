"""Redis is away, or says no: one line when it lasts and one when it is over, whoever notices."""

from __future__ import annotations

import time

from hsejobs import forks
from hsejobs.watch import logs

#: Shorter outages, in seconds, are passed over in silence.
TOLD_AFTER = 0.3


class Outage:
    """What of a process Redis refuses at the moment, by the name of who asked.

    It is over when everybody who was refused was served: reading may go on while writing does not.
    """

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.silent = False
        self._since: float | None = None
        self._told = False
        self._refused: set[str] = set()
        self._lock = forks.lock()

    def begins(self, error: Exception, who: str) -> None:
        """A call of ``who`` was refused, or not answered."""
        now = time.monotonic()
        with self._lock:
            self._refused.add(who)
            if self._since is None:
                self._since = now
            if self._told or self.silent or now - self._since < TOLD_AFTER:
                return
            self._told = True
        logs.tell("redis away", 40, queue=self.queue, error=str(error))

    def ends(self, who: str) -> None:
        """A call of ``who`` was served, or there is no such caller any more."""
        if self._since is None:
            return
        with self._lock:
            self._refused.discard(who)
            if self._refused or self._since is None:
                return
            since, told = self._since, self._told
            self._since, self._told = None, False
        if told:
            logs.tell("redis back", queue=self.queue, seconds=round(time.monotonic() - since, 1))
