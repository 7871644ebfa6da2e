"""The key gate: delivers each key when all effects of the key before it are complete.

Focus changes after the key that causes it, and a command reads data before it opens a dialog. Keys
that arrive meanwhile (a paste, a slow connection, fast typing) wait here, so that forty keys in one
read do the same as forty keys typed one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.screen import ModalScreen

from hsejobs_tui.session.browser import Visit

#: Consecutive rounds without messages that count as settled: a key bubbles from the focused widget
#: to the app, one message per step.
QUIET = 3
#: Seconds for which keys wait for a screen that is still reading: a key that comes too early finds nothing
#: to act on, and the next one may find it. Longer reads are those of a Redis that hangs.
READING = 3.0
#: Seconds without progress after which a command counts as hung (Redis hangs): Ctrl+Q and Ctrl+C, those that
#: wait and those that come, then skip the queue.
HUNG_AFTER = 0.7
#: Seconds between two drawings of what the keys change, while keys wait: a person sees ten a second as a
#: movement, and a drawing takes longer than all else that a key does.
DRAWS = 0.1
#: Seconds after which keys that wait for a dialog of a command are dropped: who typed them saw no dialog.
STALE = 3.0
#: Keys that skip the queue while a command hangs.
ESCAPE_KEYS = ("ctrl+q", "ctrl+c")
#: Maximum number of waiting keys: more than a person types while a command hangs.
MAX_WAITING = 100_000

Line = events.Key | events.Paste | Visit


class KeyGate:
    """Queues keys, pastes and the moves of a browser.

    ``busy``: whether a command is running; ``reading``: whether the screen is still loading its
    content; ``deliver`` passes a key to the app.
    """

    def __init__(
        self,
        app: App[Any],
        busy: Callable[[], bool],
        reading: Callable[[], bool],
        deliver: Callable[[Line], Awaitable[None]],
    ) -> None:
        self.app = app
        self._busy, self._reading = busy, reading
        self._deliver = deliver
        self._waiting: deque[Line] = deque()
        self._task: asyncio.Task[None] | None = None
        #: When the last key was delivered, or began to wait.
        self._since = 0.0
        self._escape: asyncio.Task[None] | None = None
        #: What draws the effects of the keys, once no key waits.
        self._draw: Callable[[], None] | None = None
        #: The screen that was drawn since it was opened, by its id.
        self._drawn = 0

    @property
    def idle(self) -> bool:
        """Whether no key is waiting and all effects of the last one are complete."""
        return self._task is None or self._task.done()

    def draw_last(self, draw: Callable[[], None]) -> None:
        """Draws the effects of a key: after the keys that wait, at least every ``DRAWS`` seconds."""
        if self.idle:
            draw()
        else:
            self._draw = draw

    async def enter(self, event: Line) -> None:
        """Accepts one of them and delivers it in order."""
        loop = asyncio.get_running_loop()
        if self.idle and not (self._busy() or self._reading() or self._others()):
            self._since = loop.time()
            await self._deliver(event)
            self._task = loop.create_task(self._go())
            return
        escapes = isinstance(event, events.Key) and event.key in ESCAPE_KEYS
        if escapes and not self.idle and self._hung(loop.time()):
            await self._skip_to(event)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(event)
            if escapes:
                # A reference keeps the task until it ends.
                self._escape = loop.create_task(self._free(event))
        if self.idle:
            self._since = loop.time()
            self._task = loop.create_task(self._go())

    def _hung(self, now: float) -> bool:
        return now - self._since > HUNG_AFTER

    async def _free(self, event: Line) -> None:
        """Delivers a key that waits behind what hangs."""
        loop = asyncio.get_running_loop()
        while event in self._waiting:
            if self._hung(loop.time()):
                await self._skip_to(event)
            await asyncio.sleep(0.05)

    async def _skip_to(self, event: Line) -> None:
        self._waiting.clear()
        await self._deliver(event)

    async def _go(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            # Wait for the effects of the previous key or of the mouse.
            await self._settled_or_stale()
            drawn = loop.time()
            while self.app.is_running and (self._waiting or self._draw is not None):
                if self._draw is not None and (not self._waiting or loop.time() - drawn > DRAWS):
                    draw, self._draw, drawn = self._draw, None, loop.time()
                    draw()
                else:
                    self._since = loop.time()
                    await self._deliver(self._waiting.popleft())
                await self._settled_or_stale()
        except Exception as error:
            self.app._handle_exception(error)

    async def _settled(self) -> None:
        """Returns when no message is pending, no command is running and the screen has read its data."""
        loop = asyncio.get_running_loop()
        quiet, since = 0, loop.time()
        while quiet < QUIET and self.app.is_running:
            if await self._round():
                quiet = 0
            elif self._busy() or (self._unready() and loop.time() - since < READING):
                quiet = 0
                await asyncio.sleep(0.005)
            else:
                quiet += 1

    async def _settled_or_stale(self) -> None:
        """Waits for the effects of a key, and drops those that would go to a dialog which came late."""
        shown = self.app.screen if self.app.is_running else None
        await self._settled()
        late = asyncio.get_running_loop().time() - self._since > STALE
        if not (late and self._waiting and self.app.is_running):
            return
        screen = self.app.screen
        if isinstance(screen, ModalScreen) and screen is not shown:
            self._waiting.clear()
            text = "What was typed before this opened is dropped: Redis was slow to answer."
            self.app.notify(text, severity="warning", markup=False)

    def _unready(self) -> bool:
        """Whether the topmost screen reads, or will be divided again: a page has as many rows as fit then.

        A screen that was opened is drawn once. Later drawings are not waited for: one takes longer than all
        else that a key does.
        """
        if not self.app.is_running:
            return False
        screen = self.app.screen
        if self._reading() or screen._layout_required or screen._callbacks:
            return True
        if self._drawn != id(screen) and not screen._dirty_widgets:
            self._drawn = id(screen)
        return self._drawn != id(screen)

    def _at_work(self) -> list[MessagePump]:
        """The message pumps that a key can reach and that have not handled all their messages: of the app,
        and of the widgets of the topmost screen.
        """
        # An app that is shutting down has no screens.
        if not self.app.is_running:
            return []
        pumps = self.app, *self.app.screen.walk_children(with_self=True)
        return [pump for pump in pumps if not _rests(pump)]

    def _others(self) -> bool:
        """Whether there is more to handle than the message of the app that delivers a key now."""
        at_work = [pump for pump in self._at_work() if pump is not self.app]
        return bool(at_work or self.app.message_queue_size)

    async def _round(self) -> bool:
        """Returns when every pump has handled the messages that it had at the call: whether one had any."""
        passed = asyncio.Event()
        pumps = self._at_work()
        left = 1

        def one() -> None:
            nonlocal left
            left -= 1
            if not left:
                passed.set()

        for pump in pumps:
            if pump.is_running and pump.call_later(one):
                left += 1
        one()
        # What the pumps' tasks have begun goes on meanwhile.
        await asyncio.sleep(0)
        # A widget that is removed meanwhile never answers.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(passed.wait(), 1.0)
        return bool(pumps or self._at_work())


def _rests(pump: MessagePump) -> bool:
    """Whether a pump has no message, and handles none. To ask each pump by a message takes longer than all
    that the key does: a pump draws, and looks for what to draw, after every message.
    """
    if pump.message_queue_size or not pump.is_running:
        return not pump.message_queue_size
    return bool(pump._message_queue.ready_event._waiters)
