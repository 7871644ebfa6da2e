"""Waking requests that wait for events, with one thread and one connection to Redis for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache

from hsejobs import forks
from hsejobs.errors import JobsError
from hsejobs.store.feed import Event
from hsejobs.store.read import JobReader
from hsejobs_http.problems import Problem
from hsejobs_http.tokens import Caller

#: Milliseconds for which the thread waits for an event, shared by the queues that are watched.
ROUND_MS = 200
#: The most seconds that a request may wait for a job.
LONGEST_WAIT = 60
#: Requests of one shim process, of one organization's members and admins, and of one user, that may wait.
MOST, PER_ORGANIZATION, PER_USER = 200, 100, 20


@cache
def stopping() -> asyncio.Event:
    """Set when this process stops: then requests that wait are answered at once."""
    return asyncio.Event()


class Watch:
    """A request that waits for events of a queue, or of one of its jobs."""

    def __init__(self, queue: str, job_id: str | None) -> None:
        self.queue, self.job_id = queue, job_id
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Wakes the request; called by the thread."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._woken.set)

    def clear(self) -> None:
        """Forgets what happened so far. Call it before reading the state."""
        self._woken.clear()

    async def wait(self, seconds: float) -> bool:
        """Waits for an event, or until the shim stops; returns whether there was one in this time."""
        waits = [asyncio.ensure_future(one.wait()) for one in (self._woken, stopping())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return self._woken.is_set()


class Watcher:
    """The requests that wait in this process. The thread lives only while there are any."""

    def __init__(self, reader: JobReader) -> None:
        self.reader = reader
        self._lock = forks.lock()
        self._watches: set[Watch] = set()
        self._running = False
        self._users: Counter[tuple[str | None, str]] = Counter()
        self._organizations: Counter[str | None] = Counter()

    @contextlib.contextmanager
    def watch(self, who: Caller, queue: str, job_id: str | None = None) -> Iterator[Watch]:
        """Watches for events until the end of the block. Raises Problem 503 if too many requests wait."""
        user, limited = (who.organization_id, who.user_id), who.role != "operator"
        room = self._users.total() < MOST and self._users[user] < PER_USER
        if not room or (limited and self._organizations[who.organization_id] >= PER_ORGANIZATION):
            detail = "too many requests wait for events; end one, or try again"
            raise Problem(503, "too_many_waiting", detail, headers={"Retry-After": "5"})
        self._users[user] += 1
        self._organizations[who.organization_id] += limited
        watch = Watch(queue, job_id)
        try:
            self._add(watch)
            yield watch
        finally:
            with self._lock:
                self._watches.discard(watch)
            self._users[user] -= 1
            self._organizations[who.organization_id] -= limited

    def _add(self, watch: Watch) -> None:
        with self._lock:
            self._watches.add(watch)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="events", daemon=True).start()

    def _run(self) -> None:
        places: dict[str, str] = {}
        while True:
            with self._lock:
                queues = sorted({one.queue for one in self._watches})
                if not queues:
                    self._running = False
                    break
            places = {queue: places[queue] for queue in queues if queue in places}
            for queue in queues:
                self._read(queue, places, max(10, ROUND_MS // len(queues)))
        self.reader.redis.close()

    def _read(self, queue: str, places: dict[str, str], block_ms: int) -> None:
        first = queue not in places
        try:
            places[queue], events = self.reader.events(
                queue, places.get(queue, "$"), block_ms=0 if first else block_ms
            )
        except JobsError:
            # Each request reads for itself from time to time, and tells its caller about an outage.
            time.sleep(ROUND_MS / 1000)
            return
        self._wake(queue, events, everybody=first)

    def _wake(self, queue: str, events: list[Event], *, everybody: bool) -> None:
        """Wakes who waits for these events; ``everybody``: what came before is unknown."""
        if not events and not everybody:
            return
        jobs = {job_id for event in events for job_id, _ in event.jobs}
        with self._lock:
            watches = [one for one in self._watches if one.queue == queue]
        for one in watches:
            if everybody or one.job_id is None or one.job_id in jobs:
                one.wake()
