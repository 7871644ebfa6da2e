"""The jobs of a queue by state: list, search, selection and acts."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from hsejobs.control import filters
from hsejobs.errors import JobsError
from hsejobs.model import JobRecord, State
from hsejobs.store.write import Seen
from hsejobs_tui.core.source import Hits
from hsejobs_tui.core.text import one_line, safe
from hsejobs_tui.core.view import AHEAD, LOOK, STATES, kind, remark, when
from hsejobs_tui.flows.job_acts import act, act_counted
from hsejobs_tui.screens.finding import EMPTY, Finding
from hsejobs_tui.session.places import JobPlace, Place, QueuePlace
from hsejobs_tui.widgets.rows import Column, Row, Rows
from hsejobs_tui.widgets.typing import Line

COLUMNS = (
    Column("state", 11),
    Column("id", 20),
    Column("task", 16, above=100),
    Column("organization", 14, above=120),
    Column("pr", 2, right=True, above=100),
    Column("tries", 6, right=True),
    Column("when", 10, right=True),
    Column("remark", 0),
)


#: Short names of the states for narrow terminals, as in the overview's columns.
SHORT = dict(zip(STATES, ("wait", "run", "delay", "done", "fail"), strict=True))


class QueueView(Finding):
    SCOPE: ClassVar[str] = "queue"

    def __init__(
        self, queue: str, state: State, query: str = "", *, searching: bool = False
    ) -> None:
        super().__init__(query)
        self._queue, self.state = queue, state
        self.reverse = state not in AHEAD
        self._editing_search = searching
        #: The jobs in the list, by id.
        self._jobs: dict[str, JobRecord] = {}
        self._paused = False
        #: Versions of the selected jobs at the time of selection.
        self._bound: dict[str, str] = {}
        #: The matching jobs, while they are counted for an act.
        self._counting: Hits | None = None

    @property
    def queue(self) -> str:
        return self._queue

    @property
    def place(self) -> Place:
        return QueuePlace(self.queue, self.state, self.query_text)

    @property
    def cleaned(self) -> State:
        """The current state, or completed where it cannot be cleaned."""
        return State.COMPLETED if self.state is State.ACTIVE else self.state

    def body(self) -> ComposeResult:
        with Horizontal(id="tabs"):
            for state in STATES:
                yield Static(id=f"tab-{state}", markup=False)
        yield Line(
            id="search",
            placeholder=f"in {self.queue}: words, id=... error~timeout data.to=ann@example.com",
        )
        yield Static(id="found", markup=False)
        yield Rows(COLUMNS, EMPTY)
        yield Static(id="detail", markup=False)

    def on_mount(self) -> None:
        """Focuses the list and starts a search if one was requested."""
        self.rows.focus()
        if self._editing_search:
            self.do_search()
        elif self.query_text:
            self.begin_search()

    def head(self) -> Text:
        """Queue, cursor position, order and number of selected jobs."""
        rows = self.rows
        words = ("next", "last") if self.state in AHEAD else ("oldest", "newest")
        order = f"{words[self.reverse]} first"
        text = Text(f"{self.queue} ")
        if self._paused:
            text.append(" PAUSED ", "reverse warn").append(" ")
        place = f"{min(rows.cursor + 1, rows.total):,} / {rows.total:,}"
        text.append(f"{place}, {order}")
        if rows.all_marked:
            text.append("  ALL selected", "bold")
        elif rows.marked:
            text.append(f"  {len(rows.marked):,} selected", "bold")
        if rows.ghost is not None:
            text.append("  this job is gone", "bold warn")
        return text

    def draw(self) -> None:
        """Draws the tabs and the search line too."""
        stats = self.session.stats(self.queue)
        self._paused = bool(stats and stats.is_paused)
        super().draw()
        plain = self.session.options.ascii_only
        for state in STATES:
            glyph, letter, color = LOOK[state]
            count = getattr(stats, state.value) if stats else 0
            word = state.value if self.size.width >= 90 else SHORT[state]
            tab = self.query_one(f"#tab-{state}", Static)
            self.set_text(
                f"tab-{state}", Text(f"{letter if plain else glyph} {word} {count:,}", color)
            )
            tab.set_class(state is self.state, "-on")
        self.draw_found()

    def detail(self) -> Text:
        """The error or progress of the job under the cursor, in full."""
        job = self._jobs.get(self.rows.key or "")
        if job is None or not (job.failed_reason or remark(job)):
            return Text()
        text = Text()
        if job.failed_reason and not job.waits_for:
            text.append(f"{kind(job)}: ", "dim")
        return text.append(safe(job.failed_reason or remark(job), 600))

    async def poll(self) -> None:
        """Reads the rows around the visible ones, and the position of the cursor's job."""
        source, rows, state = self.session.source, self.rows, self.state
        if self.query_text:
            await self.poll_hits()
            return
        offset = max(0, rows.first - 60)
        near = rows.anchored and offset <= rows.cursor < offset + 200
        anchor = (rows._key or None) if near else None
        seen = await self.session.read(
            source.window,
            self.queue,
            state,
            offset=offset,
            limit=200,
            reverse=self.reverse,
            anchor=anchor,
            anchor_row=rows.cursor - offset,
        )
        if self.state is not state or self.query_text:
            return
        at = {
            seen.offset + n: self.row_of(job, seen.now) if job else Row(f"?{n}", ["gone"], True)
            for n, job in enumerate(seen.rows)
        }
        self._jobs = {job.id: job for job in seen.rows if job}
        rows.place(seen.total, at, seen.place, known=anchor is not None)

    def row_of(self, job: JobRecord, now: int) -> Row:
        """The row of a job, one cell per column."""
        self._jobs[job.id] = job
        plain = self.session.options.ascii_only
        glyph, letter, color = LOOK[job.status]
        state = Text(f"{letter if plain else glyph} {job.status}", color)
        return Row(
            job.id,
            [
                state,
                safe(job.id, 200),
                safe(job.name.rpartition(".")[2], 60),
                safe(job.organization_id or "-", 60),
                str(job.priority),
                f"{job.attempts_made}/{job.attempts}",
                when(job, now),
                one_line(remark(job) or self.excerpt(job.id)),
            ],
        )

    # -- states

    def do_next_state(self) -> None:
        self._step(1)

    def do_last_state(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        at = STATES.index(self.state)
        around = [STATES[(at + by * n) % len(STATES)] for n in range(1, len(STATES))]
        # During a search, states without hits are skipped.
        hits = [one for one in around if one in self.found and self.found[one].count]
        self.to(hits[0] if hits else around[0])

    def on_click(self, event: object) -> None:
        """Opens the clicked tab, or follows the hits in another queue."""
        widget = getattr(event, "widget", None)
        name = getattr(widget, "id", None) or ""
        if name.startswith("tab-"):
            self.to(State(name[4:]))
        elif name == "found":
            self.follow()

    def to(self, state: State) -> None:
        """Switches to another state; a search stays active."""
        self.state, self.reverse = state, state not in AHEAD
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

    # -- selection and acts

    def do_select(self) -> None:
        """Selects or deselects the job and moves to the next."""
        rows = self.rows
        if rows.key is not None:
            job = self._jobs.get(rows.key)
            self._bound[rows.key] = job.version if job else ""
            rows.mark(rows.marked ^ {rows.key})
            rows.move(1)
            self.draw()

    def do_select_all(self) -> None:
        """Selects all matching jobs, or clears the selection."""
        self.rows.mark(set(), every=not self.rows.all_marked)
        self.draw()

    def _targets(self) -> list[Seen]:
        """Ids and versions of the selected jobs, or of the job under the cursor."""
        rows = self.rows
        if rows.marked:
            return sorted((key, self._bound.get(key, "")) for key in rows.marked)
        job = self._jobs.get(rows.key or "")
        return [(job.id, job.version)] if job else []

    async def _count(self, hits: Hits) -> None:
        """Counts all matching jobs into ``hits``; stops when the question closes."""
        session = self.session
        wanted = filters.parse(self.query_text)
        steps = session.source.search(self.queue, self.state, wanted, hits)
        try:
            while self._counting is hits and await session.do(next, steps, None) is not None:
                await asyncio.sleep(0)
        except JobsError as error:
            hits.broken = True
            session.show_message(error)

    async def _act(self, name: str) -> None:
        session = self.session
        if not self.rows.all_marked:
            if await act(session, name, self.queue, self._targets()):
                self.rows.mark(set())
            return
        hits = self._counting = Hits(self.queue, self.state)
        self.run_worker(self._count(hits), name="count", exit_on_error=False)
        which = f"matching {safe(self.query_text, 60)}" if self.query_text else ""
        try:
            where = f"status={self.state} {self.query_text or ''}".strip()
            noun = f"{self.state} job"
            if await act_counted(session, name, self.queue, noun, which, hits, where):
                self.rows.mark(set())
        finally:
            self._counting = None

    async def do_retry(self) -> None:
        await self._act("retry")

    async def do_remove(self) -> None:
        await self._act("remove")

    async def do_promote(self) -> None:
        await self._act("promote")

    async def do_cancel(self) -> None:
        await self._act("cancel")

    def do_copy_id(self) -> None:
        if self.rows.key:
            self.app.copy_to_clipboard(self.rows.key)
            self.session.show_message("copied the id")

    async def do_duplicate(self) -> None:
        from hsejobs_tui.flows.job_writing import write_job

        if self.rows.key:
            await write_job(self.session, self.queue, self.rows.key)

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
