"""Insight: what happened, to whom, since when; charts of a window of time with a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs_tui.core import insight_lists, insight_view, moment_jobs
from hsejobs_tui.core.charts import Line
from hsejobs_tui.core.insight import activity, added_up
from hsejobs_tui.core.insight_view import GUTTER, Look
from hsejobs_tui.screens.insight_reading import InsightReading
from hsejobs_tui.session.places import InsightPlace, QueuePlace


class Insight(InsightReading):
    """One window of time: of all queues, of one, or of a part of it."""

    SCOPE: ClassVar[str] = "insight"

    def __init__(self, place: InsightPlace | None = None) -> None:
        super().__init__(place)
        self._drawn: object = None
        self._pressed: int | None = None

    def body(self) -> ComposeResult:
        yield Static(id="charts", markup=False)
        yield Static(id="focus", markup=False)

    # -- drawing

    def on_resize(self) -> None:
        """Draws again, because everything depends on the size."""
        if self.state.window is not None:
            self.state.show(self.state.window, self._frame.cells)
        self.draw()

    def subject(self) -> Text:
        """What is shown."""
        return Text(insight_lists.title(self.state))

    def head(self) -> Text:
        """What is shown, and its window of time."""
        session, text = self.session, self.subject()
        if session.redis_now:
            words = insight_view.between(*session.bounds, session.redis_now)
            text.append(f"   {words} [{session.window.name}]{insight_view.HINT}", "not bold")
        if self.reading:
            text.append(f"   {self.unread}", "bold warn")
        return text

    def draw(self) -> None:
        """Draws the charts and the focus, unless nothing has changed since."""
        if not self.is_mounted:
            return
        super().draw()
        state, size = self.state, self.size
        now = (
            *map(id, (state.window, state.bins, self.findings, self.jobs)),
            *(state.key, state.division, state.cursor, state.span, self.reading, self._about),
            *(self.compare, self.problem, size, self.unread),
        )
        if now != self._drawn:
            self._drawn = now
            self.query_one("#focus").styles.height = self._frame.panel
            self.set_text("charts", self._charts())
            self.set_text("focus", self._focus())

    def _charts(self) -> Text:
        state, size = self.state, self._frame
        window = state.window
        if self.problem:
            return Text(f" {self.problem}", "bold warn")
        if window is None or not state.known:
            return Text(f" {self.unread}", "dim")
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
        session, about = self.session, self._about
        found = self.findings if self._findings_about == about else None
        rows: list[Line] = [[(f" {title}  ", "bold"), (self.unread, "dim")]]
        if state.known:
            line = insight_view.figures(title, total, waiting, size.width, times=state.times)
            rows = [line]
        if self.compare:
            before = "as long before it".ljust(len(title))
            line = [(f" {before}  ", "bold"), (self.unread, "dim")]
            if found is not None:
                line = insight_view.figures(
                    before, found.before, None, size.width, times=state.times
                )
            rows.append(line)
        options = insight_lists.Drawn(
            self.waiting,
            self.compare,
            not session.confined,
            session.options.ascii_only,
            self.unread,
        )
        jobs = self.jobs if self._jobs_about == about else None
        lists = insight_lists.Lists(state, found, jobs, options)
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
        session, state = self.session, self.state
        if not state.known:
            session.show_message(self.unread)
            return
        start, end = state.focus
        found = moment_jobs.busiest(state.by_queue, self._queues, start, end)
        if found is None:
            session.show_message("no job was added or ended in this time")
            return
        queue, total, queues = found
        query = moment_jobs.query(start, end, state.division, state.part)
        if query is None:
            session.show_message("no filter finds these jobs alone: choose another part, or all")
            return
        if queues > 1:
            what = "failures" if total.failed else "jobs"
            session.show_message(f"{queue} had the most {what}; {queues - 1} more queues had some")
        session.open(QueuePlace(queue, moment_jobs.state_of(total), query))

    async def do_report(self) -> None:
        """Writes the report of the focus and shows its path."""
        from hsejobs_tui.flows.reporting import write_report

        await write_report(self.session, self._queues, *self.state.focus, self.state.only)
