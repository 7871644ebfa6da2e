"""What every screen has: the head line, the status line, the footer, and how commands run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from hsejobs_tui.core.commands import allowed, by_id
from hsejobs_tui.core.text import safe
from hsejobs_tui.widgets.binds import bindings
from hsejobs_tui.widgets.keys import Keys
from hsejobs_tui.widgets.nav import Nav
from hsejobs_tui.widgets.rows import Rows

if TYPE_CHECKING:
    from hsejobs_tui.app import JobsApp


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
    def jobs_app(self) -> JobsApp:
        """The app, typed."""
        from hsejobs_tui.app import JobsApp

        return cast(JobsApp, self.app)

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
        self.jobs_app.poll_soon()
        self.call_after_refresh(self.jobs_app.tell)

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
        app = self.jobs_app
        line = Text(" ")
        if app.options.production:
            line.append(" PRODUCTION ", "alarm").append(" ")
        line.append_text(self.head())
        for word in app.marks():
            line.append("  ").append(f" {word} ", "bold reverse")
        self.tells("head", line)
        self.query_one(Nav).tell(len(app.troubles))
        self.tells("status", self._status())
        for place in self.query("#detail"):
            text = self.detail()
            place.display = bool(text)
            self.tells("detail", text)
        for rows in self.query(Rows):
            rows.dimmed = app.away is not None

    def tells(self, name: str, text: Text) -> None:
        """Shows a text; one that is shown already costs nothing."""
        said = (text.plain, str(text.style), text.spans)
        if self._told.get(name) != said:
            self._told[name] = said
            self.query_one(f"#{name}", Static).update(text)

    def _status(self) -> Text:
        app = self.jobs_app
        if app.away is not None:
            return Text(" " + app.away_line(), "bold fail")
        seen = app.glance
        if seen is None:
            return Text(" reading ...")
        words = [app.options.place]
        words.append(f"{seen.cost[0]} commands, {seen.cost[1]:.1f} ms")
        left, seconds = app.acts.undoable()
        if left:
            words.append(f"u: undo {left:,} ({seconds:.0f} s)")
        sign = " - " if app.options.ascii_only else " · "
        return Text(" " + safe(sign.join(words)), "dim" if not left else "")

    # -- commands

    def action_command(self, command_id: str) -> None:
        """Runs a command of the table."""
        self.jobs_app.perform(command_id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Commands that this session does not have are not there at all."""
        if action != "command":
            return super().check_action(action, parameters)
        options = self.jobs_app.options
        return allowed(
            by_id(str(parameters[0])),
            read_only=options.read_only,
            confined=options.organization_id is not None,
        )

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
        self.jobs_app.perform("open")

    def on_rows_missing(self) -> None:
        """Scrolled to where nothing has been read."""
        self.jobs_app.poll_soon()
