"""Adds jobs in batches: all that arrived in the meantime go to Redis in one round trip.

At 64 connections this is several times faster than single adds, and the event
loop never waits for Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from hsejobs.engine.adding import log_added
from hsejobs.engine.huey import loaded
from hsejobs.engine.runtime import runtime
from hsejobs.errors import BacklogFull, JobsError, RedisUnavailable
from hsejobs.store import adds, keys
from hsejobs.store.client import PROBE_AFTER, REPLY_TIMEOUT
from hsejobs.store.lane import Lane, LaneBroken
from hsejobs.store.scripts import Arg
from hsejobs.store.write import Added, NewJob
from hsejobs.watch import logs
from hsejobs_http.problems import unexpected

#: Jobs in one batch at most.
BATCH_LIMIT = 250
#: While more requests arrive, the first one waits for others this long at most, or until ``ENOUGH`` wait.
HOLD_SECONDS, ENOUGH = 0.002, 16
#: Batches on their way at once: Redis adds one while the loop reads the requests of the next.
FLIGHTS = 4
#: Jobs that may wait for Redis: twice as many as there are connections. Further ones are refused at once.
MOST_WAITING = 2_000
#: Seconds that the first reply on a connection may take that was idle.
IDLE_TIMEOUT = 0.25


#: A job to add: its queue, the loop of the request, and what to call there with the result.
_Item = tuple[str, NewJob, Any, Callable[[Any], None]]


class Adder:
    """Adds jobs: from the event loop, and in a thread while that is not possible.

    The loop has a connection of its own, as two threads that take turns cost more than the adds. The
    thread waits for Redis, tries again and finds another server; it adds whatever the loop could not.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Item] = deque()
        #: Those that the thread adds.
        self._left: deque[_Item] = deque()
        self._wake = threading.Event()
        self._waking = False
        self._stop = False
        self._flights: Flights | None = None
        #: Whether this Redis can be used from the loop.
        self._lanes = True
        self._thread = threading.Thread(target=self._run, name="adder", daemon=True)
        self._thread.start()

    async def add(self, queue: str, new: NewJob) -> Added:
        """Adds one job; it is in Redis on return. Raises RedisUnavailable, BacklogFull."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Added] = loop.create_future()
        self.submit(queue, new, loop, partial(_settle, future))
        return await future

    def submit(self, queue: str, new: NewJob, loop: Any, done: Callable[[Any], None]) -> None:
        """Adds one job; calls ``done`` on the loop with the result, or with the error."""
        if len(self._waiting) + len(self._left) >= MOST_WAITING:
            # Callers that leave make room for others; their jobs stay.
            loop.call_soon(done, RedisUnavailable("too many adds wait for Redis"))
            return
        self._waiting.append((queue, new, loop, done))
        if len(self._waiting) >= ENOUGH:
            # Redis adds these while the loop reads more.
            self._go(loop)
        elif not self._waking:
            self._waking = True
            loop.call_soon(self._wake_up, loop, loop.time() + HOLD_SECONDS, 0)

    def _wake_up(self, loop: Any, until: float, before: int) -> None:
        """Sends what waits once the loop has read all requests that were there, or many of them.

        A round trip costs about as much for one job as for twenty. A loop that has nothing else to do
        comes back here at once.
        """
        waiting = len(self._waiting)
        if before < waiting < ENOUGH and loop.time() < until:
            loop.call_soon(self._wake_up, loop, until, waiting)
            return
        self._waking = False
        self._go(loop)

    def _go(self, loop: Any) -> None:
        flights = self._flights
        if flights is None or flights.loop is not loop:
            self._leave(_taken(self._waiting, len(self._waiting)))
        elif flights.free and self._waiting:
            flights.send(_taken(self._waiting, BATCH_LIMIT))

    def _leave(self, items: list[_Item]) -> None:
        """Leaves jobs to the thread."""
        self._left += items
        self._wake.set()

    def _landed(self, left: list[_Item] | None) -> None:
        """Called when a batch has ended, or with all that is left to the thread."""
        if left is not None:
            self._flights = None
            # No one else would come for those that wait.
            self._leave([*left, *_taken(self._waiting, len(self._waiting))])
        elif self._flights is not None and not self._waking:
            self._go(self._flights.loop)

    def close(self) -> None:
        """Adds the jobs that still wait, then ends the thread."""
        if self._flights is not None:
            self._flights.abandon()
        self._leave(_taken(self._waiting, len(self._waiting)))
        self._stop = True
        self._wake.set()
        self._thread.join()

    # -- the thread

    def _run(self) -> None:
        while not self._stop or self._left:
            self._wake.wait()
            self._wake.clear()
            while batch := _taken(self._left, BATCH_LIMIT):
                self._add(batch)
        runtime().redis.close()

    def _add(self, batch: list[_Item]) -> None:
        away: Exception | None = None
        well = True
        for queue, items in _by_queue(batch).items():
            try:
                # The patience of one call is enough: it is over for those that wait behind it, too.
                if away is not None:
                    raise away
                added: list[Any] = _results(queue, [item[1] for item in items])
            except Exception as error:
                added, well = [error] * len(items), False
                # What it refuses, it refuses at once, and perhaps for one queue only; so may a Cluster.
                if type(error) is RedisUnavailable and not runtime().redis.cluster:
                    away = error
            _answer(items, added)
        if away is not None:
            waited = _taken(self._left, len(self._left))
            _answer(waited, [away] * len(waited))
        logs.flush()
        if well and self._lanes and self._flights is None and not self._stop:
            self._open(batch[-1][2])

    def _open(self, loop: Any) -> None:
        """Gives the loop a connection, now that Redis answers."""
        try:
            lane = runtime().redis.lane()
        except JobsError:
            return
        if lane is None:
            self._lanes = False
            return
        try:
            loop.call_soon_threadsafe(self._adopt, lane, loop)
        except RuntimeError:
            lane.close()

    def _adopt(self, lane: Lane, loop: Any) -> None:
        if self._stop or self._flights is not None:
            lane.close()
            return
        self._flights = Flights(lane, loop, self._landed)
        self._go(loop)


def _taken(items: deque[_Item], most: int) -> list[_Item]:
    """The first items, removed; ``most``: how many at most."""
    return [items.popleft() for _ in range(min(most, len(items)))]


def _by_queue(batch: list[_Item]) -> dict[str, list[_Item]]:
    found: dict[str, list[_Item]] = {}
    for item in batch:
        found.setdefault(item[0], []).append(item)
    return found


def _answer(items: list[_Item], added: list[Any]) -> None:
    """Calls what waits for the results, each on its loop."""
    for loop in {item[2] for item in items}:
        of_loop = [
            (item[3], one) for item, one in zip(items, added, strict=True) if item[2] is loop
        ]
        # A loop that has ended waits for nothing.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, of_loop)


@dataclass(slots=True, eq=False)
class _Flight:
    """A batch on its way: its jobs in the order of the results, the calls that add them, and its timer."""

    batch: list[_Item]
    calls: list[tuple[str, list[NewJob]]]
    timer: Any = None


class Flights:
    """Batches on their way to Redis on a lane; all of it runs on the loop.

    ``landed`` is called with None when a batch has ended, or once with those that could not be finished.
    """

    def __init__(self, lane: Lane, loop: Any, landed: Callable[[list[_Item] | None], None]) -> None:
        self.lane, self.loop, self._landed = lane, loop, landed
        self._open: deque[_Flight] = deque()
        self._replies: list[Any] = []
        self._used = loop.time()
        self._closed = False
        loop.add_reader(lane.fileno(), self._arrived)

    @property
    def free(self) -> bool:
        """Whether another batch may go."""
        return len(self._open) < FLIGHTS

    def send(self, batch: list[_Item]) -> None:
        """Sends a batch."""
        by_queue = _by_queue(batch)
        now = self.loop.time()
        # A connection that was idle may have been lost without a word.
        patience = REPLY_TIMEOUT if now - self._used < PROBE_AFTER else IDLE_TIMEOUT
        flight = _Flight([item for items in by_queue.values() for item in items], [])
        flight.timer = self.loop.call_at(now + patience, self._late, flight)
        self._open.append(flight)
        try:
            self.lane.send(_commands(by_queue, flight.calls))
            if self.lane.full:
                self.loop.add_writer(self.lane.fileno(), self._writable)
        except Exception as error:  # the thread adds them, and says what is wrong
            if not isinstance(error, LaneBroken):
                unexpected(error, "")
            self.abandon()

    def _writable(self) -> None:
        try:
            self.lane.send_more()
        except LaneBroken:
            self.abandon()
            return
        if not self.lane.full:
            self.loop.remove_writer(self.lane.fileno())

    def _late(self, flight: _Flight) -> None:
        # A loop that was busy may have the reply already.
        self._arrived()
        if flight in self._open:
            self.abandon()

    def _arrived(self) -> None:
        try:
            self._replies += self.lane.replies()
            while self._open and len(self._replies) >= len(self._open[0].calls):
                self._land(self._open[0])
        except Exception as error:  # the thread adds what is left, and says what is wrong
            if not isinstance(error, LaneBroken):
                unexpected(error, "")
            self.abandon()

    def _land(self, flight: _Flight) -> None:
        replies = self._replies[: len(flight.calls)]
        if any(isinstance(one, Exception) for one in replies):
            raise LaneBroken
        found = [
            (queue, jobs, adds.results(queue, jobs, reply))
            for (queue, jobs), reply in zip(flight.calls, replies, strict=True)
        ]
        del self._replies[: len(flight.calls)]
        self._open.popleft()
        flight.timer.cancel()
        self._used = self.loop.time()
        # Before the answers, which take the loop a while.
        self._landed(None)
        results = chain.from_iterable(added for _, _, added in found)
        _resolve([(item[3], one) for item, one in zip(flight.batch, results, strict=True)])
        for queue, jobs, added in found:
            own = loaded(queue)
            if own is not None and logs.wants_jobs():
                log_added(own, jobs, added)

    def abandon(self) -> None:
        """Leaves what is on its way to the thread, and closes the connection."""
        if self._closed:
            return
        self._closed = True
        left = list(self._open)
        self._open.clear()
        try:
            for one in left:
                one.timer.cancel()
            self.loop.remove_reader(self.lane.fileno())
            self.loop.remove_writer(self.lane.fileno())
            self.lane.close()
        finally:
            self._landed([item for one in left for item in one.batch])


def _commands(
    by_queue: dict[str, list[_Item]], calls: list[tuple[str, list[NewJob]]]
) -> list[list[Arg]]:
    """The commands that add the jobs, noted in ``calls``. Raises LaneBroken if the thread must do it."""
    commands = []
    for queue, items in by_queue.items():
        own = loaded(queue)
        if own is not None and not own.registered:
            raise LaneBroken
        base = keys.base(runtime().prefix, queue)
        for jobs, words in adds.commands(base, [item[1] for item in items]):
            calls.append((queue, jobs))
            commands.append(words)
    return commands


def _results(queue: str, news: list[NewJob]) -> list[Added | BacklogFull]:
    own = loaded(queue)
    if own is not None:
        return own.add_each(news)
    return runtime().writer.add_each(queue, news)


def _resolve(answers: list[tuple[Callable[[Any], None], Any]]) -> None:
    for done, one in answers:
        try:
            done(one)
        except Exception as error:  # the other callers get their answers nevertheless
            unexpected(error, "")


def _settle(future: asyncio.Future[Added], one: Any) -> None:
    # A caller that disconnected has canceled its future.
    if future.done():
        return
    if isinstance(one, Exception):
        future.set_exception(one)
    else:
        future.set_result(one)
