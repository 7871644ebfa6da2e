"""The thread that evaluates alerts, in every HTTP shim and every worker supervisor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hsejobs.services.alerts.channels import channels
from hsejobs.settings import Settings
from hsejobs.store.client import RedisClient
from hsejobs.watch import logs
from hsejobs.watch.alerts import Watch

#: Seconds between two log lines about a repeated failure.
REPEAT_SECONDS = 60.0


class Watcher:
    """Evaluates alerts once a second until ``stop``; also calls ``each_second``."""

    def __init__(
        self,
        client: RedisClient,
        settings: Settings,
        each_second: Callable[[], None] = lambda: None,
    ) -> None:
        self._watch = Watch(client, settings, channels(settings))
        self._each_second = each_second
        self._end = threading.Event()
        self._logged_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; wait at most 3 s for a message that is being sent."""
        self._end.set()
        self._thread.join(3.0)

    def _log_error(self, error: Exception) -> None:
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at >= REPEAT_SECONDS:
            self._logged_at = now
            logs.emit("alerts failed", 40, error=repr(error))

    def _run(self) -> None:
        while not self._end.wait(1.0):
            for duty in (self._each_second, self._watch.tick):
                try:
                    duty()
                except Exception as error:  # a failure must not end the monitoring
                    self._log_error(error)
        self._watch.redis.close()
