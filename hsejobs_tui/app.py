"""The app: one look at all queues a refresh, the screens, and how commands are run."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.store.client import Link
from hsejobs.store.read_live import Glance
from hsejobs_tui.binds import bindings
from hsejobs_tui.core.acts import Acts, explain
from hsejobs_tui.core.commands import allowed, by_id, for_scope
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import Source
from hsejobs_tui.core.text import safe
from hsejobs_tui.core.troubles import Trouble, troubles
from hsejobs_tui.screens.base import View
from hsejobs_tui.screens.overview import Overview

T = TypeVar("T")
#: Seconds between tries while Redis is away.
RETRY = 3.0


class JobsApp(App[None]):
    """The operator's TUI. ``ended``: asked ten times a second whether it should end too."""

    CSS_PATH = "app.tcss"
    TITLE = "hsejobs"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012
    #: Textual's own key for it: here it is a command of the table.
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        options: Options,
        *,
        ended: Callable[[], bool] | None = None,
        driver_class: type[Driver] | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.options = options
        self.link = Link(options.url)
        self.source = Source(options, self.link)
        self.acts = Acts(options, self.link)
        self.glance: Glance | None = None
        self.glanced = 0.0
        self.away: str | None = None
        self._next_try = 0.0
        self._ended = ended
        #: Signals that end it in good order, unless whoever started it wants them ignored.
        self.ends_on: tuple[signal.Signals, ...] = ()
        self._over = False
        self._looks = ThreadPoolExecutor(1, "look")
        self._works = ThreadPoolExecutor(2, "work")
        self._soon = asyncio.Event()
        self._looking = True
        self.now: Callable[[], float] = time.monotonic

    def get_default_screen(self) -> Screen[Any]:
        """The overview."""
        return Overview()

    def on_mount(self) -> None:
        """Begins to look."""
        self.theme = "textual-dark"
        self.set_class(self.options.ascii_only, "-ascii")
        self._begin()
        self.app_resume_signal.subscribe(self, self._resumed)
        for signum in self.ends_on:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signum, self._signalled, signum)
        self.set_interval(0.1, self._end_too)

    def on_unmount(self) -> None:
        """Lets the threads go."""
        self._over = True
        for pool in (self._looks, self._works):
            pool.submit(self.link.close)
            pool.shutdown(wait=False, cancel_futures=False)

    def _resumed(self, _: App[Any]) -> None:
        # The terminal forgot everything, Textual thinks that it is all still there.
        self.screen.refresh()

    def _signalled(self, signum: signal.Signals) -> None:
        self.exit(return_code=128 + signum)

    def on_app_focus(self) -> None:
        """A browser's terminal begins without the focus: then nothing had it that gets it back."""
        self.call_later(self._focus_something)

    def _focus_something(self) -> None:
        if self.screen.focused is None:
            self.screen.focus_next()

    def _end_too(self) -> None:
        if self._ended is not None and self._ended():
            self.exit()
        elif getattr(self._driver, "lost", False):
            self._signalled(signal.SIGHUP)

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
        self._soon.set()

    @property
    def settled(self) -> bool:
        """Whether no look is under way or asked for."""
        return not self._looking and not self._soon.is_set()

    def _begin(self) -> None:
        self.run_worker(self._look_on(), name="look", exit_on_error=False)

    async def _look_on(self) -> None:
        while True:
            self._soon.clear()
            self._looking = True
            await self._look_once()
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
            self.away = None
            screen = self.view
            if screen is not None and screen.is_mounted:
                await screen.poll()
        except RedisUnavailable as error:
            self.away = str(error)
            self._next_try = self.now() + RETRY
        except JobsError as error:
            self.say(error)
        except NoMatches:
            # The screen was left while its rows were being read.
            pass
        self.tell()

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
            return f"no Redis at {self.options.place}; {again}"
        stale = f"STALE {self.now() - self.glanced:.0f} s, {again}"
        # Where Redis is, is no business of a browser's.
        return stale if self.options.viewer else f"{stale}: {safe(self.away, 80)}"

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

    # -- commands

    def action_command(self, command_id: str) -> None:
        """Runs a command of the table."""
        self.perform(command_id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Commands that this session does not have are not there at all."""
        return not (action == "command" and not self.has(str(parameters[0])))

    def has(self, command_id: str) -> bool:
        """Whether this session has the command."""
        return allowed(
            by_id(command_id),
            read_only=self.options.read_only,
            confined=self.options.organization_id is not None,
        )

    def perform(self, command_id: str) -> None:
        """Runs a command on the view, or here; what it awaits runs as a worker."""
        if not self.has(command_id):
            return
        name, view = f"do_{command_id}", self.view
        # Every view inherits the moves; only those that the table gives it are its commands.
        own = view is not None and view.SCOPE in by_id(command_id).scopes
        target = getattr(view, name, None) if own else getattr(self, name, None)
        if target is None:
            return
        made = target()
        if asyncio.iscoroutine(made):
            self.run_worker(made, name=command_id, exit_on_error=False)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: what can be done here, from the table."""
        view = self.view
        scope = view.SCOPE if view else "app"
        confined = self.options.organization_id is not None
        for one in for_scope(scope, read_only=self.options.read_only, confined=confined):
            yield SystemCommand(one.title, one.help, lambda one=one: self.perform(one.id))

    def _show(self, name: str) -> None:
        from hsejobs_tui.screens import named

        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != "overview":
            self.push_screen(named(name))
        self.poll_soon()

    def do_overview(self) -> None:
        """All queues."""
        self._show("overview")

    def do_failures(self) -> None:
        """Failed jobs by error."""
        self._show("failures")

    def do_workers(self) -> None:
        """Who runs what."""
        self._show("workers")

    def do_schedules(self) -> None:
        """Periodic tasks."""
        self._show("schedules")

    def do_alerts(self) -> None:
        """What is wrong."""
        self._show("alerts")

    def do_circuits(self) -> None:
        """Circuit breakers."""
        self._show("circuits")

    def do_events(self) -> None:
        """What happens."""
        self._show("events")

    def do_reload(self) -> None:
        """Reads again."""
        self.poll_soon()

    def do_help(self) -> None:
        """The keys of this screen."""
        from hsejobs_tui.screens.help import Help

        view = self.view
        if view is not None:
            self.push_screen(Help(view.SCOPE))

    def do_menu(self) -> None:
        """The palette."""
        from textual.command import CommandPalette

        self.push_screen(CommandPalette(id="--command-palette"))

    async def do_goto(self) -> None:
        """Opens a job by its id."""
        from hsejobs_tui.screens.dialogs import Ask
        from hsejobs_tui.screens.job import JobView

        wanted = await self.push_screen_wait(
            Ask("Go to job", "Its id; every queue is looked into.")
        )
        if wanted:
            try:
                found = await self.look(self.source.find, wanted.strip())
            except JobsError as error:
                self.say(error)
                return
            self.push_screen(JobView(found.queue, found.id))

    async def do_undo(self) -> None:
        """Brings the newest removal back."""
        try:
            progress = await self.do(self.acts.undo)
        except JobsError as error:
            self.say(error)
            return
        self.say(progress.report())
        self.poll_soon()

    async def action_quit(self) -> None:
        """Textual's own Ctrl+Q asks as the command does."""
        self.perform("quit_typing")

    def action_help_quit(self) -> None:
        """Ctrl+C is for ending other programs: here it says how to."""
        self.say("q ends the TUI")

    def do_suspend(self) -> None:
        """Back to the shell until ``fg``; not where others live in this process or far away."""
        if self.options.front or self.options.viewer is not None:
            self.say("this TUI cannot be suspended", bad=True)
            return
        self.action_suspend_process()

    async def do_quit_typing(self) -> None:
        """The same, by a key that no line of text takes."""
        await self.do_quit()

    async def do_quit(self) -> None:
        """Ends; in front of `hsejobs up` that ends everything, so it asks."""
        from hsejobs_tui.screens.dialogs import Confirm

        if self.options.front:
            text = "This ends the workers and the embedded Redis too; running jobs may finish."
            if not await self.push_screen_wait(Confirm("End everything?", text)):
                return
        self.exit()
