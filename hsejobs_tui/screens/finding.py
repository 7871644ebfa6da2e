"""Search in a queue: the current state first, then the other states; hits appear as found.

If the queue has no hits, the other queues are searched too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial

from rich.text import Text
from textual.widgets import Input, Static

from hsejobs.control import filters
from hsejobs.errors import InvalidOption, RedisUnavailable
from hsejobs.model import JobRecord, State
from hsejobs_tui.core.all_states import merged
from hsejobs_tui.core.joblist import EMPTY
from hsejobs_tui.core.source import HITS_KEPT, Hits
from hsejobs_tui.core.text import clock, safe
from hsejobs_tui.core.view import STATES
from hsejobs_tui.screens.one_queue import OneQueue
from hsejobs_tui.session.places import InsightPlace, MatchPlace
from hsejobs_tui.widgets.rows import Row

#: The text of an empty list of a search.
NOTHING = "No matches in this state."
#: Least seconds between a search and the next one for the same, and how many times as long as it takes.
AGAIN, SHARE = 5.0, 40.0


def of_request(text: str) -> bool:
    """Whether a search asks for one request and nothing else."""
    try:
        wanted = filters.parse(text)
    except InvalidOption:
        return False
    return len(wanted.terms) == 1 and wanted.request_id is not None


class Finding(OneQueue):
    """The search of a queue's screen. ``state``: the state on display; None for all."""

    state: State | None

    def __init__(self, query: str = "") -> None:
        super().__init__()
        self.query_text = query
        self.found: dict[State, Hits] = {}
        #: The best hits of each other queue, and the search that is running there.
        self.other_hits: list[Hits] = []
        self._other_search: Hits | None = None
        self._searching = 0
        #: Whether the search ended early, because Redis did not answer.
        self._interrupted = False
        self._editing_search = False
        #: When to search again for what may match by now, and the queue's counts at the latest search.
        self._again_at = float("inf")
        self._counted: object = None
        #: When that began, in Redis ms.
        self._as_of = 0

    @property
    def hits(self) -> Hits | None:
        """The hits of the current state, or of all; None without a search."""
        if not self.query_text:
            return None
        return merged(self.found) if self.state is None else self.found.get(self.state)

    @property
    def wanted(self) -> filters.Filter:
        """What is searched for. Durations count back from now, by the clock of Redis."""
        return filters.parse(self.query_text, self.session.redis_now or None)

    def insight(self) -> InsightPlace:
        """Of this queue."""
        return InsightPlace(self.queue)

    def excerpt(self, job_id: str) -> str:
        """The matching part of a hit's payload; '' if there is none."""
        return self.hits.excerpts.get(job_id, "") if self.hits else ""

    def nothing(self) -> str:
        """The text of a list without jobs, without a search."""
        return EMPTY

    def to(self, state: State | None) -> None:
        """Switches to another state; None for all."""
        raise NotImplementedError

    def row_of(self, job: JobRecord, now: int) -> Row:
        """The row of a job; ``now``: Redis time in ms."""
        raise NotImplementedError

    def do_search(self) -> None:
        """Opens the search line."""
        self._editing_search = True
        line = self.query_one("#search", Input)
        line.add_class("-open")
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Starts the search, or shows what is wrong with the line.

        A request alone is searched in all queues: what it caused is rarely in one.
        """
        if of_request(event.value):
            self.do_back()
            self.session.open(MatchPlace(event.value.strip()))
        else:
            self.find(event.value)

    def find(self, text: str) -> None:
        """Starts a search; for an invalid filter shows what is wrong, and its text to correct it."""
        try:
            filters.parse(text)
        except InvalidOption as error:
            found = self.query_one("#found", Static)
            found.add_class("-open", "-wrong")
            self.set_text("found", Text(f" {safe(error, 600)}", "bold warn"))
            self.query_one("#search", Input).value = text
            self.query_text = ""
            self.do_search()
            return
        self.query_one("#found").remove_class("-wrong")
        self.query_text = text.strip()
        self._editing_search = False
        line = self.query_one("#search", Input)
        line.value = self.query_text
        self.rows.focus()
        self.begin_search()

    def begin_search(self) -> None:
        """Starts a search for ``query_text``; an empty text shows all jobs again."""
        self._searching += 1
        self._interrupted = False
        self._again_at = float("inf")
        self.rows.reset()
        self.rows.empty = NOTHING if self.query_text else self.nothing()
        self.found, self.other_hits, self._other_search = {}, [], None
        if not self.query_text:
            self.leave_search()
            self.session.poll_soon()
            return
        self.run_worker(partial(self._search, self._searching), name="search")

    async def _search(self, number: int) -> None:
        began, self._counted = self.session.now(), self._counts
        self._as_of = self.session.redis_now
        try:
            await self._search_states(number)
        except RedisUnavailable:
            # The next poll that Redis answers begins again.
            self._interrupted = number == self._searching
            raise
        self._pace(number, began)

    def _pace(self, number: int, began: float) -> None:
        if number == self._searching:
            now = self.session.now()
            self._again_at = now + max(AGAIN, SHARE * (now - began))

    def search_again_soon(self) -> None:
        """Searches again with the next poll if jobs have moved."""
        if self.hits is not None and self.hits.done:
            self._again_at = self.session.now()

    @property
    def _counts(self) -> object:
        """Changes when jobs of the queue come, end or are moved."""
        stats = self.session.stats(self.queue) if self.queue else None
        if stats is None:
            return None
        states = (stats.waiting, stats.active, stats.delayed, stats.completed, stats.failed)
        return (*states, stats.window().ended, stats.window().added)

    async def _search_again(self, number: int) -> None:
        """Searches for the same again. What was found stays until all is read; the cursor keeps its job."""
        session, queue = self.session, self.queue
        began, counted, found = session.now(), self._counts, dict(self.found)
        wanted, states = self.wanted, STATES if self.state is None else (self.state,)
        # Without Redis, what was found before stays.
        with contextlib.suppress(RedisUnavailable):
            for state in states:
                steps = session.source.search(queue or "", state, wanted)
                while (hits := await session.do(next, steps, None)) is not None:
                    if self._searching != number:
                        return
                    found[state] = hits
                    await asyncio.sleep(0)
            if self.is_mounted:
                self.found, self._counted, self._as_of = found, counted, session.redis_now
                self.draw_hits()
                self.draw()
        self._pace(number, began)

    async def _search_states(self, number: int) -> None:
        session, queue = self.session, self.queue
        if queue is None:
            return
        wanted = self.wanted
        steps: dict[State, Iterator[Hits]] = {
            state: session.source.search(queue, state, wanted) for state in STATES
        }
        drawn = 0.0
        while steps and self._searching == number:
            # If the user switches to another state, that one is searched first.
            state = self.state if self.state in steps else next(iter(steps))
            hits = await session.do(next, steps[state], None)
            if self._searching != number:
                return
            if hits is None:
                del steps[state]
                continue
            self.found[state] = hits
            if hits.done:
                del steps[state]
            now = session.now()
            if now - drawn > 0.15 or hits.done:
                drawn = now
                if self.state in (state, None):
                    self.draw_hits()
                self.draw()
            await asyncio.sleep(0)
        if self._searching == number and self.is_mounted and not (self.hits and self.hits.count):
            # No hits in the current state: switch to a state that has some.
            where = [state for state in STATES if state in self.found and self.found[state].count]
            if where:
                self.to(where[-1])
            else:
                await self._search_other_queues(number)

    async def _search_other_queues(self, number: int) -> None:
        """Searches the other queues, because the user may not know which queue has the job."""
        session, wanted = self.session, self.wanted
        for queue in [name for name in session.source.infos if name != self.queue]:
            best: Hits | None = None
            for state in STATES:
                steps = session.source.search(queue, state, wanted)
                drawn = 0.0
                while (hits := await session.do(next, steps, None)) is not None:
                    if self._searching != number or not self.is_mounted:
                        return
                    self._other_search = hits
                    if session.now() - drawn > 0.15:
                        drawn = session.now()
                        self.draw()
                    await asyncio.sleep(0)
                found = self._other_search
                if found and found.count and (best is None or found.count > best.count):
                    best = found
            if best is not None:
                self.other_hits.append(best)
        self._other_search = None
        self.draw()

    def draw_hits(self) -> None:
        """Draws the hits of the current state."""
        if not self.is_mounted:
            return
        hits = self.hits
        now = self.session.redis_now
        jobs = hits.jobs if hits else []
        self.rows.fill([self.row_of(job, now) for job in jobs], whole=bool(hits and hits.done))

    def draw_found(self) -> None:
        """Draws the line with the search text and the number of hits."""
        found = self.query_one("#found", Static)
        if self._editing_search:
            # The search line is being edited: keep its message until it is submitted or closed.
            return
        found.set_class(bool(self.query_text), "-open")
        if not self.query_text:
            return
        hits = self.hits
        name = self.state or "jobs"
        # What it found has the rest of the line.
        room = max(40, self.size.width - 50)
        words = Text(f" /{safe(self.query_text, room)}  ", "bold")
        if hits is None or (self._interrupted and not hits.done):
            self.set_text("found", words.append(self.session.unread, "bold warn"))
            return
        words.append(f"{hits.count:,} found in {hits.seen:,} {name}", "bold")
        if hits.count > HITS_KEPT:
            words.append(f", {HITS_KEPT:,} shown")
        if not hits.done:
            words.append(f" of {hits.total:,} ..., Esc stops")
        elif self._counts != self._counted:
            # Until it is searched again.
            words.append(f" at {clock(self._as_of)[-8:]}", "not bold")
        elsewhere = [
            f"{one.count:,} {state}"
            for state, one in self.found.items()
            if one.count and self.state not in (state, None)
        ]
        if elsewhere:
            words.append(f"; Tab: {', '.join(elsewhere)}", "bold warn")
        elif hits.done:
            over = all(state in self.found and self.found[state].done for state in STATES)
            seen = sum(one.seen for one in self.found.values())
            if not over:
                words.append(f"; {seen:,} searched ...")
            elif hits.count:
                words.append("; none in other states" if self.state else "")
            else:
                self._append_other_hits(words)
        self.set_text("found", words)

    def _append_other_hits(self, words: Text) -> None:
        if self.other_hits:
            found = ", ".join(
                f"{one.count:,} {one.state} in {one.queue}" for one in self.other_hits
            )
            words.append(f"; Enter: {found}", "bold warn")
        elif self._other_search is not None:
            words.append(f"; none in {self.queue}, searching {self._other_search.queue} ...")
        else:
            words.append("; none in any queue")

    async def poll_hits(self) -> None:
        """Updates the visible hits to their current state; removed jobs are marked as gone."""
        rows, hits, queue = self.rows, self.hits, self.queue
        if self._interrupted:
            self.begin_search()
            return
        if self.session.now() >= self._again_at and self._counts != self._counted:
            self._again_at = float("inf")
            self.run_worker(partial(self._search_again, self._searching), name="search again")
        if hits is None or not hits.jobs or queue is None:
            return
        seen = hits.jobs[rows.first : rows.first + rows.page]
        ids = [job.id for job in seen]
        found = await self.session.read(self.session.source.jobs, queue, ids)
        now = self.session.redis_now
        for n, (old, new) in enumerate(zip(seen, found, strict=True)):
            place = rows.first + n
            row = self.row_of(new or old, now)
            if new is None:
                row = Row(row.key, [Text("gone", "dim"), *row.cells[1:]], True)
            if place in rows.at and rows.at[place].key == row.key:
                rows.at[place] = row
        rows.refresh()

    def leave_search(self) -> None:
        """Ends the search and closes its line."""
        self._searching += 1
        self._editing_search = False
        self.found, self.other_hits, self._other_search, self.query_text = {}, [], None, ""
        self.rows.empty = self.nothing()
        line = self.query_one("#search", Input)
        line.remove_class("-open")
        line.value = ""
        self.query_one("#found").remove_class("-open", "-wrong")
