"""The jobs of a queue by state: a list of any length, search, selection, acts."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from hsejobs.model import JobRecord, State
from hsejobs_tui.core import filters
from hsejobs_tui.core.source import HITS_KEPT, Hits
from hsejobs_tui.core.text import one_line, safe
from hsejobs_tui.core.view import AHEAD, LOOK, STATES, remark, when
from hsejobs_tui.screens.job_acts import act
from hsejobs_tui.screens.queue_acts import QueueActs
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("state", 11), Column("id", 20), Column("task", 16, above=100),
    Column("organisation", 14, above=120), Column("pr", 2, right=True, above=100),
    Column("tries", 6, right=True), Column("when", 10, right=True), Column("remark", 0),
)  # fmt: skip


#: The states' names in a narrow terminal, as the overview's columns call them.
SHORT = dict(zip(STATES, ("wait", "run", "delay", "done", "fail"), strict=True))


class QueueView(QueueActs):
    """One queue."""

    SCOPE: ClassVar[str] = "queue"

    def __init__(self, queue: str, state: State, query: str = "") -> None:
        super().__init__()
        self._queue, self.state = queue, state
        self.reverse = state not in AHEAD
        self.query_text = query
        self.hits: Hits | None = None
        self.all_marked = False
        self._searching = 0
        self._paused = False

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._queue

    @property
    def cleaned(self) -> State:
        """The state that is shown, if it can be cleaned."""
        return State.COMPLETED if self.state is State.ACTIVE else self.state

    def body(self) -> ComposeResult:
        """Tabs, search, list."""
        with Horizontal(id="tabs"):
            for state in STATES:
                yield Static(id=f"tab-{state}", markup=False)
        yield Input(id="search", placeholder="words, id=... error=timeout data.to=ann@example.com")
        yield Static(id="found", markup=False)
        yield Rows(COLUMNS, "No job is in this state.")

    def on_mount(self) -> None:
        """The list has the keys."""
        self.rows.focus()
        if self.query_text:
            self._search()

    def head(self) -> Text:
        """The queue, where the cursor is, how many are marked."""
        rows = self.rows
        order = "next first" if self.state in AHEAD and not self.reverse else (
            "newest first" if self.reverse else "oldest first")  # fmt: skip
        text = Text(f"{self.queue} ")
        if self._paused:
            text.append(" PAUSED ", "bold reverse yellow").append(" ")
        place = f"{rows.cursor + 1:,} / {rows.total:,}" if rows.total else "0 / 0"
        text.append(f"{place}, {order}")
        if self.all_marked:
            text.append("  ALL selected", "bold")
        elif rows.marked:
            text.append(f"  {len(rows.marked):,} selected", "bold")
        if rows.ghost is not None:
            text.append("  this job went away", "bold yellow")
        return text

    def told(self) -> None:
        """Draws the tabs too."""
        super().told()
        stats = self._stats()
        plain = self.jobs_app.options.ascii_only
        for state in STATES:
            glyph, letter, colour = LOOK[state]
            count = getattr(stats, state.value) if stats else 0
            word = state.value if self.size.width >= 90 else SHORT[state]
            tab = self.query_one(f"#tab-{state}", Static)
            tab.update(Text(f"{letter if plain else glyph} {word} {count:,}", colour))
            tab.set_class(state is self.state, "-on")
        self._paused = bool(stats and stats.is_paused)

    async def poll(self) -> None:
        """The rows around what is seen, with the cursor's job where it is now."""
        source, rows, state = self.jobs_app.source, self.rows, self.state
        if self.hits is not None:
            await self._poll_hits()
            return
        offset = max(0, rows.first - 60)
        near = rows.held and offset <= rows.cursor < offset + 200
        anchor = rows._key if near else None
        seen = await self.jobs_app.look(
            source.window, self.queue, state, offset=offset, limit=200, reverse=self.reverse,
            anchor=anchor, anchor_row=rows.cursor - offset,
        )  # fmt: skip
        if self.state is not state or self.hits is not None:
            return
        at = {
            seen.offset + n: self._row(job, seen.now) if job else Row(f"?{n}", ["gone"], True)
            for n, job in enumerate(seen.rows)
        }
        rows.place(seen.total, at, seen.place, known=anchor is not None)

    def _row(self, job: JobRecord, now: int) -> Row:
        plain = self.jobs_app.options.ascii_only
        glyph, letter, colour = LOOK[job.status]
        state = Text(f"{letter if plain else glyph} {job.status}", colour)
        return Row(job.id, [
            state, safe(job.id, 200), safe(job.name.rpartition(".")[2], 60),
            safe(job.organization_id or "-", 60), str(job.priority),
            f"{job.attempts_made}/{job.attempts}", when(job, now), one_line(remark(job)),
        ])  # fmt: skip

    # -- states

    def do_next_state(self) -> None:
        """The next tab."""
        self._to(STATES[(STATES.index(self.state) + 1) % len(STATES)])

    def do_last_state(self) -> None:
        """The tab before."""
        self._to(STATES[STATES.index(self.state) - 1])

    def on_click(self, event: object) -> None:
        """A tab."""
        widget = getattr(event, "widget", None)
        name = getattr(widget, "id", None) or ""
        if name.startswith("tab-"):
            self._to(State(name[4:]))

    def _to(self, state: State) -> None:
        self.state, self.reverse = state, state not in AHEAD
        self._leave_search()
        self.rows.reset()
        self.jobs_app.poll_soon()

    def do_order(self) -> None:
        """From the other end."""
        self.reverse = not self.reverse
        self.rows.reset()
        self.jobs_app.poll_soon()

    # -- search

    def do_search(self) -> None:
        """Opens the line of the search."""
        line = self.query_one("#search", Input)
        line.add_class("-open")
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: the search begins."""
        self.query_text = event.value.strip()
        self.rows.focus()
        self._search()

    def _search(self) -> None:
        self._searching += 1
        self.rows.reset()
        self.all_marked, self.hits = False, None
        if not self.query_text:
            self._leave_search()
            self.jobs_app.poll_soon()
            return
        self.run_worker(self._find(self._searching), name="search", exit_on_error=False)

    async def _find(self, number: int) -> None:
        app = self.jobs_app
        wanted = filters.parse(self.query_text)
        steps = app.source.search(self.queue, self.state, wanted)
        drawn = 0.0
        while self._searching == number:
            hits = await app.do(next, steps, None)
            if self._searching != number or hits is None:
                return
            self.hits = hits
            now = app.now()
            if now - drawn > 0.15 or hits.done:
                drawn = now
                self._draw_hits()
            await asyncio.sleep(0)

    def _draw_hits(self) -> None:
        hits = self.hits
        if hits is None or not self.is_mounted:
            return
        stats = self._stats()
        now = stats.now if stats else 0
        self.rows.fill([self._row(job, now) for job in hits.jobs])
        more = f", the first {HITS_KEPT:,} are shown" if hits.count > HITS_KEPT else ""
        state = "searched" if hits.done else "searching, Esc ends it:"
        found = self.query_one("#found", Static)
        found.add_class("-open")
        found.update(
            Text(f" /{safe(self.query_text, 60)}  {hits.count:,} found{more}; {state} "
                 f"{hits.seen:,} of {hits.total:,} {self.state}", "bold")
        )  # fmt: skip

    async def _poll_hits(self) -> None:
        """What is seen of the hits, as it is now; what went away is said so."""
        rows, hits = self.rows, self.hits
        if hits is None or not hits.jobs:
            return
        seen = hits.jobs[rows.first : rows.first + rows.page]
        found = await self.jobs_app.look(self.jobs_app.source.jobs, self.queue,
                                         [job.id for job in seen])  # fmt: skip
        stats = self._stats()
        for n, (old, new) in enumerate(zip(seen, found, strict=True)):
            place = rows.first + n
            row = self._row(new or old, stats.now if stats else 0)
            if new is None:
                row = Row(row.key, [Text("gone", "dim"), *row.cells[1:]], True)
            if place in rows.at and rows.at[place].key == row.key:
                rows.at[place] = row
        rows.refresh()

    def _leave_search(self) -> None:
        self._searching += 1
        self.hits, self.query_text, self.all_marked = None, "", False
        line = self.query_one("#search", Input)
        line.remove_class("-open")
        line.value = ""
        self.query_one("#found").remove_class("-open")

    def do_back(self) -> None:
        """Leaves the search line, the search, the selection, the screen: one at a time."""
        line = self.query_one("#search", Input)
        if line.has_focus and not self.query_text:
            self._leave_search()
            self.rows.focus()
        elif self.hits is not None or self.query_text:
            self._leave_search()
            self.rows.reset()
            self.rows.focus()
            self.jobs_app.poll_soon()
        elif self.rows.marked or self.all_marked:
            self.rows.marked, self.all_marked = set(), False
            self.rows.refresh()
            self.told()
        else:
            self.dismiss()

    # -- selection and acts

    def do_select(self) -> None:
        """Marks the job, and goes on to the next."""
        rows = self.rows
        if rows.key is not None:
            rows.marked ^= {rows.key}
            rows.move(1)
            self.told()

    def do_select_all(self) -> None:
        """All that match, or none any more."""
        self.all_marked = not self.all_marked
        self.rows.marked = set()
        self.told()

    async def _meant(self) -> tuple[list[str], str]:
        """The ids that an act is about, and words for them."""
        app, rows = self.jobs_app, self.rows
        if self.all_marked:
            wanted, hits = filters.parse(self.query_text), None
            app.say(f"counting the {self.state} jobs that match ...")
            steps = app.source.search(self.queue, self.state, wanted)
            while (step := await app.do(next, steps, None)) is not None:
                hits = step
            ids = hits.ids if hits else []
            which = f" matching {safe(self.query_text, 60)}" if self.query_text else ""
            return ids, f"all {len(ids):,} {self.state} jobs{which}"
        if rows.marked:
            return sorted(rows.marked), ""
        return ([rows.key] if rows.key else []), ""

    async def _act(self, name: str) -> None:
        ids, what = await self._meant()
        if await act(self.jobs_app, name, self.queue, ids, what):
            self.rows.marked, self.all_marked = set(), False

    async def do_retry(self) -> None:
        """Retries what is meant."""
        await self._act("retry")

    async def do_remove(self) -> None:
        """Removes what is meant."""
        await self._act("remove")

    async def do_promote(self) -> None:
        """Promotes what is meant."""
        await self._act("promote")

    def do_copy_id(self) -> None:
        """The id to the clipboard."""
        if self.rows.key:
            self.app.copy_to_clipboard(self.rows.key)
            self.jobs_app.say("copied the id")

    async def do_duplicate(self) -> None:
        """A copy with edits."""
        from hsejobs_tui.screens.editor import write_job

        if self.rows.key:
            await write_job(self.jobs_app, self.queue, self.rows.key)

    def do_open(self) -> None:
        """The job."""
        from hsejobs_tui.screens.job import JobView

        if self.rows.key:
            self.app.push_screen(JobView(self.queue, self.rows.key))
