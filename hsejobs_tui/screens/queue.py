"""The jobs of a queue by state, or of all states: list, search, selection, and the job beside it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Static

from hsejobs.control import why
from hsejobs.control.act_table import ACTS
from hsejobs.errors import JobsError
from hsejobs.model import FINISHED, JobRecord, State
from hsejobs.watch.advice import asleep
from hsejobs_tui.core import all_states
from hsejobs_tui.core.alerts import held_text
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.joblist import EMPTY, cause, figures, nothing, titled, what
from hsejobs_tui.core.text import one_line, safe
from hsejobs_tui.core.view import AHEAD, LOOK, STATES, kind, remark, when
from hsejobs_tui.screens.shares import Shares
from hsejobs_tui.session.places import JobPlace, Place, QueuePlace
from hsejobs_tui.widgets import queue_head
from hsejobs_tui.widgets.job_parts import card, preview
from hsejobs_tui.widgets.rows import Column, Row, Rows
from hsejobs_tui.widgets.typing import Line


def _columns(state: int) -> tuple[Column, ...]:
    """The columns; ``state``: the width of the first. What matters most has the most room at any width."""
    return (
        Column("state" if state > 2 else "", state),
        Column("id", 17, wide=20),
        Column("task", 15, above=90),
        Column("organization", 12, above=105),
        Column("tries", 5, right=True, above=70),
        Column("waited", 6, right=True, above=125),
        Column("ran", 5, right=True, above=118),
        Column("when", 10, right=True, gone=True),
        Column("what", 0),
    )


#: The columns of one state, and of all.
ONE, ALL = _columns(1), _columns(11)
#: Short names of the states for narrow terminals, as in the overview's columns.
SHORT = dict(zip(STATES, ("wait", "run", "delay", "done", "fail"), strict=True))
#: The tabs: the states, and all of them.
TABS: tuple[State | None, ...] = (*STATES, None)
#: Rows that are read before and after the visible ones.
AROUND = 40
#: Width in cells from which the job under the cursor is shown beside the list.
BESIDE = 160


class QueueView(Shares):
    SCOPE: ClassVar[str] = "queue"
    NEEDED: ClassVar[tuple[str, ...]] = (
        *("open", "search", "select", "retry", "supersede", "request", "cancel"),
    )

    def __init__(
        self, queue: str, state: State | None, query: str = "", *, searching: bool = False
    ) -> None:
        super().__init__(query)
        self._queue, self.state = queue, state
        self.reverse = state is not None and state not in AHEAD
        self._editing_search = searching
        self._paused, self._held = False, ""
        #: The job under the cursor as a whole, the last lines of its log, the first of its payload.
        self._peeked: tuple[JobRecord, list[str], list[str]] | None = None
        self._card: object = None
        #: Why no job of the queue starts; '' if jobs start.
        self._stuck = ""

    @property
    def queue(self) -> str:
        return self._queue

    @property
    def place(self) -> Place:
        return QueuePlace(self.queue, self.state, self.query_text)

    def offers(self, command: Command) -> bool:
        """In the footer, what can be done with the jobs of the state; a cancel only where they run."""
        if command.id == "supersede":
            return self.state is State.FAILED
        if command.id == "cancel":
            return self.state is State.ACTIVE
        if command.id in ("retry", "remove") and self.state is not None:
            return self.state in ACTS[command.id].states
        return super().offers(command)

    @property
    def cleaned(self) -> State:
        """The current state, or completed where it cannot be cleaned."""
        known = self.state not in (None, State.ACTIVE)
        return self.state or State.COMPLETED if known else State.COMPLETED

    def body(self) -> ComposeResult:
        yield Static(id="strip", markup=False)
        yield Static(id="shares", markup=False)
        with Horizontal(id="tabs"):
            for state in TABS:
                yield Static(id=f"tab-{state or 'all'}", markup=False)
        yield Line(
            id="search",
            placeholder=f"in {self.queue}: words, id=... error~timeout data.to=ann@example.com",
        )
        yield Static(id="found", markup=False)
        with Horizontal(id="listing"):
            yield Rows(ONE if self.state else ALL, EMPTY)
            with VerticalScroll(id="beside", can_focus=False):
                yield Static(id="card", markup=False)
        yield Static(id="detail", markup=False)

    def on_mount(self) -> None:
        """Focuses the list and starts a search if one was requested."""
        self.rows.focus()
        if self._editing_search:
            self.do_search()
        elif self.query_text:
            self.find(self.query_text)

    # -- drawing

    def subject(self) -> Text:
        return Text(self.queue)

    def head(self) -> Text:
        """Queue, cursor position, order and number of selected jobs."""
        rows = self.rows
        words = ("next", "last") if self.state in AHEAD else ("oldest", "newest")
        order = f"{words[self.reverse]} first"
        if self.state is None:
            order = "active first" + ", reversed" * self.reverse
        text = Text(f"{self.queue} ")
        if self._paused:
            text.append(" PAUSED ", "reverse warn").append(" ")
        place = f"{min(rows.cursor + 1, rows.total):,} / {rows.total:,}"
        text.append(f"{place}, {order}{', of now' * (self.session.window.end is not None)}")
        if self._held:
            text.append("  ").append(self._held, "bold warn")
        if rows.all_marked:
            text.append("  ALL selected", "bold")
        elif rows.marked:
            text.append(f"  {len(rows.marked):,} selected", "bold")
            text.append(", D compares them" * (len(rows.marked) == 2))
        if rows.ghost is not None:
            text.append("  this job is gone", "bold warn")
        return text

    def draw(self) -> None:
        """Draws the strip, the tabs, the search line and the job beside too."""
        stats = self.session.stats(self.queue)
        self._paused = bool(stats and stats.is_paused)
        self._held = held_text(stats) if stats else ""
        if not self.query_text:
            self.rows.empty = self.nothing()
        wide = self.size.width >= BESIDE
        self.query_one("#beside").display = wide
        super().draw()
        plain = self.session.options.ascii_only
        name, width = self.session.window.name, self.size.width
        live = self.session.window.end is None
        strip = queue_head.strip(stats, self.past, name, width, ascii_only=plain, live=live)
        self.set_text("strip", strip)
        shares = queue_head.shares(self.past, self.chosen, width)
        self.query_one("#shares").display = bool(shares)
        self.set_text("shares", shares)
        for state in TABS:
            glyph, letter, color = LOOK[state] if state else ("*", "*", "")
            names = STATES if state is None else (state,)
            count = sum(getattr(stats, one.value) for one in names) if stats else 0
            number = f" {count:,}" if self.session.snapshot is not None else ""
            word = "all" if state is None else state if width >= 90 else SHORT[state]
            mark = f"{letter if plain else glyph} " if state else ""
            self.set_text(f"tab-{state or 'all'}", Text(f"{mark}{word}{number}", color))
            self.query_one(f"#tab-{state or 'all'}").set_class(state is self.state, "-on")
        self.draw_found()
        if wide:
            self._draw_card()

    def _draw_card(self) -> None:
        """Draws the job under the cursor, if it or the room for it changed."""
        place = self.query_one("#beside")
        seen = self._peeked if self._peeked and self._peeked[0].id == self.rows.key else None
        size = (place.size.width - 1, place.size.height)
        job = seen[0] if seen else None
        drawn: object = (job and (job.id, job.version, job.log_count, job.progress, job.why), size)
        # Times move with the clock: those of a job that has not ended are drawn now and then.
        if job is not None and job.finished_at is None:
            drawn = (drawn, self.session.redis_now // 3000)
        if drawn == self._card:
            return
        self._card = drawn
        plain, now = self.session.options.ascii_only, self.session.redis_now
        shown = card(*seen, now, size, ascii_only=plain) if seen else Text()
        self.query_one("#card", Static).update(shown)

    def detail(self) -> Text:
        """Why the job under the cursor is where it is, its error or its progress, in full."""
        job = self.job
        if job is None or self.size.width >= BESIDE:
            return Text()
        text = Text()
        peeked = self._peeked[0] if self._peeked and self._peeked[0].id == job.id else None
        if peeked is not None and peeked.why is not None:
            text.append(safe(why.line(peeked.why), 300), "bold").append("\n")
        if job.failed_reason and not job.waits_for:
            return text.append(safe(titled(kind(job), job.failed_reason), 600))
        return text.append(safe(job.failed_reason or remark(job), 600))

    @property
    def _alive(self) -> int | None:
        """How many consumers of the queue live; None if the session may not know."""
        seen = self.session.snapshot
        known = None if seen is None or self.session.confined else seen.workers.get(self.queue)
        return None if known is None else len(known)

    @property
    def _quiet(self) -> bool:
        """Whether no consumer of the queue claims jobs, because all are quiet."""
        seen = self.session.snapshot
        return seen is not None and asleep(seen.workers.get(self.queue, ()))

    def nothing(self) -> str:
        stats = self.session.stats(self.queue)
        return nothing(stats, self.state, self._alive, quiet=self._quiet)

    def row_of(self, job: JobRecord, now: int) -> Row:
        """The row of a job, one cell per column."""
        self._jobs[job.id] = job
        plain = self.session.options.ascii_only
        glyph, letter, color = LOOK[job.status]
        word = f" {job.status}" if self.state is None else ""
        waited, ran = figures(job, now)
        excerpt = self.excerpt(job.id)
        matters = what(job, self._stuck)
        return Row(
            job.id,
            [
                Text(f"{letter if plain else glyph}{word}", color),
                safe(job.id, 200),
                safe(job.name.rpartition(".")[2], 60),
                safe(job.organization_id or "-", 60),
                f"{job.attempts_made}/{job.attempts}",
                waited,
                ran,
                when(job, now),
                one_line(f"{excerpt}  {matters}" if excerpt and matters else excerpt or matters),
            ],
        )

    # -- reading

    async def poll(self) -> None:
        """Reads the rows around the visible ones, the position of the cursor's job, and that job."""
        self.read_past_soon()
        self._stuck = cause(self.session.stats(self.queue), self._alive, quiet=self._quiet)
        if self.query_text:
            await self.poll_hits()
        else:
            await self._poll_rows()
        await self._peek()

    async def _poll_rows(self) -> None:
        source, rows, state, reverse = self.session.source, self.rows, self.state, self.reverse
        offset = max(0, rows.first - AROUND)
        limit = min(200, rows.page + 2 * AROUND)
        near = rows.anchored and offset <= rows.cursor < offset + limit
        anchor = (rows._key or None) if near else None
        place = {
            "offset": offset,
            "limit": limit,
            "reverse": reverse,
            "anchor": anchor,
            "anchor_row": rows.cursor - offset,
        }
        if state is None:
            seen = await self.session.read(all_states.window, source, self.queue, **place)
        else:
            seen = await self.session.read(source.window, self.queue, state, **place)
        # Another list was asked for meanwhile: a key would mean what is not shown any more.
        if (self.state, self.reverse) != (state, reverse) or self.query_text:
            return
        at = {
            seen.offset + n: self.row_of(job, seen.now) if job else Row(f"?{n}", ["gone"], True)
            for n, job in enumerate(seen.rows)
        }
        self._jobs = {job.id: job for job in seen.rows if job}
        rows.place(seen.total, at, seen.place, anchor=anchor)

    async def _peek(self) -> None:
        """Reads the job under the cursor as a whole, with why it is where it is."""
        key, session = self.rows.key, self.session
        if key is None or self._is_peeked(key):
            return
        tail = max(20, self.size.height)
        try:
            job, lines = await session.read(session.source.job, self.queue, key, tail)
            self._peeked = job, lines, await session.read(preview, job)
        except JobsError:
            # The list itself shows that the job is gone, or that Redis does not answer.
            self._peeked = None

    def _is_peeked(self, key: str) -> bool:
        """Whether the job was read already and cannot have changed: it ended, and is as the list has it."""
        seen, row = self._peeked, self._jobs.get(key)
        if seen is None or row is None or seen[0].id != key or row.status not in FINISHED:
            return False
        old = seen[0]
        same = (old.version, old.superseded_by, old.log_count)
        return same == (row.version, row.superseded_by, row.log_count)

    def draw_cursor(self) -> None:
        """Draws the lines that depend on the cursor, and reads its job."""
        super().draw_cursor()
        self.run_worker(self._peek_and_draw, name="peek", group="peek", exclusive=True)

    async def _peek_and_draw(self) -> None:
        await self._peek()
        if self.is_mounted:
            self.draw()

    # -- states

    def do_next_state(self) -> None:
        self._step(1)

    def do_last_state(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        at = TABS.index(self.state)
        around = [TABS[(at + by * n) % len(TABS)] for n in range(1, len(TABS))]
        # During a search, states without hits are skipped.
        hits = [one for one in around if one and one in self.found and self.found[one].count]
        self.to(hits[0] if hits else around[0])

    def on_click(self, event: object) -> None:
        """Opens the clicked tab, or follows the hits in another queue."""
        widget = getattr(event, "widget", None)
        name = getattr(widget, "id", None) or ""
        if name == "tab-all":
            self.to(None)
        elif name.startswith("tab-"):
            self.to(State(name[4:]))
        elif name == "found":
            self.follow()

    def to(self, state: State | None) -> None:
        """Switches to another state, None for all; a search stays active."""
        self.state, self.reverse = state, state is not None and state not in AHEAD
        self.rows.columns = ONE if state else ALL
        self.rows.reset()
        if self.query_text:
            self.draw_hits()
        self.draw()
        self.session.poll_soon()

    def do_order(self) -> None:
        self.reverse = not self.reverse
        self.rows.reset()
        self.session.poll_soon()

    def do_back(self) -> None:
        """Closes one thing at a time: the search line, the search, the selection, the screen."""
        if self._editing_search or self.query_text:
            reopened = self._editing_search and self.query_text
            if reopened:
                # Only the search line was reopened: keep the current search.
                self._editing_search = False
                self.query_one("#search", Input).value = self.query_text
            else:
                self.leave_search()
                self.rows.reset()
            self.rows.focus()
            self.session.poll_soon()
        elif self.rows.marked or self.rows.all_marked:
            self.rows.mark(set())
        else:
            self.dismiss()
            return
        self.draw()

    def do_open(self) -> None:
        """Opens the job; if the search found none here, opens the queue that has hits."""
        if self.rows.key:
            self.session.open(JobPlace(self.queue, self.rows.key))
        else:
            self.follow()

    def follow(self) -> None:
        """Opens the same search in the first other queue that has hits."""
        if self.other_hits:
            hits = self.other_hits[0]
            self.session.open(QueuePlace(hits.queue, hits.state, self.query_text), replace=True)
