"""What the app reads, over and over, and what it says: one look at all queues a refresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from textual.app import App
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.worker import Worker, WorkerState

from hsejobs.errors import JobsError, RedisRefused, RedisUnavailable
from hsejobs.store.client import Link
from hsejobs.store.read_live import Glance
from hsejobs_tui.core.acts import Acts, explain
from hsejobs_tui.core.depth import Depths
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import Source
from hsejobs_tui.core.text import safe
from hsejobs_tui.core.troubles import Trouble, troubles
from hsejobs_tui.screens.base import View

T = TypeVar("T")
#: Seconds between tries while Redis is away.
RETRY = 3.0


class Looking(App[None]):
    """An app that looks at Redis in threads of its own."""

    def __init__(self, options: Options, *, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class=driver_class)
        self.options = options
        self.link = Link(options.url)
        self.source = Source(options, self.link)
        self.acts = Acts(options, self.link)
        self.glance: Glance | None = None
        self.glanced = 0.0
        #: How deep each queue was at each look since the start.
        self.depths = Depths()
        self.away: str | None = None
        self._refused = False
        self._next_try = 0.0
        self._over = False
        self._looks = ThreadPoolExecutor(1, "look")
        self._works = ThreadPoolExecutor(2, "work")
        self._soon = asyncio.Event()
        self._looking = True
        #: Looks that were asked for, and how many of them were answered.
        self._asked = self._answered = 0
        self.now: Callable[[], float] = time.monotonic

    # -- looking

    async def look(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """A read, in the thread of reads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._looks, lambda: call(*args, **kwargs))

    async def do(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """An act or something long, in a thread of its own."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._works, lambda: call(*args, **kwargs))

    async def each(self, steps: Iterable[T], seen: Callable[[T], None]) -> None:
        """Goes through an iterator in a thread and shows each step here."""
        iterator, end = iter(steps), object()
        while (step := await self.do(next, iterator, end)) is not end:
            seen(step)

    def poll_soon(self) -> None:
        """Reads again now, once."""
        self._asked += 1
        self._soon.set()

    def _begin(self) -> None:
        self.run_worker(self._look_on(), name="look", exit_on_error=False)

    async def _look_on(self) -> None:
        while True:
            self._soon.clear()
            self._looking = True
            asked = self._asked
            await self._look_once()
            self._answered = asked
            self._looking = False
            pause = self.options.refresh if self.away is None else RETRY
            self._next_try = self.now() + pause
            deadline = self.now() + pause
            while (left := deadline - self.now()) > 0:
                try:
                    await asyncio.wait_for(self._soon.wait(), min(left, 1.0))
                    break
                except TimeoutError:
                    if self.away is not None:
                        self.tell()

    async def _look_once(self) -> None:
        try:
            self.glance = await self.look(self.source.glance)
            self.glanced = self.now()
            self.depths.note(self.glance)
            self.away = None
            screen = self.view
            if screen is not None and screen.is_mounted:
                await screen.poll()
        except RedisUnavailable as error:
            self.away, self._refused = str(error), isinstance(error, RedisRefused)
            self._next_try = self.now() + RETRY
        except JobsError as error:
            self.say(error)
        except NoMatches:
            # The screen was left while its rows were being read.
            pass
        self.tell()

    @property
    def redis_now(self) -> int:
        """Redis time in ms at the last look."""
        return self.glance.now if self.glance else 0

    @property
    def view(self) -> View | None:
        """The topmost screen that is no dialog."""
        found = [screen for screen in self.screen_stack if isinstance(screen, View)]
        return found[-1] if found else None

    @property
    def troubles(self) -> list[Trouble]:
        """What is wrong by the last look, the worst first."""
        return troubles(self.glance, self.options.limits) if self.glance else []

    def tell(self) -> None:
        """Draws head and status lines."""
        view = self.view
        if view is not None and view.is_mounted:
            with self.batch_update():
                view.told()

    def marks(self) -> list[str]:
        """What every head line says about the session."""
        words = []
        if self.options.read_only:
            words.append("READ-ONLY")
        if self.options.organization_id is not None:
            words.append(f"ORG {safe(self.options.organization_id, 30)}")
        return words

    def away_line(self) -> str:
        """How old the figures are, and when Redis is tried again."""
        left = max(0.0, self._next_try - self.now())
        again = f"next try in {left:.0f} s" if left >= 0.5 else "trying now"
        if not self.glanced:
            # One that refuses is there: why it does comes first.
            if self._refused and not self.options.viewer:
                return f"{safe(self.away, 300)}; {again}"
            return f"no Redis at {self.options.place}; {again}"
        stale = f"STALE {self.now() - self.glanced:.0f} s, {again}"
        # Where Redis is, is no business of a browser's.
        return stale if self.options.viewer else f"{stale}: {safe(self.away, 300)}"

    # -- saying

    def say(self, what: str | BaseException, *, bad: bool | None = None) -> None:
        """A passing message; errors in full words, never as markup."""
        text = self.explain(what) if isinstance(what, BaseException) else what
        wrong = isinstance(what, BaseException) if bad is None else bad
        self.notify(safe(text, 400), severity="error" if wrong else "information", markup=False)

    def explain(self, error: BaseException) -> str:
        """An error in full words; where Redis is, is no business of a browser's."""
        if self.options.viewer is not None and isinstance(error, RedisUnavailable):
            return f"Redis does not answer ({error.code})"
        return explain(error)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """The one place where an error of a worker ends up."""
        if self._over:
            return
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.say(event.worker.error)
            if event.worker.name == "look":
                self._begin()
