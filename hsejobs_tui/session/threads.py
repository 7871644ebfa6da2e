"""Threads for reads and acts that the end of the program does not wait for.

The threads of the standard library's pool are joined at exit: a TUI that was quit while Redis hangs would
keep its process until each read has given up.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

from hsejobs import forks

T = TypeVar("T")
P = ParamSpec("P")


class Threads(Executor):
    """At most ``count`` daemon threads. A call that finds none idle starts one; each ends with ``at_end``."""

    def __init__(self, count: int, name: str, at_end: Callable[[], object]) -> None:
        self._count, self._name, self._at_end = count, name, at_end
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = forks.lock()
        self._pending = 0

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queues a call."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = call(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            self._pending += 1
            self._calls.put(run)
            if len(self._threads) < min(self._count, self._pending):
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def _work(self) -> None:
        while (run := self._calls.get()) is not None:
            run()
            # The next call may be far away, and what this one read may be large.
            del run
            with self._lock:
                self._pending -= 1
        self._at_end()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads after the calls that are queued."""
        for _ in self._threads:
            self._calls.put(None)
        if wait:
            self.join(float("inf"))

    def join(self, seconds: float) -> None:
        """Waits until the threads have ended, but not for longer than this."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(min(threading.TIMEOUT_MAX, max(0.0, end - time.monotonic())))
