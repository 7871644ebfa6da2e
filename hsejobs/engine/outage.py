"""Log Redis outages: one line when an outage lasts and one when it ends, for the whole process."""

from __future__ import annotations

import time

from hsejobs import forks
from hsejobs.watch import logs

#: Outages shorter than this, in seconds, are not logged.
LOG_AFTER = 0.3


class Outage:
    """The callers in this process that Redis currently refuses.

    The outage ends when every refused caller has succeeded: reads may work while writes do not.
    """

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.silent = False
        self._since: float | None = None
        self._logged = False
        self._refused: set[str] = set()
        self._lock = forks.lock()

    def begins(self, error: Exception, caller: str) -> None:
        """Records that a call by ``caller`` was refused or not answered."""
        now = time.monotonic()
        with self._lock:
            self._refused.add(caller)
            if self._since is None:
                self._since = now
            if self._logged or self.silent or now - self._since < LOG_AFTER:
                return
            self._logged = True
        logs.emit("redis away", 40, queue=self.queue, error=str(error))

    def ends(self, caller: str) -> None:
        """Records that a call by ``caller`` succeeded, or that the caller no longer exists."""
        if self._since is None:
            return
        with self._lock:
            self._refused.discard(caller)
            if self._refused or self._since is None:
                return
            since, logged = self._since, self._logged
            self._since, self._logged = None, False
        if logged:
            logs.emit("redis back", queue=self.queue, seconds=round(time.monotonic() - since, 1))
