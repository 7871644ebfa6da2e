"""The base of all screens: head line, status line, footer and commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ClassVar

from rich.text import Span, Text
from textual._styles_cache import StylesCache
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from hsejobs.model import State
from hsejobs.wording import counted
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.text import clock, nothing_to, safe
from hsejobs_tui.session.places import InsightPlace, ListPlace, Place, QueuePlace
from hsejobs_tui.session.session import Session, session_of
from hsejobs_tui.widgets.binds import bindings
from hsejobs_tui.widgets.keys import Keys
from hsejobs_tui.widgets.nav import WITH_PLACE, Nav, where_and_when
from hsejobs_tui.widgets.rows import Rows

#: What has a size that does not depend on its text, and what is as high as its text has lines.
FIXED = frozenset(("head", "status", "strip", "shares", "detail", "below", "consumers-head"))
UNWRAPPED = frozenset(("figures",))
#: Seconds that a slow read waits for the frame at most: a screen that is closed draws none.
FRAME = 1.0


class View(Screen[None]):
    """A screen. ``SCOPE`` selects its commands; ``poll`` reads its data."""

    SCOPE: ClassVar[str] = ""
    HEAD: ClassVar[str] = ""
    #: The commands that the footer names before others, if it has not room for all.
    NEEDED: ClassVar[tuple[str, ...]] = ()
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self) -> None:
        super().__init__()
        self._texts: dict[str, tuple[str, str, list[Span]]] = {}
        self._made: dict[str, list[Any]] = {}
        self._cost: tuple[int, float] = (0, 0.0)
        #: Redis time in ms of the last poll that read the screen's data; 0 before.
        self.read_at = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "SCOPE" in cls.__dict__:
            cls.BINDINGS = bindings(cls.SCOPE)
        super().__init_subclass__(**kwargs)

    @property
    def session(self) -> Session:
        return session_of(self)

    @property
    def place(self) -> Place:
        """What the screen shows now."""
        return ListPlace(self.SCOPE)

    def compose(self) -> ComposeResult:
        """Navigation, head line, body, status line, footer."""
        yield Nav(self.SCOPE)
        yield Static(id="head", markup=False)
        yield from self.body()
        yield Static(id="status", markup=False)
        yield Keys(self.SCOPE, self.offers, self.NEEDED)

    def offers(self, command: Command) -> bool:
        """Whether the footer names the command now, if there is room."""
        return command.footer or command.spare or command.id in self.NEEDED

    def body(self) -> ComposeResult:
        """The widgets of this screen."""
        yield Widget()

    def on_screen_resume(self) -> None:
        """Requests a poll when the screen is shown again, and draws its head line before that."""
        self.session.poll_soon()
        self.call_after_refresh(self.session.redraw)

    def on_unmount(self) -> None:
        """Frees what was drawn: Textual's cache of colors keeps the lines of about 1,000 closed widgets."""
        StylesCache.get_inner_outer.cache_clear()

    def run_worker(self, work: Any, *args: Any, **options: Any) -> Worker[Any]:
        """Starts a read beside the polls. A screen that is closed meanwhile has no widgets left to fill.

        ``work``: called when the worker begins, which one that is cancelled before never does.
        """
        # Textual ends the app otherwise: the error is shown, as `on_worker_state_changed` has it.
        options.setdefault("exit_on_error", False)
        return super().run_worker(partial(self._while_open, work), *args, **options)

    async def _while_open(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        try:
            return await work()
        except NoMatches:
            if not (self._pruning or self._closing or self._closed):
                raise
            return None

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Shows errors of the screen's own workers, such as a search."""
        error = event.worker.error
        if event.state is WorkerState.ERROR and error is not None and not self.session.closed:
            self.session.show_message(error)

    @property
    def reading(self) -> bool:
        """Whether the screen has not loaded its content yet."""
        return any(not one.read for one in self.lists)

    @property
    def has_read(self) -> bool:
        """Whether something of what is shown now has been read: before, its figures would all be 0."""
        return all(one.read for one in self.lists)

    @property
    def lists(self) -> list[Rows]:
        """The lists of the screen."""
        return self._all("lists", Rows)

    def _all(self, name: str, selector: str | type[Widget]) -> list[Any]:
        """The widgets of a selector, all of them made by ``body``: to look through the screen for them is a
        tenth of what a refresh takes.
        """
        if name not in self._made:
            found = list(self.query(selector))
            if not self.is_mounted:
                return found
            self._made[name] = found
        return self._made[name]

    async def poll(self) -> None:
        """Reads and shows the screen's own data; called after each poll of all queues."""

    async def poll_now(self) -> None:
        """Reads it, and notes when."""
        await self.poll()
        self.read_at = self.session.redis_now

    def insight(self) -> InsightPlace:
        """What the Insight screen shows when it is opened from here."""
        return InsightPlace()

    def searched(self) -> str | None:
        """The queue in which a search from here begins; None if there is no queue."""
        return self.insight().queue or next(iter(self.session.source.infos), None)

    def do_search_jobs(self) -> None:
        """Opens that queue with its search line: what is typed after the key is a text on every screen."""
        if (queue := self.searched()) is not None:
            self.session.open(QueuePlace(queue, State.FAILED, searching=True))

    async def poll_slowly(self) -> None:
        """Reads what may be some seconds old, after the frame is drawn: here circuits and whose jobs wait."""
        drawn = asyncio.Event()
        self.app.call_after_refresh(drawn.set)
        # Beside the drawing, in another thread, both would take longer.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(drawn.wait(), FRAME)
        session = self.session
        session.circuits = await session.do(session.source.circuits)
        session.crowds = await session.do(session.source.crowds)

    def detail(self) -> Text:
        """Details of the row under the cursor, for screens that have a ``#detail`` area."""
        return Text()

    def on_rows_moved(self) -> None:
        """Draws what depends on the cursor. Textual calls this, and the same of a subclass as well."""
        self.session.draw_last(self._draw_moved)

    def _draw_moved(self) -> None:
        # A screen that was closed meanwhile has no widgets left.
        if self.is_mounted and not self._closing:
            self.draw_cursor()

    def draw_cursor(self) -> None:
        """Draws what depends on the cursor of a list."""
        self.draw()

    @property
    def unread(self) -> str:
        """What stands in the place of what has not been read."""
        return self.session.unread

    def subject(self) -> Text:
        """What is shown, without a figure: the head line before anything is read."""
        return Text(self.HEAD)

    def head(self) -> Text:
        """The text of the head line, once something was read."""
        return self.subject()

    def _head(self) -> Text:
        """The head line. Of what was not read it has no figures; without Redis it says of when they are."""
        session = self.session
        if not self.has_read:
            return self.subject().append(f"   {self.unread}", "bold warn")
        if not session.unreached:
            return self.head()
        # Without a read of its own, all is drawn from the snapshot.
        at = clock(self.read_at or session.redis_now)[-8:]
        text = Text().append(f"{session.unreached}, as of {at}", "bold fail")
        return text.append("   ").append_text(self.head())

    def draw(self) -> None:
        """Draws the head line, the status line and the details."""
        session = self.session
        line = Text(" ")
        if session.options.production:
            line.append(" PRODUCTION ", "alarm").append(" ")
        # First what the session may do: it must never be cut.
        for word in session.badges():
            line.append(f" {word} ", "bold reverse").append(" ")
        line.append_text(self._head())
        self.set_text("head", line)
        self.query_one(Nav).draw()
        self.query_one(Keys).draw()
        self.set_text("status", self._with_time(self._status()))
        for place in self._all("details", "#detail"):
            text = self.detail()
            place.display = bool(text)
            self.set_text("detail", text)
        for rows in self.lists:
            rows.unread = self.unread
            rows.dimmed = session.outage is not None
        session.placed(self.place)

    def set_text(self, name: str, text: Text) -> None:
        """Sets the text of a widget by its id; does nothing if the text is unchanged."""
        shown = (text.plain, str(text.style), text.spans)
        before = self._texts.get(name)
        if before != shown:
            self._texts[name] = shown
            # A new layout of the whole screen, at each poll, costs more than all that is drawn.
            same = before is not None and before[0].count("\n") == text.plain.count("\n")
            fixed = name in FIXED or (same and name in UNWRAPPED)
            self.query_one(f"#{name}", Static).update(text, layout=not fixed)

    def _with_time(self, line: Text) -> Text:
        """The status line, with the time on its right where the navigation has no room for it."""
        if self.size.width < WITH_PLACE:
            when = where_and_when(self.session, place=False)
            if (room := self.size.width - line.cell_len - len(when) - 1) > 0:
                line.append(" " * room + when)
        return line

    def _status(self) -> Text:
        session = self.session
        if session.outage is not None:
            return Text(" " + session.outage_line(), "bold fail")
        if any(one.choosing for one in self.lists):
            return Text(
                " Sort by the column with the marked letter; s: the usual order, Esc: no change."
            )
        seen = session.snapshot
        if seen is None:
            return Text(f" {session.unread}")
        words = [session.options.place]
        count, ms = self._steady(seen.cost)
        words.append(f"{counted(count, 'command')}, {ms:.1f} ms")
        left, seconds = session.undoable()
        if left:
            words.append(f"u: undo {left:,} ({seconds:.0f} s)")
        sign = " - " if session.options.ascii_only else " · "
        return Text(" " + safe(sign.join(words)), "dim" if not left else "")

    def _steady(self, cost: tuple[int, float]) -> tuple[int, float]:
        """The cost of a refresh; the one shown before while it is about the same: it never is the same, and
        a refresh that found nothing new must not draw.
        """
        count, ms = self._cost
        if cost[0] != count or not ms / 2 <= cost[1] <= ms * 2:
            self._cost = cost
        return self._cost

    # -- commands

    def action_command(self, command_id: str) -> None:
        """Runs a command of the table."""
        for rows in self.lists:
            rows.aim()
        self.session.perform(command_id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the commands that this session does not have."""
        if action != "command":
            return super().check_action(action, parameters)
        return self.session.has(str(parameters[0]))

    def lacking(self, command: Command) -> str:
        """Why the command has nothing to act on now; '' if it has something."""
        rows = self.rows
        if command.acts_on == "list" and (rows.total or not rows.read):
            return ""
        return why_no_row(rows) if command.acts_on and rows.key is None else ""

    def may_act(self, command: Command) -> bool:
        """Whether the command has something to act on; otherwise says why not, and asks nothing."""
        why = self.lacking(command) if command.acts_on else ""
        if why:
            self.session.show_message(nothing_to(command.title, why))
        return not why

    def do_back(self) -> None:
        """Returns to the previous screen."""
        self.dismiss()

    # -- moves that all lists share

    @property
    def rows(self) -> Rows:
        return self.query_one(Rows)

    def do_down(self) -> None:
        self.rows.move(1)

    def do_up(self) -> None:
        self.rows.move(-1)

    def do_page_down(self) -> None:
        self.rows.move(self.rows.page)

    def do_page_up(self) -> None:
        self.rows.move(-self.rows.page)

    def do_half_down(self) -> None:
        self.rows.move(self.rows.page // 2)

    def do_half_up(self) -> None:
        self.rows.move(-(self.rows.page // 2))

    def do_top(self) -> None:
        """Moves to the first row and stays there: the cursor no longer follows a key."""
        self._go_to(0)
        self.rows.anchored = False

    def do_bottom(self) -> None:
        self._go_to(self.rows.total - 1)

    def _go_to(self, row: int) -> None:
        """Goes to the row that has this place now: the next key means it, not what was seen there."""
        self.rows.look.forget()
        self.rows.go(row)

    def do_sort(self) -> None:
        """Lets the next key choose the column that sorts the list."""
        self.rows.choose()

    def on_rows_opened(self) -> None:
        """Treats a double click as Enter."""
        every = self.session.commands(self.SCOPE)
        for one in [one for one in every if "enter" in one.keys.split(",")]:
            self.session.perform(one.id)

    def on_rows_missing(self) -> None:
        """Requests the rows that are not loaded yet."""
        self.session.poll_soon()


def why_no_row(rows: Rows) -> str:
    """Why there is no row under the cursor."""
    if rows.ghost is not None:
        return "The one under the cursor is gone."
    return "It is being read." if rows.total else rows.placeholder
