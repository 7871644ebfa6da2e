"""The session behind all screens: options, the latest snapshot of Redis, reads and acts.

A session draws nothing and knows no screen. It polls all queues in its own threads, and leaves
what only the app can do to its ``Host``.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from textual.screen import Screen

from hsejobs import forks
from hsejobs.errors import JobsError, RedisRefused, RedisUnavailable
from hsejobs.store import scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.crowds import Crowd
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Snapshot
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.core.alerts import Alert, active_alerts, by_level, circuit_alerts
from hsejobs_tui.core.command import Command, Rights
from hsejobs_tui.core.commands import by_id, for_scope
from hsejobs_tui.core.depth import Depths
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.text import safe
from hsejobs_tui.core.time_window import TimeWindow
from hsejobs_tui.core.unread import UNREACHED, unread
from hsejobs_tui.session import allocator
from hsejobs_tui.session.host import Host
from hsejobs_tui.session.places import Place
from hsejobs_tui.session.threads import Threads

if TYPE_CHECKING:
    from hsejobs.control.acts import Acts
    from hsejobs.store.circuits import Circuit

T = TypeVar("T")
#: Seconds between retries while Redis is unavailable.
RETRY = 3.0
#: Seconds that a step of an act has at the end to write its entry in the audit log. Redis may hang.
ACT_END = 0.5
#: Least and most seconds between two slow reads, and the largest share of the time that they take if the most
#: allows it: after one slow reply, what is held must not be old for minutes.
SLOW_EVERY, SLOW_MOST, SLOW_SHARE = 5.0, 20.0, 0.005


class Session:
    """One user's session with one Redis."""

    def __init__(self, options: Options, host: Host) -> None:
        self._host = host
        self.options = options
        self.redis = RedisClient(options.url, prefix=options.prefix)
        self.source = LiveSource(options, self.redis)
        self._acts: Acts | None = None
        self._acts_lock = forks.lock()
        self.snapshot: Snapshot | None = None
        self.snapshot_at = 0.0
        self._alerts_of: tuple[Snapshot, list[Circuit], dict[str, Crowd]] | None = None
        self._alerts: list[Alert] = []
        #: The depth of each queue at each poll since the start.
        self.depths = Depths()
        #: The window of time that all screens show.
        self.window = TimeWindow()
        #: The moment or the span in ms that the user asked to see, until a screen has shown it.
        self.moment: tuple[int, int] | None = None
        #: The circuits, as of the last slow read.
        self.circuits: list[Circuit] = []
        #: Whose jobs wait in each queue, and who is held there, as of the last slow read.
        self.crowds: dict[str, Crowd] = {}
        #: Why Redis cannot be read; None while it can be.
        self.outage: str | None = None
        self.closed = False
        self.now: Callable[[], float] = time.monotonic
        self._refused = False
        self._next_try = 0.0
        self._give_back_at = self.now() + allocator.EVERY
        # The client is replaced in tests.
        self._read_pool = Threads(1, "read", lambda: self.redis.close())
        self._act_pool = Threads(2, "act", lambda: self.redis.close())
        self._soon = asyncio.Event()
        self._polling = True
        self._slow: asyncio.Task[None] | None = None
        self._slow_due = 0.0
        self._slow_error = ""
        self._slow_for: object = None
        #: Number of requested polls, and how many of them are complete.
        self._requested = self._completed = 0

    def close(self) -> None:
        """Closes the connections and releases the threads."""
        self.closed = True
        if self._slow is not None:
            self._slow.cancel()
        for pool in (self._read_pool, self._act_pool):
            pool.shutdown(wait=False)

    def finish(self) -> None:
        """After `close`: waits until the step of an act that runs now is complete, for ACT_END at most."""
        self._act_pool.join(ACT_END)

    # -- reading and acting

    async def read(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs a read in the read thread and returns its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._read_pool, lambda: call(*args, **kwargs))

    async def do(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs an act, or another long call, in an act thread and returns its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._act_pool, lambda: call(*args, **kwargs))

    async def each(self, steps: Iterable[T], seen: Callable[[T], None]) -> None:
        """Runs an iterator in an act thread; calls ``seen`` with each item in the event loop."""
        iterator, end = iter(steps), object()
        while (step := await self.do(next, iterator, end)) is not end:
            seen(step)

    @property
    def acts(self) -> Acts:
        """The session's acts, made by the first thread that asks: the first frame needs none of them."""
        with self._acts_lock:
            if self._acts is None:
                self._acts = acts_of(self.options, self.redis)
            return self._acts

    @acts.setter
    def acts(self, acts: Acts) -> None:
        self._acts = acts

    def undoable(self) -> tuple[int, float]:
        """As `Acts.undoable`: nothing before the first act."""
        return (0, 0.0) if self._acts is None else self._acts.undoable()

    # -- polling

    def poll_soon(self) -> None:
        """Requests a poll now."""
        self._requested += 1
        self._soon.set()

    @property
    def settled(self) -> bool:
        """Whether no poll or slow read is running or requested."""
        return not self._polling and not self._soon.is_set() and self._slow is None

    @property
    def behind(self) -> bool:
        """Whether a requested poll is not complete yet."""
        return self._completed < self._requested

    async def watch(self) -> None:
        """Polls all queues once per refresh interval, until it is cancelled."""
        while True:
            self._soon.clear()
            self._polling = True
            requested = self._requested
            await self._poll_once()
            gc.enable()
            if self.now() >= self._give_back_at:
                self._give_back_at = self.now() + allocator.EVERY
                await self.read(allocator.give_back)
            self._completed = requested
            self._read_slowly()
            self._polling = False
            pause = self.options.refresh if self.outage is None else RETRY
            self._next_try = self.now() + pause
            deadline = self.now() + pause
            while (left := deadline - self.now()) > 0:
                try:
                    await asyncio.wait_for(self._soon.wait(), min(left, 1.0))
                    break
                except TimeoutError:
                    if self.outage is not None:
                        self.redraw()

    async def _poll_once(self) -> None:
        try:
            self.snapshot = await self.read(self.source.snapshot)
            self.snapshot_at = self.now()
            self.depths.note(self.snapshot)
            self.outage = None
            await self._host.poll()
        except RedisUnavailable as error:
            self.outage, self._refused = str(error), isinstance(error, RedisRefused)
            self._next_try = self.now() + RETRY
        except JobsError as error:
            self.show_message(error)
        self.redraw()

    def _read_slowly(self) -> None:
        """Starts a slow read, if one is due: beside the polls, because it may take longer than one."""
        screen = self._host.shown
        if self._slow is not None or screen is None or self.outage is not None:
            return
        if self.now() >= self._slow_due or (screen, self.window) != self._slow_for:
            self._slow_for = (screen, self.window)
            self._slow = asyncio.create_task(self._slow_once())

    async def _slow_once(self) -> None:
        began = self.now()
        try:
            if not self._slow_due:
                await self.read(scripts.keep)
            await self._host.poll_slowly()
            self._slow_error = ""
            self.redraw()
        except RedisUnavailable:
            # The next poll reports it.
            pass
        except Exception as error:
            # It is tried again every few seconds: one message is enough.
            if str(error) != self._slow_error:
                self.show_message(error)
            self._slow_error = str(error)
        finally:
            took = self.now() - began
            self._slow_due = self.now() + min(SLOW_MOST, max(SLOW_EVERY, took / SLOW_SHARE))
            self._slow = None
            # Another screen or window may have been shown meanwhile.
            if not self.closed:
                self._read_slowly()

    # -- the latest snapshot

    @property
    def redis_now(self) -> int:
        """Redis time in ms at the latest snapshot; 0 before the first."""
        return self.snapshot.now if self.snapshot else 0

    @property
    def alerts(self) -> list[Alert]:
        """The active alerts of the latest snapshot, most severe first."""
        if self.snapshot is None:
            return []
        # Every line of the screen asks for them.
        made_of = (self.snapshot, self.circuits, self.crowds)
        known = self._alerts_of or (None, None, None)
        if any(one is not other for one, other in zip(made_of, known, strict=True)):
            self._alerts_of = made_of
            found = active_alerts(self.snapshot, self.options.limits, self.crowds)
            self._alerts = by_level([*found, *circuit_alerts(self.circuits)])
        return self._alerts

    @property
    def bounds(self) -> tuple[int, int]:
        """The start and end of the window of time, in ms, at the latest snapshot."""
        return self.window.bounds(self.redis_now)

    def show_window(self, window: TimeWindow) -> None:
        """Shows another window of time on all screens."""
        if window != self.window:
            # A moment that no screen has shown was of the window before.
            self.window, self.moment = window, None
            self.poll_soon()

    def stats(self, queue: str | None) -> QueueStats | None:
        """A queue's counts and rates in the latest snapshot; None if it is not there."""
        every = self.snapshot.queues if self.snapshot else []
        return next((one for one in every if one.name == queue), None)

    # -- rights and status texts

    def has(self, command_id: str) -> bool:
        """Whether this session has the command."""
        return self.rights.allow(by_id(command_id))

    def commands(self, scope: str) -> list[Command]:
        """The commands that this session has on a screen."""
        return for_scope(scope, self.rights)

    @property
    def rights(self) -> Rights:
        """What this session may do."""
        return Rights(self.options.read_only, self.confined, self.options.member)

    @property
    def confined(self) -> bool:
        """Whether it is limited to one organization's jobs."""
        return self.options.organization_id is not None

    def badges(self) -> list[str]:
        """The session's badges in every head line."""
        words = []
        if self.options.read_only:
            words.append("READ-ONLY")
        elif self.options.member:
            words.append("READ-ONLY EXCEPT K")
        if self.options.organization_id is not None:
            words.append(f"ORG {safe(self.options.organization_id, 30)}")
        return words

    @property
    def unread(self) -> str:
        """What stands in the place of what has not been read."""
        return unread(self.unreached)

    @property
    def unreached(self) -> str:
        """In a few words why Redis cannot be read; '' while it can be."""
        return "" if self.outage is None else UNREACHED[self._refused]

    def outage_line(self) -> str:
        """Status text of an outage: the age of the data and the time of the next retry."""
        left = max(0.0, self._next_try - self.now())
        again = f"next try in {left:.0f} s" if left >= 0.5 else "trying now"
        if not self.snapshot_at:
            # Redis answered with a refusal, so its reason is more useful than its address.
            if self._refused and not self.options.viewer:
                return f"{safe(self.outage, 300)}; {again}"
            return f"no Redis at {self.options.place}; {again}"
        stale = f"STALE {self.now() - self.snapshot_at:.0f} s, {again}"
        # The address of Redis is not shown in a browser.
        return stale if self.options.viewer else f"{stale}: {safe(self.outage, 300)}"

    # -- requests to the app

    def open(self, place: Place, *, replace: bool = False) -> None:
        """Shows a place on top of the current screen, or with ``replace`` in its stead."""
        self._host.open(place, replace=replace)

    def placed(self, place: Place) -> None:
        """Notes that a screen which shows this place has been drawn."""
        self._host.placed(place)

    async def ask(self, dialog: Screen[T]) -> T:
        """Opens a dialog and returns its answer."""
        return await self._host.ask(dialog)

    async def confirm(self, act: str, question: Screen[bool], count: int = 1) -> bool:
        """Asks before an act on ``count`` jobs if the table of acts says so; returns whether to go on."""
        from hsejobs.control.act_table import ACTS

        return not ACTS[act].asks(count) or await self.ask(question)

    def perform(self, command_id: str) -> None:
        """Runs a command of the table, if this session has it."""
        self._host.perform(command_id)

    def redraw(self) -> None:
        """Draws the head and status lines of the current screen."""
        self._host.redraw()

    def draw_last(self, draw: Callable[[], None]) -> None:
        """Draws the effects of a key, once for all keys that wait."""
        self._host.draw_last(draw)

    def show_message(self, what: str | BaseException, *, bad: bool | None = None) -> None:
        """Shows a temporary message. ``bad``: show it as an error; the default for exceptions."""
        text = self.explain(what) if isinstance(what, BaseException) else what
        wrong = isinstance(what, BaseException) if bad is None else bad
        self._host.show_message(safe(text, 400), bad=wrong)

    def explain(self, error: BaseException) -> str:
        """The text of an error, with what to do; without the address of Redis in a browser."""
        if self.options.viewer is not None and isinstance(error, RedisUnavailable):
            return f"Redis does not answer ({error.code})"
        from hsejobs.control.progress import explain

        return explain(error)


class AppNode(Protocol):
    """A widget or a screen: anything that belongs to an app."""

    @property
    def app(self) -> Any:
        """The app that has the session."""


def session_of(node: AppNode) -> Session:
    """The session that a widget or a screen belongs to."""
    session: Session = node.app.session
    return session
