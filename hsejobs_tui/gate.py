"""The gate of the keys: each goes in when all that the key before it set off has come about.

The focus changes later than the key that asks for it, and a command reads before it asks. Keys that
arrive meanwhile (a paste, a slow line, a fast hand) wait here, so that forty keys in one read do what the
same keys do one by one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

#: Rounds in a row in which nobody had anything to do any more: a key is handed up from the focused
#: widget to the app, a message a step.
QUIET = 3
#: Seconds for which keys wait for what a screen reads: it may take long, and the keys are meant for the
#: screen anyway.
READING = 1.0
#: Seconds of one command (Redis hangs) after which Ctrl+Q and Ctrl+C no longer stand in line.
PATIENCE = 2.0
#: Keys that get through then.
WAY_OUT = ("ctrl+q", "ctrl+c")
#: Keys that wait at most: more than a person types while a command hangs.
MOST = 100_000

Line = events.Key | events.Paste


class KeyGate:
    """One line for keys and pastes.

    ``at_work``: whether a command is at work; ``reading``: whether the screen has yet to show what
    it was opened for; ``deliver`` hands a key to the app.
    """

    def __init__(
        self,
        app: App[Any],
        at_work: Callable[[], bool],
        reading: Callable[[], bool],
        deliver: Callable[[Line], Awaitable[None]],
    ) -> None:
        self.app = app
        self._at_work, self._reading = at_work, reading
        self._deliver = deliver
        self._waiting: deque[Line] = deque()
        self._task: asyncio.Task[None] | None = None
        self._since = 0.0

    @property
    def idle(self) -> bool:
        """Whether no key waits, and all that the last one set off has come about."""
        return self._task is None or self._task.done()

    async def enter(self, event: Line) -> None:
        """A key or a paste; it is delivered in its turn."""
        loop = asyncio.get_running_loop()
        if self.idle and not (self._at_work() or self._reading() or self._pending()):
            self._since = loop.time()
            await self._deliver(event)
            self._task = loop.create_task(self._go())
            return
        hung = not self.idle and loop.time() - self._since > PATIENCE
        if hung and isinstance(event, events.Key) and event.key in WAY_OUT:
            self._waiting.clear()
            await self._deliver(event)
        elif len(self._waiting) < MOST:
            self._waiting.append(event)
        if self.idle:
            self._since = loop.time()
            self._task = loop.create_task(self._go())

    async def _go(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            # What the key before, or the mouse, set off.
            await self._settled()
            while self._waiting:
                self._since = loop.time()
                await self._deliver(self._waiting.popleft())
                await self._settled()
        except Exception as error:
            self.app._handle_exception(error)

    async def _settled(self) -> None:
        """Returns when no message is under way, no command is at work and the screen has been read."""
        loop = asyncio.get_running_loop()
        quiet, since = 0, loop.time()
        while quiet < QUIET and self.app.is_running:
            before = self._pending()
            await self._round()
            if before or self._pending():
                quiet = 0
            elif self._at_work() or (self._reading() and loop.time() - since < READING):
                quiet = 0
                await asyncio.sleep(0.005)
            else:
                quiet += 1

    def _pumps(self) -> list[MessagePump]:
        """Everybody whom a key can concern: the app, and what is on the topmost screen."""
        # An app that ends has no screens any more.
        if not self.app.is_running:
            return []
        return [self.app, *self.app.screen.walk_children(with_self=True)]

    def _pending(self) -> bool:
        """Whether anybody has a message yet to be handled."""
        return any(pump.message_queue_size for pump in self._pumps())

    async def _round(self) -> None:
        """Returns when everybody has handled what was there at the call."""
        passed = asyncio.Event()
        left = 1

        def one() -> None:
            nonlocal left
            left -= 1
            if not left:
                passed.set()

        for pump in self._pumps():
            if pump.is_running and pump.call_later(one):
                left += 1
        one()
        # One that is taken away meanwhile answers no more.
        try:
            await asyncio.wait_for(passed.wait(), 1.0)
        except TimeoutError:
            return
