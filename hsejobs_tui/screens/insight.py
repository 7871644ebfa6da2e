"""Insight: what happened, to whom, since when; charts of a window of time with a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.control.findings import Findings, SlowJob
from hsejobs.errors import JobsError
from hsejobs_tui.core import insight, insight_lists, insight_view, moment_jobs
from hsejobs_tui.core.charts import Line
from hsejobs_tui.core.insight import activity, added_up
from hsejobs_tui.core.insight_state import InsightState
from hsejobs_tui.core.insight_view import GUTTER, Frame, Look
from hsejobs_tui.core.view import NO_QUEUE
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import InsightPlace, Place, QueuePlace

#: Seconds between two reads of a live window: at least, and as a multiple of how long a read takes.
AGAIN, COST = 5.0, 40


class Insight(View):
    """One window of time: of all queues, of one, or of a part of it."""

    SCOPE: ClassVar[str] = "insight"

    def __init__(self, place: InsightPlace | None = None) -> None:
        super().__init__()
        place = place or InsightPlace()
        self.state = InsightState(place.queue, place.division, place.part)
        #: Whether times are those of waiting, and whether the focus is compared with the time before it.
        self.waiting, self.compare = True, False
        #: What is known of the focus; None while it is read.
        self.findings: Findings | None = None
        self.slowest: list[SlowJob] | None = None
        #: Why there is nothing to show.
        self.problem = ""
        nothing: object = None
        self._loaded = self._found = self._drawn = nothing
        self._findings_about = self._slowest_about = nothing
        self._load_busy = self._find_busy = False
        self._next_load = self._next_find = 0.0
        self._pressed: int | None = None

    @property
    def place(self) -> Place:
        return InsightPlace(self.state.queue, self.state.division, self.state.part)

    def body(self) -> ComposeResult:
        yield Static(id="charts", markup=False)
        yield Static(id="focus", markup=False)

    # -- reading

    @property
    def _read_queues(self) -> list[str]:
        """The queues whose history is read: all, to list them, or the chosen one."""
        every = list(self.session.source.infos)
        state = self.state
        return every if state.queue is None or state.division == "queue" else [state.queue]

    @property
    def _queues(self) -> list[str]:
        """The queues that the charts and the focus are about."""
        return self._read_queues if self.state.queue is None else [self.state.queue]

    @property
    def _wanted(self) -> object:
        window = self.session.window
        return (self.state.division, tuple(self._read_queues), window.name, window.end)

    @property
    def reading(self) -> bool:
        """Whether the window or the part that was asked for has not been read yet."""
        return not self.problem and (self._loaded != self._wanted or not self._has_part)

    @property
    def _has_part(self) -> bool:
        state = self.state
        return state.division == "queue" or state.part is None or state.steps is not None

    async def poll(self) -> None:
        """Starts to read the window if it is another one, or a live one that has grown older."""
        session = self.session
        if not self._read_queues:
            self.problem = NO_QUEUE
            return
        late = session.window.end is None and session.now() >= self._next_load
        if (self._loaded != self._wanted or late) and not self._load_busy:
            self._load_busy = True
            self.run_worker(self._load(), name="window", exit_on_error=False)

    async def _load(self) -> None:
        session, wanted, began = self.session, self._wanted, self.session.now()
        state, queues, (start, end) = self.state, self._read_queues, session.bounds
        division, source = state.division, session.source
        try:
            window = await session.do(insight.read_window, source, queues, division, start, end)
        except JobsError as error:
            self._failed(error)
            return
        finally:
            self._load_busy = False
            self._next_load = session.now() + max(AGAIN, COST * (session.now() - began))
        if wanted != self._wanted or not self.is_mounted:
            session.poll_soon()
            return
        self._loaded, self.problem = wanted, ""
        state.show(state.arranged(window, wanted), self._frame.cells)
        self._go_to_moment()
        self._read_part()
        self._changed()

    def _read_part(self) -> None:
        """Starts to read the chosen part's own steps, with their times."""
        if self.state.division != "queue" and self.state.part is not None:
            self.run_worker(self._load_part(), name="part", exclusive=True, exit_on_error=False)

    async def _load_part(self) -> None:
        state, source, window = self.state, self.session.source, self.state.window
        key, division, queues = state.part, state.division, self._read_queues
        if window is None or key is None:
            return
        try:
            steps = await self.session.do(
                insight.read_part, source, queues, division, key, window.start, window.end
            )
        except JobsError as error:
            self._failed(error)
            return
        if (key, division) == (state.part, state.division) and self.is_mounted:
            state.steps = steps
            state.show(state.window or window, self._frame.cells)
            self._changed()

    def _failed(self, error: JobsError) -> None:
        # Without Redis the figures stay, and the status line says why.
        if self.session.outage is None and not self.session.closed:
            self.problem = self.session.explain(error)
            self.draw()

    def _go_to_moment(self) -> None:
        """Puts the cursor where the user asked to go, or selects the span."""
        asked, self.session.moment = self.session.moment, None
        if asked is not None:
            self.state.place(asked[0], self.session.redis_now)
            self.state.span = asked if asked[1] > asked[0] else None

    @property
    def _of(self) -> object:
        """What the findings are about."""
        return (*self.state.focus, tuple(self._queues), self.waiting)

    @property
    def _about(self) -> object:
        """The same without the times of a live window, which move on."""
        state = self.state
        return (state.focus if state.selected else None, tuple(self._queues), self.waiting)

    def _changed(self) -> None:
        """Draws, and starts to read the findings if the focus is another one."""
        other = self._findings_about != self._about
        due = self._found != self._of and (other or self.session.now() >= self._next_find)
        if self.state.window is not None and due and not self._find_busy:
            self._find_busy = True
            self.run_worker(self._find(), name="focus", exit_on_error=False)
        self.draw()

    async def _find(self) -> None:
        session, wanted, about, began = self.session, self._of, self._about, self.session.now()
        source, queues, (start, end) = session.source, self._queues, self.state.focus
        try:
            found = await session.do(source.findings, queues, start, end)
            if about == self._about:
                self.findings, self._findings_about = found, about
                self.draw()
                slow = await session.do(source.slowest, queues, start, end, waiting=self.waiting)
                self.slowest, self._slowest_about, self._found = slow, about, wanted
        except JobsError as error:
            self._found = wanted
            self._failed(error)
        finally:
            self._find_busy = False
            self._next_find = session.now() + COST * (session.now() - began)
        if self.is_mounted:
            # The cursor may have moved meanwhile.
            self._changed()

    # -- drawing

    @property
    def _frame(self) -> Frame:
        return insight_view.frame(self.size.width, self.size.height)

    def on_resize(self) -> None:
        """Draws again, because everything depends on the size."""
        if self.state.window is not None:
            self.state.show(self.state.window, self._frame.cells)
        self.draw()

    def head(self) -> Text:
        """What is shown, and its window of time."""
        session, state = self.session, self.state
        text = Text(insight_lists.title(state))
        if session.redis_now:
            words = insight_view.between(*session.bounds, session.redis_now)
            text.append(f"   {words} [{session.window.name}]{insight_view.HINT}", "not bold")
        if self.reading:
            text.append("   reading ...", "bold warn")
        return text

    def draw(self) -> None:
        """Draws the charts and the focus, unless nothing has changed since."""
        if not self.is_mounted:
            return
        super().draw()
        state, size = self.state, self.size
        now = (
            *map(id, (state.window, state.bins, self.findings, self.slowest)),
            *(state.key, state.division, state.cursor, state.span, self.reading, self._about),
            *(self.compare, self.problem, size, self.session.outage is None),
        )
        if now != self._drawn:
            self._drawn = now
            self.query_one("#focus").styles.height = self._frame.panel
            self.set_text("charts", self._charts())
            self.set_text("focus", self._focus())

    def _charts(self) -> Text:
        state, size = self.state, self._frame
        window = state.window
        if self.problem or window is None:
            return Text(f" {self.problem or 'Reading ...'}", "bold warn" if self.problem else "dim")
        if not self._has_part:
            return Text(" Reading ...", "dim")
        if not any(activity(one.counters) or one.waiting for one in state.bins):
            return Text(insight_lists.nothing(state, self.session.bounds, self.session.redis_now))
        plain = self.session.options.ascii_only
        look = Look.of(state, self.session.redis_now, waiting=self.waiting, ascii_only=plain)
        rows = insight_view.charts(look, size, state.bins, times=state.times)
        tinted = len(rows)
        rows.append(insight_view.axis(look, size, state.focus if state.span else None, state.step))
        marks = [one for one in window.marks if one.queue in (None, *self._queues)]
        rows += insight_view.marks(look, size, marks, state.focus)
        return self._text(rows, tinted if state.selected else 0)

    def _focus(self) -> Text:
        state, size = self.state, self._frame
        if state.window is None or self.problem:
            return Text()
        start, end = state.focus
        inside = [one for one in state.bins if start <= one.at < end]
        waiting = max((one.waiting for one in inside if one.waiting is not None), default=None)
        title = insight_view.between(start, end, self.session.redis_now)
        total = added_up(one.counters for one in inside)
        found = self.findings if self._findings_about == self._about else None
        rows: list[Line] = [
            insight_view.figures(title, total, waiting, size.width, times=state.times)
        ]
        if self.compare and found is not None:
            before = "as long before it".ljust(len(title))
            rows.append(insight_view.figures(before, found.before, None, size.width))
        slow = self.slowest if self._slowest_about == self._about else None
        session = self.session
        options = insight_lists.Drawn(
            self.waiting, self.compare, not session.confined, session.options.ascii_only
        )
        lists = insight_lists.Lists(state, found, slow, options)
        return self._text([*rows, *lists.rows(size, size.panel - len(rows))], 0)

    def _text(self, rows: Sequence[Line], tinted: int) -> Text:
        """The rows; in the first ``tinted``, the columns of the focus have the cursor's background."""
        lines = [Text.assemble(*row, no_wrap=True, end="") for row in rows]
        if tinted:
            first, last = insight_view.columns_of(self.state, self._frame.cells)
            for line in lines[:tinted]:
                line.stylize("cursor", first, last)
        text = Text("\n", no_wrap=True, end="").join(lines)
        return text if self.session.outage is None else Text(text.plain, "dim", no_wrap=True)

    # -- the cursor and the span

    def _step(self, by: int) -> None:
        self.state.move(by, self.session.redis_now)
        self._changed()

    def do_moment_left(self) -> None:
        self._step(-1)

    def do_moment_right(self) -> None:
        self._step(1)

    def _place(self, at: int) -> None:
        self.state.place(at, self.session.redis_now)
        self._changed()

    def do_moment_first(self) -> None:
        self._place(0)

    def do_moment_last(self) -> None:
        self._place(self.session.redis_now)

    def do_span_begin(self) -> None:
        self.state.begin(self.session.redis_now)
        self._changed()

    def do_span_end(self) -> None:
        self.state.end(self.session.redis_now)
        self._changed()

    def do_back(self) -> None:
        """Closes one thing at a time: the span, the cursor, the screen."""
        if self.state.close():
            self._changed()
        else:
            self.dismiss()

    def _under(self, event: events.MouseEvent) -> int | None:
        """The moment under the mouse; None outside the charts."""
        state, cells = self.state, self._frame.cells
        region = self.query_one("#charts", Static).region
        cell = event.screen_x - region.x - GUTTER
        inside = region.contains(event.screen_x, event.screen_y) and 0 <= cell < cells
        return state.bins[cell * len(state.bins) // cells].at if inside and state.bins else None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Puts the cursor under the mouse."""
        at = self._pressed = self._under(event)
        if at is not None:
            self.state.span = None
            self._place(at)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Selects the span over which the mouse was dragged."""
        began, self._pressed = self._pressed, None
        at = self._under(event)
        if began is not None and at is not None and at != began:
            self.do_span_begin()
            self._place(at)
            self.do_span_end()

    # -- what is shown

    def _choose(self, by: int) -> None:
        self.state.choose(by)
        self.state.steps = None
        if self.state.window is not None:
            self.state.show(self.state.window, self._frame.cells)
        self._read_part()
        self._changed()

    def do_part_down(self) -> None:
        self._choose(1)

    def do_part_up(self) -> None:
        self._choose(-1)

    def do_division(self) -> None:
        """Divides by the next thing; an organization's own session has its queues only."""
        if self.session.confined:
            self.session.show_message("a session of one organization is divided by queue only")
            return
        self.state.divide()
        self.state.steps = None
        self.session.poll_soon()
        self.draw()

    def do_times(self) -> None:
        self.waiting = not self.waiting
        self._changed()

    def do_before(self) -> None:
        self.compare = not self.compare
        self.draw()

    def do_moment_jobs(self) -> None:
        """Opens the queue with the jobs of the focus."""
        state = self.state
        if state.window is None:
            return
        start, end = state.focus
        found = moment_jobs.busiest(state.window, self._queues, start, end)
        if found is None:
            self.session.show_message("no job was added or ended in this time")
            return
        queue, total = found
        query = moment_jobs.query(start, end, state.division, state.part)
        self.session.open(QueuePlace(queue, moment_jobs.state_of(total), query))

    async def do_report(self) -> None:
        """Writes the report of the focus and shows its path."""
        from hsejobs_tui.flows.reporting import write_report

        await write_report(self.session, self._queues, *self.state.focus)
