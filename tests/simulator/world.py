"""Simulated time and the actors that live in it: one greenlet per thread of the real program.

An actor runs until it sleeps or waits for Redis; the world then goes on to whatever comes next.
Which that is follows from the seed alone, so a seed replays exactly.
"""

from __future__ import annotations

import heapq
import os
import random
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

#: Simulated time begins here, in seconds since the epoch.
EPOCH = 1_800_000_000.0
#: What a wait returns when nothing woke the actor.
NOTHING = object()
#: The least time that passes between two turns of an actor, so that no loop stands still.
_TURN = 20e-6
#: Lines of the trace that a violation shows.
TAIL = int(os.environ.get("SIMULATOR_TAIL", "60"))


class Violation(AssertionError):
    """An invariant does not hold."""


class Dead(BaseException):
    """Raised in an actor of a killed process when the world is taken down."""


class Group:
    """A process of the simulated installation, or the machine that it runs on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive, self.stopping = True, False
        self.frozen_until = 0.0
        #: Requests go into a black hole until then.
        self.cut_until = 0.0
        #: When this group's own last trouble ended; the server's troubles excuse no group.
        self.hurt_at = -1e9
        #: Calls in the present second.
        self.second = self.calls = 0
        #: The error of its wall clock, in seconds.
        self.skew = 0.0
        self.actors: list[Actor] = []


class Actor:
    """A thread: a greenlet, and what it waits for."""

    def __init__(self, world: World, group: Group, name: str, body: Callable[[], Any]) -> None:
        self.world, self.group, self.name = world, group, name
        self.alive, self.ended = True, False
        self.ticket = 0
        self.hurt_at = -1e9
        self.greenlet: greenlet = greenlet(lambda *_: self._run(body), parent=world._hub)
        group.actors.append(self)

    def _run(self, body: Callable[[], Any]) -> None:
        try:
            body()
        except (Dead, GreenletExit):
            pass
        except Violation as error:
            self.world.violated(error)
        except BaseException as error:
            if not self.world.over:
                self.world.violated(
                    Violation(f"{self.name} ended with {type(error).__name__}: {error}"), error
                )
        finally:
            self.alive, self.ended = False, True


class World:
    """The scheduler. ``now``: seconds since the beginning."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.current: Actor | None = None
        self.over = False
        self.violation: BaseException | None = None
        self.trace: deque[str] = deque(maxlen=TAIL)
        self.digest = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._actors: list[Actor] = []
        self._hub = getcurrent()

    # -- what happened

    def note(self, text: str) -> None:
        """A line of the trace."""
        who = self.current.name if self.current else "-"
        line = f"{self.steps:6} {self.now:10.4f} {who:12} {text}"
        self.trace.append(line)
        self.digest = zlib.crc32(line.encode(), self.digest)

    def violated(self, error: BaseException, cause: BaseException | None = None) -> None:
        """Ends the run; the first violation counts."""
        if self.violation is None:
            error.__cause__ = cause
            self.violation = error

    def violation_of(self, text: str) -> Violation:
        """A violation to raise where the engine would take it for a task's error."""
        error = Violation(text)
        self.violated(error)
        return error

    # -- actors

    def spawn(self, group: Group, name: str, body: Callable[[], Any]) -> Actor:
        """A new actor, which begins in a moment."""
        actor = Actor(self, group, name, body)
        self._actors.append(actor)
        self._wake_at(self.now + self._jitter(), actor, actor.ticket, None)
        return actor

    def kill(self, actor: Actor) -> None:
        """Stops an actor permanently; requests that it has sent still arrive."""
        actor.alive = False

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Calls ``act`` at that time, outside of all actors."""
        self._count += 1
        heapq.heappush(self._events, (max(time, self.now), self._count, act))

    def sleep(self, seconds: float) -> None:
        """The current actor does nothing for ``seconds``."""
        self.wait(max(0.0, seconds))

    def wait(self, seconds: float) -> Any:
        """Waits until something wakes the current actor; NOTHING after ``seconds``."""
        actor = self._me()
        ticket = actor.ticket
        self._wake_at(self.now + seconds + self._jitter(), actor, ticket, NOTHING)
        return self._hub.switch()

    def waker(self) -> Callable[[Any], None]:
        """Wakes the current actor out of the wait that it is about to begin, with a value."""
        actor = self._me()
        ticket = actor.ticket
        return lambda value: self._wake(actor, ticket, value)

    def interrupt(self, actor: Actor, error: BaseException) -> None:
        """Raises ``error`` in an actor, wherever it waits."""
        self._wake_at(self.now, actor, actor.ticket, error)

    def _me(self) -> Actor:
        actor = self.current
        if actor is None:
            raise RuntimeError("no actor is running")
        if self.over:
            raise Dead
        return actor

    def _jitter(self) -> float:
        return _TURN + self.random.random() * _TURN

    def _wake_at(self, time: float, actor: Actor, ticket: int, value: Any) -> None:
        self.at(time, lambda: self._wake(actor, ticket, value))

    def _wake(self, actor: Actor, ticket: int, value: Any) -> None:
        if not actor.alive or ticket != actor.ticket:
            return
        if actor.group.frozen_until > self.now:
            self._wake_at(actor.group.frozen_until + self._jitter(), actor, ticket, value)
            return
        if self.current is not None:
            # Another actor's turn is not over.
            self._wake_at(self.now, actor, ticket, value)
            return
        actor.ticket += 1
        self.current = actor
        try:
            if isinstance(value, BaseException):
                actor.greenlet.throw(value)
            else:
                actor.greenlet.switch(value)
        finally:
            self.current = None

    # -- running

    def run(self, until: Callable[[], bool]) -> None:
        """Runs events until ``until()`` is true, none is left, or an invariant is violated."""
        while self._events and self.violation is None and not until():
            time, _, act = heapq.heappop(self._events)
            self.now = max(self.now, time)
            try:
                act()
            except Violation as error:
                self.violated(error)

    def end(self) -> None:
        """Ends all actors; nothing reaches Redis any more."""
        self.over = True
        for actor in self._actors:
            tries = 0
            while not actor.greenlet.dead and tries < 50:
                self.current, tries = actor, tries + 1
                if not actor.greenlet:
                    break  # it never began
                actor.greenlet.throw(Dead())
        self.current = None
