"""The app: what puts session, screens and dialogs together, and runs the commands."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, TypeVar

from rich.theme import Theme as RichTheme
from textual import events
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from hsejobs_tui import router
from hsejobs_tui.core.colors import styles
from hsejobs_tui.core.commands import by_id, for_scope
from hsejobs_tui.core.options import Options
from hsejobs_tui.gate import KeyGate
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import ListPlace, Place
from hsejobs_tui.session.session import Session
from hsejobs_tui.theme import theme
from hsejobs_tui.widgets.binds import bindings

T = TypeVar("T")
#: The command that runs in this task.
_RUNNING: ContextVar[object | None] = ContextVar("running", default=None)


class JobsApp(App[None]):
    """The operator's TUI: the host of a session. ``ended``: asked ten times a second whether to end."""

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
        self.session = Session(options, self)
        self._ended = ended
        #: Signals that end it in good order, each with its exit status, unless whoever started it
        #: wants them ignored.
        self.ends_on: Mapping[signal.Signals, int] = {}
        #: The commands that run, each with the dialog whose answer it waits for.
        self._commands: dict[object, Screen[Any] | None] = {}
        self.gate = KeyGate(self, lambda: self.at_work, lambda: self.reading, super().on_event)

    def get_default_screen(self) -> Screen[Any]:
        """The overview."""
        return router.screen_for(ListPlace("overview"))

    def on_load(self) -> None:
        """Minds its signals before the terminal is another: until then they end it outright."""
        loop = asyncio.get_running_loop()
        for signum in self.ends_on:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                loop.add_signal_handler(signum, self._signalled, signum)

    def on_mount(self) -> None:
        """Begins to look."""
        mode = "mono" if self.no_color else self.options.theme
        self.console.push_theme(RichTheme(styles(mode)))
        self.register_theme(theme(mode))
        self.theme = f"hsejobs-{mode}"
        self.set_class(self.options.ascii_only, "-ascii")
        self._watch()
        self.app_resume_signal.subscribe(self, self._resumed)
        self.set_interval(0.1, self._end_too)

    def on_unmount(self) -> None:
        """Lets the session's threads go."""
        self.session.close()

    # -- keys

    async def on_event(self, event: events.Event) -> None:
        """Keys and pastes go through the gate."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self.gate.enter(event)
        else:
            await super().on_event(event)

    @property
    def settled(self) -> bool:
        """Whether no look is under way or asked for, and no key waits."""
        return self.session.settled and self.gate.idle

    @property
    def at_work(self) -> bool:
        """Whether a command is at work, or a screen is being opened: not while a dialog waits."""
        if not self.screen.is_mounted:
            return True
        stack = self.screen_stack
        # A dialog that was taken away unanswered (closed) holds nobody up.
        return any(
            asked is None or not (asked in stack or asked._closed)
            for asked in self._commands.values()
        )

    @property
    def reading(self) -> bool:
        """Whether the topmost screen has yet to show what it was opened for, or what an act changed."""
        if self.session.away is not None:
            return False
        if isinstance(self.screen, View):
            return self.session.behind or self.screen.reading
        # Textual's own palette searches beside its line.
        return any(
            one.node is self.screen and one.is_running
            for one in self.workers
            if one.group.startswith("--")
        )

    def _resumed(self, _: App[Any]) -> None:
        # The terminal forgot everything, Textual thinks that it is all still there.
        self.screen.refresh()

    def _signalled(self, signum: signal.Signals) -> None:
        self.exit(return_code=self.ends_on.get(signum, 128 + signum))

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

    # -- what the session asks for

    def open(self, place: Place, *, replace: bool = False) -> None:
        """Shows a place above the screen that is shown, or with ``replace`` instead of it."""
        screen = router.screen_for(place)
        if replace:
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    async def ask(self, dialog: Screen[T]) -> T:
        """Opens a dialog and returns its answer; its command is not at work meanwhile."""
        command = _RUNNING.get()
        if command is None:
            return await self.push_screen_wait(dialog)
        self._commands[command] = dialog
        try:
            return await self.push_screen_wait(dialog)
        finally:
            self._commands[command] = None

    def show_message(self, text: str, *, bad: bool) -> None:
        """Shows a passing message, never as markup."""
        self.notify(text, severity="error" if bad else "information", markup=False)

    async def poll(self) -> None:
        """Lets the screen that is shown read what is its own."""
        view = self.view
        if view is not None and view.is_mounted:
            # One that is left while its rows are being read has no place for them any more.
            with contextlib.suppress(NoMatches):
                await view.poll()

    def redraw(self) -> None:
        """Draws the head and status lines of the screen that is shown."""
        view = self.view
        if view is not None and view.is_mounted:
            with self.batch_update():
                view.told()

    @property
    def view(self) -> View | None:
        """The topmost screen that is no dialog."""
        found = [screen for screen in self.screen_stack if isinstance(screen, View)]
        return found[-1] if found else None

    def _watch(self) -> None:
        self.run_worker(self.session.watch(), name="look", exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """The one place where an error of a worker ends up."""
        if self.session.closed:
            return
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.session.say(event.worker.error)
            if event.worker.name == "look":
                self._watch()

    # -- commands

    def action_command(self, command_id: str) -> None:
        """Runs a command of the table."""
        self.perform(command_id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Commands that this session does not have are not there at all."""
        return not (action == "command" and not self.session.has(str(parameters[0])))

    def perform(self, command_id: str) -> None:
        """Runs a command on the view, or here; what it awaits runs as a worker."""
        if not self.session.has(command_id):
            return
        name, view = f"do_{command_id}", self.view
        # Every view inherits the moves; only those that the table gives it are its commands.
        own = view is not None and view.SCOPE in by_id(command_id).scopes
        target = getattr(view, name, None) if own else getattr(self, name, None)
        if target is None:
            return
        made = target()
        if asyncio.iscoroutine(made):
            command = object()
            self._commands[command] = None
            self.run_worker(self._command(command, made), name=command_id, exit_on_error=False)

    async def _command(self, command: object, made: Coroutine[Any, Any, Any]) -> None:
        _RUNNING.set(command)
        try:
            await made
        finally:
            del self._commands[command]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: what can be done here, from the table."""
        view = self.view
        scope = view.SCOPE if view else "app"
        confined = self.session.confined
        for one in for_scope(scope, read_only=self.options.read_only, confined=confined):
            yield SystemCommand(one.title, one.help, lambda one=one: self.perform(one.id))

    def _show(self, name: str) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != "overview":
            self.open(ListPlace(name))
        self.session.poll_soon()

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
        self.session.poll_soon()

    def do_help(self) -> None:
        """The keys of this screen."""
        from hsejobs_tui.dialogs.help import Help

        view = self.view
        if view is not None:
            self.push_screen(Help(view.SCOPE))

    def do_menu(self) -> None:
        """The palette."""
        from textual.command import CommandPalette

        self.push_screen(CommandPalette(id="--command-palette"))

    async def do_goto(self) -> None:
        """Opens a job by its id."""
        from hsejobs_tui.flows.goto import go_to_job

        await go_to_job(self.session)

    async def do_undo(self) -> None:
        """Brings the newest removal back."""
        from hsejobs_tui.flows.undo import undo

        await undo(self.session)

    async def action_quit(self) -> None:
        """Textual's own Ctrl+Q asks as the command does."""
        self.perform("quit_typing")

    def action_help_quit(self) -> None:
        """Ctrl+C is for ending other programs: here it says how to."""
        self.session.say("q ends the TUI")

    def do_suspend(self) -> None:
        """Back to the shell until ``fg``; not where others live in this process or far away."""
        if self.options.front or self.options.viewer is not None:
            self.session.say("this TUI cannot be suspended", bad=True)
            return
        self.action_suspend_process()

    async def do_quit_typing(self) -> None:
        """The same, by a key that no line of text takes."""
        await self.do_quit()

    async def do_quit(self) -> None:
        """Ends; in front of `hsejobs up` that ends everything, so it asks."""
        from hsejobs_tui.dialogs.questions import Confirm

        if self.options.front:
            text = "This ends the workers and the embedded Redis too; running jobs may finish."
            if not await self.ask(Confirm("End everything?", text)):
                return
        self.exit()
