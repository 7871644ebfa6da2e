"""The reads of the Insight screen: the window, the chosen part of it, and what the focus shows."""

from __future__ import annotations

from textual.worker import Worker

from hsejobs.control.findings import Findings, SpanJobs
from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs_tui.core import insight, insight_view
from hsejobs_tui.core.insight_state import InsightState
from hsejobs_tui.core.insight_view import Frame
from hsejobs_tui.core.unread import LATE, unread
from hsejobs_tui.core.view import NO_QUEUE
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import InsightPlace, Place

#: Seconds between two reads of a live window: at least, and as a multiple of how long a read takes.
AGAIN, COST = 5.0, 40


class InsightReading(View):
    """Reads one window of time: of all queues, of one, or of a part of it."""

    def __init__(self, place: InsightPlace | None = None) -> None:
        super().__init__()
        place = place or InsightPlace()
        self.state = InsightState(place.queue, place.division, place.part)
        #: Whether times are those of waiting, and whether the focus is compared with the time before it.
        self.waiting, self.compare = True, False
        #: What is known of the focus; None while it is read.
        self.findings: Findings | None = None
        self.jobs: SpanJobs | None = None
        #: Whether Redis did not answer the last read in time; it may answer what is smaller.
        self._unanswered = False
        #: Why there is nothing to show.
        self.problem = ""
        nothing: object = None
        self._loaded = self._found = nothing
        self._findings_about = self._jobs_about = nothing
        self._load_busy = self._find_busy = False
        #: The newest read of the part. It cancels those before it, which end while it runs.
        self._part_read: Worker[object] | None = None
        self._next_load = self._next_find = self._retry_at = 0.0

    @property
    def place(self) -> Place:
        return InsightPlace(self.state.queue, self.state.division, self.state.part)

    @property
    def _frame(self) -> Frame:
        return insight_view.frame(self.size.width, self.size.height)

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
    def has_read(self) -> bool:
        """Whether a window was read, or why there is none."""
        return self.state.window is not None or bool(self.problem)

    @property
    def unread(self) -> str:
        """What stands in the place of what has not been read."""
        late = self._unanswered and not self.session.unreached
        return unread(LATE) if late else self.session.unread

    @property
    def reading(self) -> bool:
        """Whether the window or the part that was asked for has not been read yet."""
        return not self.problem and (self._loaded != self._wanted or not self.state.known)

    async def poll(self) -> None:
        """Starts to read the window if it is another one, or a live one that has grown older.

        What could not be read for want of Redis is read now.
        """
        session = self.session
        if not self._read_queues:
            self.problem = NO_QUEUE
            return
        if self._loaded == self._wanted and session.moment is not None:
            # The window holds it already, and is not read again for it.
            self._go_to_moment()
            self._changed()
        late = session.window.end is None and session.now() >= self._next_load
        if (self._loaded != self._wanted or late) and not self._load_busy:
            self._load_busy = True
            self.run_worker(self._load, name="window")
            return
        reads = self._part_read is not None and not self._part_read.is_finished
        if not self.state.known and not reads and session.now() >= self._retry_at:
            self._read_part()
        self._read_focus()

    async def _load(self) -> None:
        session, wanted, began = self.session, self._wanted, self.session.now()
        state, queues, (start, end) = self.state, self._read_queues, session.bounds
        division, source = state.division, session.source
        try:
            window = await session.do(insight.read_window, source, queues, division, start, end)
        except JobsError as error:
            began = session.now()
            self._failed(error)
            return
        finally:
            self._load_busy = False
            self._next_load = session.now() + max(AGAIN, COST * (session.now() - began))
        if wanted != self._wanted or not self.is_mounted:
            session.poll_soon()
            return
        self._loaded, self.problem, self._unanswered = wanted, "", False
        state.show(state.arranged(window, wanted), self._frame.cells)
        self._go_to_moment()
        self._read_part()
        self._changed()

    def _read_part(self) -> None:
        """Starts to read the chosen part's own steps, with their times."""
        if self.state.window is not None and self.state.only is not None:
            # In a group of its own: the reads of the window and of the focus are not cancelled with it.
            self._part_read = self.run_worker(
                self._load_part, name="part", group="part", exclusive=True
            )

    async def _load_part(self) -> None:
        state, source, window = self.state, self.session.source, self.state.window
        only, queues = state.only, self._read_queues
        if window is None or only is None:
            return
        try:
            steps = await self.session.do(
                insight.read_part, source, queues, only, window.start, window.end
            )
        except JobsError as error:
            self._failed(error)
            return
        if only == state.only and self.is_mounted:
            state.steps, self._unanswered = steps, False
            state.show(state.window or window, self._frame.cells)
            self._changed()

    def _failed(self, error: JobsError) -> None:
        # Without Redis the figures stay, and the head line says why: the next poll finds it out.
        if isinstance(error, RedisUnavailable):
            self._unanswered = True
            self._retry_at = self.session.now() + AGAIN
        elif not self.session.closed:
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
        return (*self.state.focus, tuple(self._queues), self.state.only, self.waiting)

    @property
    def _about(self) -> object:
        """The same without the times of a live window, which move on."""
        state = self.state
        focus = state.focus if state.selected else None
        return (focus, tuple(self._queues), state.only, self.waiting)

    def _changed(self) -> None:
        """Draws, and starts to read the findings if the focus is another one."""
        self._read_focus()
        self.session.draw_last(self._draw_moved)

    def _read_focus(self) -> None:
        other = self._jobs_about != self._about
        now = self.session.now()
        due = self._found != self._of and (other or now >= self._next_find)
        if self.state.known and due and now >= self._retry_at and not self._find_busy:
            self._find_busy = True
            self.run_worker(self._find, name="focus")

    async def _find(self) -> None:
        session, wanted, about, began = self.session, self._of, self._about, self.session.now()
        source, queues, (start, end) = session.source, self._queues, self.state.focus
        only, waiting = self.state.only, self.waiting
        try:
            found = await session.do(source.findings, queues, start, end, only)
            if about == self._about:
                self.findings, self._findings_about = found, about
                self.draw()
                jobs = await session.do(
                    source.span_jobs, queues, start, end, waiting=waiting, only=only
                )
                self.jobs, self._jobs_about, self._found = jobs, about, wanted
                self._unanswered = False
        except RedisUnavailable as error:
            # A poll reads it again, once Redis answers.
            began = session.now()
            self._failed(error)
            return
        except JobsError as error:
            self._found = wanted
            self._failed(error)
        finally:
            self._find_busy = False
            self._next_find = session.now() + COST * (session.now() - began)
        if self.is_mounted:
            # The cursor may have moved meanwhile.
            self._changed()
