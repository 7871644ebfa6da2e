"""The app: one look at all queues a refresh, the screens, and how commands are run."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextvars import ContextVar
from typing import Any, ClassVar

from rich.theme import Theme as RichTheme
from textual import events
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.driver import Driver
from textual.screen import Screen

from hsejobs.errors import JobsError
from hsejobs_tui.core.colours import styles
from hsejobs_tui.core.commands import allowed, by_id, for_scope
from hsejobs_tui.core.options import Options
from hsejobs_tui.gate import Gate
from hsejobs_tui.screens.base import View
from hsejobs_tui.screens.overview import Overview
from hsejobs_tui.session.session import Looking
from hsejobs_tui.theme import theme
from hsejobs_tui.widgets.binds import bindings

#: The command that runs in this task.
_RUNNING: ContextVar[object | None] = ContextVar("running", default=None)


class JobsApp(Looking):
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
        super().__init__(options, driver_class=driver_class)
        self._ended = ended
        #: Signals that end it in good order, unless whoever started it wants them ignored.
        self.ends_on: tuple[signal.Signals, ...] = ()
        #: The commands that run, each with the dialog whose answer it waits for.
        self._commands: dict[object, Screen[Any] | None] = {}
        self.gate = Gate(self, super().on_event)

    def get_default_screen(self) -> Screen[Any]:
        """The overview."""
        return Overview()

    def on_mount(self) -> None:
        """Begins to look."""
        mode = "mono" if self.no_color else self.options.theme
        self.console.push_theme(RichTheme(styles(mode)))
        self.register_theme(theme(mode))
        self.theme = f"hsejobs-{mode}"
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

    # -- keys

    async def on_event(self, event: events.Event) -> None:
        """Keys and pastes go through the gate."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self.gate.enter(event)
        else:
            await super().on_event(event)

    @property
    def settled(self) -> bool:
        """Whether no look is under way or asked for."""
        return not self._looking and not self._soon.is_set() and self.gate.idle

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
        if self.away is not None:
            return False
        if isinstance(self.screen, View):
            return self._answered < self._asked or self.screen.reading
        # Textual's own palette searches beside its line.
        return any(one.node is self.screen and one.is_running for one in self.workers
                   if one.group.startswith("--"))  # fmt: skip

    async def push_screen_wait(self, screen: Any, **options: Any) -> Any:
        """The same; the command is not at work while its question is open."""
        command = _RUNNING.get()
        if command is None:
            return await super().push_screen_wait(screen, **options)
        self._commands[command] = screen
        try:
            return await super().push_screen_wait(screen, **options)
        finally:
            self._commands[command] = None

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
        from hsejobs_tui.dialogs.questions import Ask
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
        """Brings the newest removal back; many with a bar."""
        from hsejobs_tui.dialogs.questions import Working
        from hsejobs_tui.flows.job_acts import BAR

        count, _ = self.acts.undoable()
        if count >= BAR:
            await self.push_screen_wait(
                Working(f"Bringing back {count:,} jobs", count, self.acts.undo)
            )
            return
        try:
            progress = await self.do(lambda: list(self.acts.undo())[-1])
        except JobsError as error:
            self.say(error)
            return
        self.say(progress.report(), bad=bool(progress.refused))
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
        from hsejobs_tui.dialogs.questions import Confirm

        if self.options.front:
            text = "This ends the workers and the embedded Redis too; running jobs may finish."
            if not await self.push_screen_wait(Confirm("End everything?", text)):
                return
        self.exit()
