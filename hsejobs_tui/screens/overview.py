"""The overview: the strip of figures, the queues in the order of their trouble, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.store.read_live import Server
from hsejobs.wording import counted
from hsejobs_tui.core import overview, panes
from hsejobs_tui.core.causes import Causes, read_causes, read_users
from hsejobs_tui.core.charts import Line
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.overview import (
    MARKS,
    Figure,
    QueueView,
    figures,
    fold,
    queue_views,
    strip,
    verdict,
)
from hsejobs_tui.core.overview_cells import Layout, cells, sort_keys
from hsejobs_tui.core.past import Past, PastReader
from hsejobs_tui.core.steady import SHARE, Places, Rank
from hsejobs_tui.core.text import safe, size
from hsejobs_tui.core.view import NO_QUEUE, is_empty
from hsejobs_tui.screens.one_queue import OneQueue
from hsejobs_tui.session.places import QueuePlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

#: The key of the line that stands for the quiet queues.
QUIET = "\0quiet"
#: The size from which the panes are shown, and the least lines of queues, panes and charts.
PANES = (120, 30)
LEAST_ROWS, LEAST_PANES, LEAST_CHART = 5, 6, 4
#: Least seconds between two reads of the organizations' shares, which read more than the rest, and the
#: largest share of the time that they take.
USERS_EVERY, USERS_SHARE = 60.0, 0.002


class Overview(OneQueue):
    """The first screen: all queues, whether it gets better or worse, and why."""

    SCOPE: ClassVar[str] = "overview"
    HEAD: ClassVar[str] = "Queues"
    NEEDED: ClassVar[tuple[str, ...]] = ("open", "search", "pause", "hold")

    def __init__(self) -> None:
        super().__init__()
        self._reader: PastReader | None = None
        self._read: Past | None = None
        self._read_for: object = None
        #: How often something was read, and what is drawn below the queues: most of it changes only then.
        self._reads = 0
        self._below: object = None
        self._causes = Causes()
        self._unfolded = False
        self._views: list[QueueView] = []
        self._places: Places[str] = Places(*overview.MOVES)
        self._user_places: Places[str] = Places(SHARE)
        #: By queue, what its row shows, and its cells.
        self._drawn: dict[str, tuple[object, list[Text]]] = {}
        self._figures: list[Figure] = []
        self._users: list[tuple[str, float]] | None = None
        self._users_due = 0.0
        self._users_for: object = None
        self._columns: tuple[Column, ...] = ()
        self._welcoming = False

    def body(self) -> ComposeResult:
        """The strip, the queues, and below them charts and panes."""
        line = Static(id="figures", markup=False)
        line.display = False
        yield line
        yield Rows((), NO_QUEUE)
        yield Static(id="below", markup=False)

    @property
    def queue(self) -> str | None:
        key = self.rows.key
        return None if key == QUIET else key

    # -- reading

    async def poll(self) -> None:
        """Shows the page of a new installation until there is a job."""
        seen = self.session.snapshot
        if seen is not None and (self._welcoming or is_empty(seen)):
            from hsejobs_tui.widgets.first_start import welcome

            self._welcoming = await welcome(self, empty=is_empty(seen))

    async def do_sample(self) -> None:
        """Adds a sample job while there is none."""
        from hsejobs_tui.flows.sample_job import add_sample

        if self._welcoming:
            await add_sample(self.session)
        else:
            self.session.show_message("there are jobs already: n writes one")

    async def poll_slowly(self) -> None:
        """Reads the past of the window, and the causes of what is wrong now."""
        session = self.session
        seen = session.snapshot
        if seen is None:
            return
        await super().poll_slowly()
        window = session.window
        past = await session.do(self._read_past, [one.name for one in seen.queues])
        # The charts are worth a frame before the causes are known.
        self._read, self._read_for = past, window
        self._reads += 1
        self.draw()
        worst = [one.name for one in self._views if one.level in MARKS]
        self._causes = await session.do(read_causes, session.source, seen, past, worst)
        session.circuits = self._causes.circuits
        if past is not None and self._has_panes and not session.confined:
            await self._read_users(past)
        self._reads += 1
        self.draw()

    @property
    def _past(self) -> Past | None:
        """The past in the window that is shown; None until it is read."""
        return self._read if self._read_for == self.session.window else None

    async def _read_users(self, past: Past) -> None:
        session = self.session
        if session.now() < self._users_due and self._users_for == session.window:
            return
        began, self._users_for = session.now(), session.window
        users = await session.do(read_users, session.source, past)
        self._users = self._user_places.order(
            users, lambda one: one[0], lambda one: Rank((), (one[1],), (one[0],)), session.window
        )
        took = session.now() - began
        self._users_due = session.now() + max(USERS_EVERY, took / USERS_SHARE)

    def _read_past(self, queues: Sequence[str]) -> Past | None:
        session = self.session
        if session.options.member:
            return None
        if self._reader is None:
            self._reader = PastReader(session.source)
        return self._reader.read(session.window, session.redis_now, queues) if queues else None

    # -- drawing

    @property
    def has_read(self) -> bool:
        """Whether there is a snapshot, of which all is drawn."""
        return self.session.snapshot is not None

    def head(self) -> Text:
        """The queues, waiting and failed jobs, and whether it gets better or worse."""
        seen = self.session.snapshot
        if seen is None:
            return self.subject()
        failed = sum(one.failed for one in seen.queues)
        waiting = sum(one.waiting for one in seen.queues)
        now = "" if self.session.window.end is None else "now "
        text = Text(f"{counted(len(seen.queues), 'queue')}, {now}{waiting:,} waiting, ")
        text.append(f"{failed:,} failed")
        trouble = sum(one.level in MARKS for one in self._views)
        if trouble:
            text.append("; ").append(f"{trouble} in trouble", "bold fail")
        word, style = verdict(self._figures, self._views, brief=self.size.width < 100)
        if word and self.session.window.end is None:
            text.append("; ").append(word, style)
        if seen.server is not None and self.size.width >= 160:
            text.append(f"   {_health(seen.server)}", "not bold")
        return text

    def draw(self) -> None:
        """Draws the latest snapshot, with the past as far as it is read."""
        seen, session = self.session.snapshot, self.session
        plain, width, height = session.options.ascii_only, self.size.width, self.size.height
        live = session.window.end is None
        layout = Layout(width, plain, live, not session.confined)
        self._set_columns(layout)
        if seen is None:
            super().draw()
            return
        found = session.alerts
        self._views = queue_views(
            seen,
            found,
            self._causes,
            self._past,
            session.depths,
            live=live,
            whole=not session.confined,
            places=self._places,
        )
        self._figures = figures(seen, self._views, self._past, session.depths, live=live)
        super().draw()
        rows = _strip_rows(width, height) if self._views else 0
        lines = strip(self._figures, width, rows, ascii_only=plain)
        place = self.query_one("#figures")
        place.display = bool(lines) and not self._welcoming
        self.set_text("figures", _text(lines))
        self._draw_rows(layout)
        room = height - len(lines) - 4 + (height < 16)
        self._draw_below(room)

    def draw_cursor(self) -> None:
        """Draws the lines that depend on the cursor: none of the figures does."""
        super().draw()

    def _set_columns(self, layout: Layout) -> None:
        columns = tuple(
            Column(title, wide, right=right)
            for _, title, wide, right in layout.columns(self.session.window.name)
        )
        if columns != self._columns:
            self._columns = self.rows.columns = columns
            self.rows.refresh()

    def _draw_rows(self, layout: Layout) -> None:
        names = [name for name, *_ in layout.columns("")]
        listed, quiet = fold(self._views)
        if self._unfolded:
            listed = [*listed, *quiet]
        rows = [self._row(one, names, layout) for one in listed]
        if len(self._drawn) > len(rows):
            self._drawn = {one.name: self._drawn[one.name] for one in listed}
        if quiet:
            rows.append(Row(QUIET, line=_fold_line(quiet, unfolded=self._unfolded)))
        self.rows.fill(rows)

    def _row(self, one: QueueView, names: Sequence[str], layout: Layout) -> Row:
        shows = one.shows, layout, self._reads, self.session.window
        drawn = self._drawn.get(one.name)
        if drawn is None or drawn[0] != shows:
            made = cells(one, layout, self._past)
            drawn = self._drawn[one.name] = shows, [_text([made[name]]) for name in names]
        keys = sort_keys(one)
        return Row(one.name, drawn[1], values=[keys.get(name) for name in names])

    def _draw_below(self, room: int) -> None:
        """Divides ``room`` lines between the queues and what is below them."""
        width, plain = self.size.width, self.session.options.ascii_only
        live = self.session.window.end is None
        need = self.rows.total + 1
        found = panes.advice(
            self.session.alerts,
            self._views,
            self._causes,
            live=live,
            may_pause=self.session.has("pause"),
        )
        size = (width, self.size.height, room, need)
        shown = (found, self._reads, self.session.window, self.session.unread, size)
        if shown == self._below:
            return
        self._below = shown
        if not self._has_panes:
            rows = max(2, min(need, room - min(4, len(found) or 1), room - 1))
            rows = max(rows, min(need, LEAST_ROWS + 1, room - 1))
            # In a window that ended earlier, these are no alerts of it.
            title: list[Line] = [[(" what to do now:", "dim")]] * (not live and room - rows > 1)
            lines = [*title, *panes.advice_lines(found, width, room - rows - len(title))]
            lines = [panes.cut(one, width, ascii_only=plain) for one in lines]
        else:
            rows = min(need, max(LEAST_ROWS + 1, room - LEAST_PANES - 1))
            lines = self._panes(found, width, room - rows)
        self.rows.styles.height = max(2, rows)
        self.set_text("below", _text(lines))

    @property
    def _has_panes(self) -> bool:
        wide = self.size.width >= PANES[0] and self.size.height >= PANES[1]
        return wide and bool(self._views)

    def _panes(self, found: Sequence[panes.Advice], width: int, room: int) -> list[Line]:
        """The panes, and above them charts of the window if there is room for both."""
        session, past, plain = self.session, self._past, self.session.options.ascii_only
        name, member = session.window.name, session.options.member
        widths = panes.widths(width, 1 if member else 2 if session.confined else 3)
        keys = self._keys()
        todo = panes.advice_lines(found, widths[0] - 1, 999, keys=keys)
        charts: list[Line] = []
        if past is not None and (left := room - max(len(todo), LEAST_PANES) - 1) >= LEAST_CHART:
            charts = panes.chart_lines(self._figures, past, width, left, ascii_only=plain)
        left = room - len(charts) - 1
        todo = panes.advice_lines(found, widths[0] - 1, left, keys=keys)
        now = "" if session.window.end is None else " now"
        blocks: list[panes.Block] = [(f"what to do{now}", todo, widths[0])]
        unread: list[Line] = [[(f" {session.unread}", "dim")]][:left]
        if len(widths) == 3:
            users = self._users if self._users_for == session.window else None
            shown = unread
            if users is not None:
                shown = panes.user_lines(users, widths[1] - 1, left, ascii_only=plain)
            blocks.append((f"who, {name}", shown, widths[1]))
        if not member:
            changes = unread
            if past is not None:
                room, bursts = widths[-1] - 1, self._causes.bursts
                changes = panes.change_lines(past, bursts, room, left, ascii_only=plain)
            blocks.append((f"what changed, {name}", changes, widths[-1]))
        return [*charts, *panes.side_by_side(blocks, left, ascii_only=plain)]

    def _keys(self) -> list[str]:
        known = {
            "open": "Enter look",
            "pause": "P pause",
            "failures": "2 failures",
            "workers": "3 workers",
            "sort": "s sort",
        }
        return [text for name, text in known.items() if self.session.has(name)]

    def on_resize(self) -> None:
        """Draws again, because columns and heights depend on the size."""
        self.draw()

    # -- commands

    def searched(self) -> str | None:
        """The queue under the cursor; on the line of the quiet ones, the first."""
        return self.queue or super().searched()

    @property
    def busy(self) -> str | None:
        """Who fills the slots, as what to do says."""
        filler = self._causes.fillers.get(self.queue or "")
        return filler.organization if filler is not None else None

    def lacking(self, command: Command) -> str:
        """The line of the quiet queues is no queue."""
        if command.acts_on and self.rows.key == QUIET:
            return "The cursor is on the quiet queues: Enter unfolds them, then choose one."
        return super().lacking(command)

    def do_search(self) -> None:
        """Opens the queue with its search line."""
        self.do_search_jobs()

    def do_open(self) -> None:
        """Opens the queue's jobs, those first that its trouble is about."""
        if self.rows.key == QUIET:
            self._unfolded = not self._unfolded
            self.draw()
        elif self.queue is not None and self.session.snapshot is not None:
            stats = {one.name: one for one in self.session.snapshot.queues}[self.queue]
            from hsejobs_tui.core.first_state import first_state

            self.session.open(QueuePlace(self.queue, first_state(stats, self.session.alerts)))


def _strip_rows(width: int, height: int) -> int:
    """The lines of the strip: few in a short terminal."""
    if height < 20:
        return int(height >= 14)
    return 3 if width < 110 else 2


def _fold_line(quiet: Sequence[QueueView], *, unfolded: bool) -> Text:
    text = Text(f"   {len(quiet)} quiet", "dim")
    if unfolded:
        return text.append(": Enter folds them")
    return text.append(": " + safe(", ".join(one.name for one in quiet), 400))


def _text(lines: Sequence[Line]) -> Text:
    text = Text(no_wrap=True)
    for n, line in enumerate(lines):
        if n:
            text.append("\n")
        for part, style in line:
            text.append(part, style or None)
    return text


def _health(server: Server) -> str:
    """The health of Redis: version, memory and its limit, clients, eviction policy."""
    memory = size(server.used_memory)
    if server.maxmemory:
        memory += f" of {size(server.maxmemory)}"
    clients = counted(server.clients, "client")
    return f"{server.version}, {memory}, {clients}, {server.policy or 'policy ?'}"
