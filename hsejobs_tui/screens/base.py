"""What every screen has: the head line, the status line, the footer, and how commands run."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from hsejobs.wording import counted
from hsejobs_tui.core.text import safe
from hsejobs_tui.session.session import Session, session_of
from hsejobs_tui.widgets.binds import bindings
from hsejobs_tui.widgets.keys import Keys
from hsejobs_tui.widgets.nav import Nav
from hsejobs_tui.widgets.rows import Rows


class View(Screen[None]):
    """A screen. ``SCOPE`` names its commands; ``poll`` reads what it shows."""

    SCOPE: ClassVar[str] = ""
    HEAD: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, object] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "SCOPE" in cls.__dict__:
            cls.BINDINGS = bindings(cls.SCOPE)
        super().__init_subclass__(**kwargs)

    @property
    def session(self) -> Session:
        """What it may ask for."""
        return session_of(self)

    def compose(self) -> ComposeResult:
        """Screens, head, body, status, keys."""
        yield Nav(self.SCOPE)
        yield Static(id="head", markup=False)
        yield from self.body()
        yield Static(id="status", markup=False)
        yield Keys(self.SCOPE)

    def body(self) -> ComposeResult:
        """The widgets of this screen."""
        yield Widget()

    def on_screen_resume(self) -> None:
        """Shown again: what it shows is read at once, and where one is is said before."""
        self.session.poll_soon()
        self.call_after_refresh(self.session.redraw)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Says what ended its own work, such as a search: these messages stay with their screen."""
        error = event.worker.error
        if event.state is WorkerState.ERROR and error is not None and not self.session.closed:
            self.session.say(error)

    @property
    def reading(self) -> bool:
        """Whether it has yet to show what it was opened for."""
        return any(not one.read for one in self.query(Rows))

    async def poll(self) -> None:
        """Reads and shows what is this screen's own; called after each look at all queues."""

    def detail(self) -> Text:
        """What the row under the cursor has no room for; shown where there is a place for it."""
        return Text()

    def on_rows_moved(self) -> None:
        """The cursor is elsewhere."""
        self.told()

    def head(self) -> Text:
        """The first line."""
        return Text(self.HEAD)

    def told(self) -> None:
        """Draws head and status line."""
        session = self.session
        line = Text(" ")
        if session.options.production:
            line.append(" PRODUCTION ", "alarm").append(" ")
        line.append_text(self.head())
        for word in session.marks():
            line.append("  ").append(f" {word} ", "bold reverse")
        self.tells("head", line)
        self.query_one(Nav).tell(len(session.alerts))
        self.tells("status", self._status())
        for place in self.query("#detail"):
            text = self.detail()
            place.display = bool(text)
            self.tells("detail", text)
        for rows in self.query(Rows):
            rows.dimmed = session.away is not None

    def tells(self, name: str, text: Text) -> None:
        """Shows a text; one that is shown already costs nothing."""
        said = (text.plain, str(text.style), text.spans)
        if self._told.get(name) != said:
            self._told[name] = said
            self.query_one(f"#{name}", Static).update(text)

    def _status(self) -> Text:
        session = self.session
        if session.away is not None:
            return Text(" " + session.away_line(), "bold fail")
        seen = session.snapshot
        if seen is None:
            return Text(" reading ...")
        words = [session.options.place]
        words.append(f"{counted(seen.cost[0], 'command')}, {seen.cost[1]:.1f} ms")
        left, seconds = session.acts.undoable()
        if left:
            words.append(f"u: undo {left:,} ({seconds:.0f} s)")
        sign = " - " if session.options.ascii_only else " · "
        return Text(" " + safe(sign.join(words)), "dim" if not left else "")

    # -- commands

    def action_command(self, command_id: str) -> None:
        """Runs a command of the table."""
        self.session.perform(command_id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Commands that this session does not have are not there at all."""
        if action != "command":
            return super().check_action(action, parameters)
        return self.session.has(str(parameters[0]))

    def do_back(self) -> None:
        """To the screen before."""
        self.dismiss()

    # -- what all lists do

    @property
    def rows(self) -> Rows:
        """The list of this screen."""
        return self.query_one(Rows)

    def do_down(self) -> None:
        """One row down."""
        self.rows.move(1)

    def do_up(self) -> None:
        """One row up."""
        self.rows.move(-1)

    def do_page_down(self) -> None:
        """A page down."""
        self.rows.move(self.rows.page)

    def do_page_up(self) -> None:
        """A page up."""
        self.rows.move(-self.rows.page)

    def do_half_down(self) -> None:
        """Half a page down."""
        self.rows.move(self.rows.page // 2)

    def do_half_up(self) -> None:
        """Half a page up."""
        self.rows.move(-(self.rows.page // 2))

    def do_top(self) -> None:
        """The first row; the cursor lets go of its key there."""
        self.rows.go(0)
        self.rows.held = False

    def do_bottom(self) -> None:
        """The last row."""
        self.rows.go(self.rows.total - 1)

    def on_rows_opened(self) -> None:
        """Two clicks are Enter."""
        self.session.perform("open")

    def on_rows_missing(self) -> None:
        """Scrolled to where nothing has been read."""
        self.session.poll_soon()
