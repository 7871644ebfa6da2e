"""The thread that watches, in every shim and every supervisor of workers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hsejobs.services.alerts.channels import channels
from hsejobs.settings import Settings
from hsejobs.store.client import Link
from hsejobs.watch.alerts import Watch


class Watcher:
    """Watches until ``stop``; ``each_second`` is called between the looks."""

    def __init__(
        self, link: Link, settings: Settings, each_second: Callable[[], None] = lambda: None
    ) -> None:
        self._watch = Watch(link, settings, channels(settings))
        self._each_second = each_second
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; a message that is being sent is left behind."""
        self._end.set()
        self._thread.join(3.0)

    def _run(self) -> None:
        while not self._end.wait(1.0):
            self._each_second()
            self._watch.tick()
        self._watch.link.close()
