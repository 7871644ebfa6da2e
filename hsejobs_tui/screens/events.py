"""The events of the window of time, the newest first: live, with a filter and the reason of each."""

from __future__ import annotations

import time
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Input, Static

from hsejobs.errors import InvalidOption
from hsejobs.model import State
from hsejobs.store.feed import NO_JOB
from hsejobs.wording import counted
from hsejobs_tui.core import event_list
from hsejobs_tui.core.charts import moment_text
from hsejobs_tui.core.event_list import EventFilter, EventList, Happened
from hsejobs_tui.core.text import safe
from hsejobs_tui.core.view import LOOK
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import JobPlace, QueuePlace
from hsejobs_tui.widgets.rows import Column, Row, Rows
from hsejobs_tui.widgets.typing import Line

COLUMNS = (
    Column("time", 8),
    Column("queue", 10, wide=14),
    Column("event", 10),
    Column("task", 12, above=100),
    Column("organization", 10, wide=12),
    Column("reason", 0),
    Column("job", 18, wide=20),
)
_STYLES = {"retrying": "fail", "stalled": "bold fail", "cancelling": "warn", "postponed": "delay"}
_DAY = 86_400_000
#: Reasons are read of the events in view alone.
UNMATCHED = (
    "No event matches in this time. Reasons are not searched: / on another screen finds an error."
)


class Events(View):
    """The newest events first, as far as the feeds of the queues reach."""

    SCOPE: ClassVar[str] = "events"
    HEAD: ClassVar[str] = "Events"
    AUTO_FOCUS: ClassVar[str] = "Rows"

    def __init__(self) -> None:
        super().__init__()
        self.list = EventList()
        self.frozen: list[Happened] | None = None
        self.text = ""
        self._since: dict[str, str] = {}
        self._reasons: dict[int, tuple[str, str]] = {}
        self._window: object = None
        #: The window whose events were read.
        self._read: object = None
        self._reaches: int | None = None

    def body(self) -> ComposeResult:
        yield Line(id="search", placeholder="words, event= queue= id= org=, with = ~ != !~")
        yield Static(id="found", markup=False)
        yield Rows(COLUMNS, "No event in this time.")

    def on_unmount(self) -> None:
        """Frees the events: a closed screen itself is freed much later."""
        self.list.clear()
        self.frozen, self._reasons = None, {}

    @property
    def shown(self) -> list[Happened]:
        """The events on display, oldest first."""
        return self.list.matching if self.frozen is None else self.frozen

    @property
    def has_read(self) -> bool:
        """Whether the events of the window were read."""
        return self._read == self.session.window

    def head(self) -> Text:
        """How many events of which window, and how far back they reach."""
        window = self.session.window
        text = Text(f"{counted(len(self.shown), 'event')}  [{window.name}]")
        if self.text:
            text.append(f"  /{safe(self.text, 40)}", "warn")
        if self.frozen is not None:
            more = len(self.list.matching) - len(self.frozen)
            text.append(f"  frozen, {max(0, more):,} newer: Space resumes", "warn")
        if self._reaches is not None:
            at = moment_text(self._reaches, self.session.redis_now - self._reaches)
            text.append(f"  complete since {at}: older ones are gone", "dim")
        return text

    async def poll(self) -> None:
        """Adds the events since the last poll; reads another window from its start."""
        session, window = self.session, self.session.window
        start, end = session.bounds
        if window != self._window:
            self._window, self._since, self._reasons = window, {}, {}
            self._reaches = None
            self.frozen = None
            self.list.clear()
            self.rows.reset()
        until = None if window.end is None else end
        found, reaches = await session.read(
            event_list.read, session.source, self._since, start, until
        )
        if window != session.window:
            return
        self._read = window
        if reaches is not None:
            self._reaches = reaches
        self.list.add(found)
        self._reaches = max(self._reaches or 0, self.list.cut or 0) or None
        self.list.forget_before(start)
        if self._reaches is not None and self._reaches < start:
            self._reaches = self.list.cut = None
        try:
            # Read first: a list that is placed without them is drawn twice.
            await self._read_reasons()
        finally:
            self._place()

    def _visible(self) -> list[Happened]:
        """The events that are in view once the list is placed."""
        rows, events = self.rows, self.shown
        last = len(events) - self._first_row()[0]
        return events[max(0, last - rows.page - 1) : max(0, last)]

    def _first_row(self) -> tuple[int, int | None]:
        """The first row in view once the list is placed, and the row of the cursor's event."""
        rows, events = self.rows, self.shown
        number = int(rows.key.partition("\0")[0]) if rows.key else 0
        place = event_list.place_of(events, number) if number else None
        # The list scrolls with the cursor's event.
        shift = place - rows.cursor if place is not None and rows.anchored else 0
        return max(0, rows.first + shift), place

    async def _read_reasons(self) -> None:
        """Reads why the visible events happened."""
        missing = [one for one in self._visible() if one.number not in self._reasons]
        if missing:
            if len(self._reasons) > 1_000:
                self._reasons.clear()
            self._reasons |= await self.session.read(
                event_list.reasons, self.session.source, missing
            )

    def _place(self) -> None:
        """Draws the visible rows, once the events are read."""
        if not self.has_read:
            return
        rows, events = self.rows, self.shown
        first, place = self._first_row()
        at = {}
        for row in range(max(0, first - 1), min(len(events), first + 2 * rows.page + 1)):
            at[row] = self._row(events[len(events) - 1 - row])
        if place is not None and place not in at:
            at[place] = self._row(events[len(events) - 1 - place])
        rows.place(len(events), at, place, anchor=rows._key)

    def _row(self, one: Happened) -> Row:
        task, reason = self._reasons.get(one.number, ("", ""))
        style = _STYLES.get(one.kind) or LOOK.get(one.kind, ("", "", ""))[2]
        failed = one.kind in ("failed", "retrying", "stalled")
        return Row(
            f"{one.number}\0{one.queue}\0{one.job_id}",
            [
                time.strftime("%H:%M:%S", time.gmtime(one.at / 1000)),
                one.queue,
                Text(safe(one.kind, 20), style),
                safe(task, 60),
                safe(one.organization_id or "-", 60),
                Text(safe(reason, 300), "fail" if failed else ""),
                "" if one.job_id == NO_JOB else safe(one.job_id, 200),
            ],
        )

    def action_command(self, command_id: str) -> None:
        """Only what opens an event goes by the list that was seen: among events that come all the time, its
        rows are far below those in view, where a key that moves would jump.
        """
        if command_id != "open":
            self.rows.look.forget()
        super().action_command(command_id)

    def on_rows_missing(self) -> None:
        """Draws rows that were scrolled to; their reasons are read with the next poll."""
        self._place()

    def do_open(self) -> None:
        """Opens the job of the event, or the queue if it is about that."""
        if self.rows.key:
            _, queue, job_id = self.rows.key.split("\0")
            about_queue = job_id == NO_JOB
            self.session.open(
                QueuePlace(queue, State.WAITING) if about_queue else JobPlace(queue, job_id)
            )

    def do_freeze(self) -> None:
        """Freezes or resumes the list; events are still collected while it is frozen."""
        self.frozen = list(self.list.matching) if self.frozen is None else None
        self._place()
        self.draw()
        self.session.poll_soon()

    def do_search(self) -> None:
        """Opens the filter line."""
        line = self.query_one("#search", Input)
        line.add_class("-open")
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Filters the list, or shows what is wrong with the line."""
        found = self.query_one("#found", Static)
        try:
            wanted = EventFilter.parse(event.value)
        except InvalidOption as error:
            found.add_class("-open")
            self.set_text("found", Text(f" {safe(error, 300)}", "bold warn"))
            return
        self._filter(event.value.strip(), wanted)

    def _filter(self, text: str, wanted: EventFilter) -> None:
        self.text, self.frozen = text, None
        self.list.filter(wanted)
        self.query_one("#found").remove_class("-open")
        line = self.query_one("#search", Input)
        line.set_class(False, "-open")
        self.rows.empty = UNMATCHED if text else "No event in this time."
        self.rows.reset()
        self.rows.focus()
        self._place()
        self.draw()
        self.session.poll_soon()

    def do_back(self) -> None:
        """Closes one thing at a time: the filter line, the filter, the screen."""
        line = self.query_one("#search", Input)
        if line.has_class("-open"):
            line.value = self.text
            self.query_one("#found").remove_class("-open")
            line.remove_class("-open")
            self.rows.focus()
        elif self.text:
            line.value = ""
            self._filter("", EventFilter())
        else:
            self.dismiss()
