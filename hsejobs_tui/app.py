"""The app: connects the session, the screens and the dialogs, and runs the commands."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, TypeVar

from rich.console import RenderableType
from rich.theme import Theme as RichTheme
from textual import events
from textual._context import visible_screen_stack
from textual.app import App
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.screen import Screen
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.worker import Worker, WorkerState

from hsejobs_tui import router
from hsejobs_tui.core.colors import styles
from hsejobs_tui.core.commands import by_id
from hsejobs_tui.core.options import Options
from hsejobs_tui.gate import KeyGate
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.browser import Visit
from hsejobs_tui.session.places import ListPlace, Place
from hsejobs_tui.session.session import Session
from hsejobs_tui.theme import PlainBar, theme
from hsejobs_tui.visits import Visits
from hsejobs_tui.widgets.binds import bindings

T = TypeVar("T")
#: The command that runs in the current asyncio task.
_RUNNING: ContextVar[object | None] = ContextVar("running", default=None)


class JobsApp(App[None]):
    """The operator's TUI: the host of a session.

    ``ended`` is called every 100 ms: True ends the app. ``address``: of the place to show first.
    """

    CSS_PATH = "app.tcss"
    TITLE = "hsejobs"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012
    #: Disabled because the palette is a command of the command table.
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        options: Options,
        *,
        ended: Callable[[], bool] | None = None,
        driver_class: type[Driver] | None = None,
        address: str = "",
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.options = options
        self.session = Session(options, self)
        self._ended = ended
        #: Signals that end the app cleanly, each with its exit status. A signal that the parent
        #: process set to be ignored stays ignored.
        self.exit_signals: Mapping[signal.Signals, int] = {}
        #: The running commands, each with the dialog whose answer it waits for.
        self._commands: dict[object, Screen[Any] | None] = {}
        self.visits = Visits(self, self.session, waiting=bool(address))
        self._first = address
        self.gate = KeyGate(self, lambda: self.busy, lambda: self.reading, super().on_event)
        self.draw_last = self.gate.draw_last

    def get_default_screen(self) -> Screen[Any]:
        return router.screen_for(ListPlace("overview"))

    def on_load(self) -> None:
        """Installs signal handlers before the terminal mode changes; until then signals kill the process.

        Sets the theme, so that the styles are parsed with its colors at once.
        """
        mode = "mono" if self.no_color else self.options.theme
        self.console.push_theme(RichTheme(styles(mode)))
        self.register_theme(theme(mode))
        self.theme = f"hsejobs-{mode}"
        loop = asyncio.get_running_loop()
        for signum in self.exit_signals:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                loop.add_signal_handler(signum, self._on_signal, signum)

    def on_mount(self) -> None:
        """Starts polling."""
        self.set_class(self.options.ascii_only, "-ascii")
        ScrollBar.renderer = PlainBar if self.options.ascii_only else ScrollBarRender
        self._watch()
        if self._first:
            self.post_message(Visit(self._first))
        self.app_resume_signal.subscribe(self, self._resumed)
        # A terminal that closed is rare, and each look wakes the process.
        self.set_interval(1.0 if self._ended is None else 0.1, self._check_ended)

    def refresh_css(self, animate: bool = True) -> None:
        """Applies the variables of a theme: before the first screen, there are no styles to parse again."""
        if self.screen_stack:
            super().refresh_css(animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())

    def on_unmount(self) -> None:
        """Releases the session's threads."""
        self.session.close()

    # -- keys

    async def on_event(self, event: events.Event) -> None:
        """Sends keys, pastes and the browser's moves through the key gate."""
        if isinstance(event, events.Key | events.Paste | Visit) and not event.is_forwarded:
            await self.gate.enter(event)
        else:
            await super().on_event(event)

    @property
    def settled(self) -> bool:
        """No poll is running or requested, and no key is waiting."""
        return self.session.settled and self.gate.idle

    @property
    def busy(self) -> bool:
        """Whether a command is running or a screen is opening; False while a dialog waits for an answer."""
        if not self.screen_stack or not self.screen.is_mounted:
            return True
        stack = self.screen_stack
        # A dialog that was closed without an answer blocks nothing.
        return any(
            dialog is None or not (dialog in stack or dialog._closed)
            for dialog in self._commands.values()
        )

    @property
    def reading(self) -> bool:
        """Whether the topmost screen has not yet loaded its content, or the changes made by an act."""
        if isinstance(self.screen, View):
            session = self.session
            return session.outage is None and (session.behind or self.screen.reading)
        # Textual's palette searches in the background while the person types.
        return any(
            one.node is self.screen and one.is_running
            for one in self.workers
            if one.group.startswith("--")
        )

    def _resumed(self, _: App[Any]) -> None:
        # The terminal was cleared, but Textual assumes that its content is unchanged.
        self.screen.refresh()

    def _on_signal(self, signum: signal.Signals) -> None:
        self.exit(return_code=self.exit_signals.get(signum, 128 + signum))

    def on_app_focus(self) -> None:
        """Focuses a widget: a browser terminal starts without focus, so there is none to restore."""
        self.call_later(self._focus_something)

    def _focus_something(self) -> None:
        if self.screen.focused is None:
            self.screen.focus_next()

    def _check_ended(self) -> None:
        if self._ended is not None and self._ended():
            self.exit()
        elif getattr(self._driver, "lost", False):
            self._on_signal(signal.SIGHUP)

    # -- what the session asks for

    def open(self, place: Place, *, replace: bool = False) -> None:
        """Shows a place on top of the current screen, or with ``replace`` in its stead."""
        screen = router.screen_for(place)
        if replace:
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    def on_visit(self, event: Visit) -> None:
        """Shows the place that the browser went to: the screen that has it, or a new one."""
        place = self.visits.read(event.address)
        if place is not None:
            known = self.visits.known(place)
            self._close_above(known or 0)
            if known is None:
                self.open(place)
        self.redraw()

    def placed(self, place: Place) -> None:
        """Shows the address of the place in the browser, if the topmost screen has it."""
        view = self.view
        if view is not None and view.place == place:
            self.visits.note(place)

    async def ask(self, dialog: Screen[T]) -> T:
        """Opens a dialog and returns its answer; the command does not count as busy meanwhile."""
        command = _RUNNING.get()
        if command is None:
            return await self.push_screen_wait(dialog)
        self._commands[command] = dialog
        try:
            return await self.push_screen_wait(dialog)
        finally:
            self._commands[command] = None

    def show_message(self, text: str, *, bad: bool) -> None:
        """Shows a temporary message, never as markup."""
        self.notify(text, severity="error" if bad else "information", markup=False)

    async def poll(self) -> None:
        """Lets the current screen read its own data."""
        view = self.view
        if view is not None and view.is_mounted:
            # A screen that was closed during the read has no widgets left to fill.
            with contextlib.suppress(NoMatches):
                await view.poll_now()

    async def poll_slowly(self) -> None:
        """Lets the current screen read what may be some seconds old."""
        view = self.view
        if view is not None and view.is_mounted:
            with contextlib.suppress(NoMatches):
                await view.poll_slowly()

    @property
    def shown(self) -> object:
        """The current screen, None before there is one: it changes when another one is shown."""
        view = self.view
        return id(view) if view is not None and view.is_mounted else None

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Frees the screens below that were drawn: the context of each task that ever drew keeps them."""
        super()._display(screen, renderable)
        visible_screen_stack.get([]).clear()

    def redraw(self) -> None:
        """Draws the head and status lines of the current screen."""
        view = self.view
        if view is not None and view.is_mounted:
            with self.batch_update():
                view.draw()

    @property
    def view(self) -> View | None:
        """The topmost screen that is not a dialog."""
        found = [screen for screen in self.screen_stack if isinstance(screen, View)]
        return found[-1] if found else None

    def _watch(self) -> None:
        self.run_worker(self.session.watch(), name="poll", exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Reports errors of Textual workers, and restarts polling if it failed."""
        if self.session.closed:
            return
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.session.show_message(event.worker.error)
            if event.worker.name == "poll":
                self._watch()

    # -- commands

    def action_command(self, command_id: str) -> None:
        """Runs a command of the table."""
        self.perform(command_id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the commands that this session does not have."""
        return not (action == "command" and not self.session.has(str(parameters[0])))

    def perform(self, command_id: str) -> None:
        """Runs a command on the current view or on the app; a coroutine runs as a Textual worker."""
        if not self.session.has(command_id):
            return
        name, view = f"do_{command_id}", self.view
        # Every view inherits the cursor moves; only those listed for it in the table are its commands.
        own = view is not None and view.SCOPE in by_id(command_id).scopes
        target = getattr(view, name, None) if own else getattr(self, name, None)
        if not own and command_id in router.CLASSES:
            self._show(command_id)
            return
        if target is None or (own and view is not None and not view.may_act(by_id(command_id))):
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

    def _show(self, name: str) -> None:
        view = self.view
        place = view.insight() if view and name == "insight" else ListPlace(name)
        self._close_above(0)
        if name != "overview":
            self.open(place)
        self.session.poll_soon()

    def _close_above(self, position: int) -> None:
        """Closes the screens above a position in the stack."""
        while len(self.screen_stack) > position + 1:
            self.pop_screen()

    def do_earlier(self) -> None:
        self._shift(-1)

    def do_later(self) -> None:
        self._shift(1)

    def do_zoom_out(self) -> None:
        self._zoom(1)

    def do_zoom_in(self) -> None:
        self._zoom(-1)

    def do_now(self) -> None:
        self.session.show_window(self.session.window.live())

    async def do_goto_time(self) -> None:
        from hsejobs_tui.flows.goto import go_to_time

        await go_to_time(self.session)

    def _shift(self, by: int) -> None:
        self.session.show_window(self.session.window.shift(by, self.session.redis_now))

    def _zoom(self, by: int) -> None:
        self.session.show_window(self.session.window.zoom(by, self.session.redis_now))

    def do_reload(self) -> None:
        self.session.poll_soon()

    def do_help(self) -> None:
        from hsejobs_tui.dialogs.help import Help

        if (view := self.view) is not None:
            self.push_screen(Help(view.SCOPE))

    def do_menu(self) -> None:
        from hsejobs_tui.dialogs.menu import Menu

        self.push_screen(Menu())

    async def do_goto(self) -> None:
        from hsejobs_tui.flows.goto import go_to_job

        await go_to_job(self.session)

    async def do_undo(self) -> None:
        from hsejobs_tui.flows.undo import undo

        await undo(self.session)

    async def action_quit(self) -> None:
        """Routes Textual's own Ctrl+Q through the command, which may ask first."""
        self.perform("quit_typing")

    def action_help_quit(self) -> None:
        """Ctrl+C does not end the TUI: shows which key does."""
        self.session.show_message("press q to quit")

    def do_suspend(self) -> None:
        """Suspends to the shell until ``fg``; refused in front of `hsejobs up` and in a browser."""
        if self.options.front or self.options.viewer is not None:
            self.session.show_message("this TUI cannot be suspended", bad=True)
            return
        self.action_suspend_process()

    async def do_quit_typing(self) -> None:
        """Quits, by a key that text fields do not use."""
        await self.do_quit()

    async def do_quit(self) -> None:
        """Quits; asks first if that ends everything, or throws away what was typed."""
        from hsejobs_tui.flows.quitting import may_quit

        if await may_quit(self.session, self.screen_stack):
            self.exit()
