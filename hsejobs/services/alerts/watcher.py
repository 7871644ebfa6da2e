"""The thread that watches, in every shim and every supervisor of workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hsejobs.services.alerts.channels import channels
from hsejobs.settings import Settings
from hsejobs.store.client import RedisClient
from hsejobs.watch import logs
from hsejobs.watch.alerts import Watch

#: Seconds between two lines about what keeps failing.
TOLD_EVERY = 60.0


class Watcher:
    """Watches until ``stop``; ``each_second`` is called between the looks."""

    def __init__(
        self, link: RedisClient, settings: Settings, each_second: Callable[[], None] = lambda: None
    ) -> None:
        self._watch = Watch(link, settings, channels(settings))
        self._each_second = each_second
        self._end = threading.Event()
        self._told_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; a message that is being sent is left behind."""
        self._end.set()
        self._thread.join(3.0)

    def _tell(self, error: Exception) -> None:
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= TOLD_EVERY:
            self._told_at = now
            logs.tell("alerts failed", 40, error=repr(error))

    def _run(self) -> None:
        while not self._end.wait(1.0):
            for duty in (self._each_second, self._watch.tick):
                try:
                    duty()
                except Exception as error:  # whoever watches must not be the first to fall
                    self._tell(error)
        self._watch.link.close()
