"""The past of a queue, and its shares: by error, organization and task."""

from __future__ import annotations

from textual.widgets import Input

from hsejobs.errors import JobsError
from hsejobs_tui.core import parts
from hsejobs_tui.core.parts import Kind, Past, Share
from hsejobs_tui.core.steady import COUNT, Places
from hsejobs_tui.screens.marking import Marking

#: Seconds between two reads of the queue's past.
AGAIN = 10.0


class Shares(Marking):
    """Reads the past of the queue in the window of time, and limits the list to one of its shares."""

    def __init__(self, query: str = "") -> None:
        super().__init__(query)
        self.past: Past | None = None
        self._places: dict[Kind, Places[str]] = {by: Places(COUNT) for by in parts.KINDS}
        #: For which window of time the past was read, and when.
        self._past_of: tuple[object, float] = (None, 0.0)
        #: The shares that the list is limited to.
        self.chosen: dict[Kind, Share] = {}
        #: The search that was there before the first share.
        self._typed = ""

    def read_past_soon(self) -> None:
        """Reads the queue's past in the background, when the window changed or some time has passed."""
        session = self.session
        now, of = session.now(), session.window
        if self._past_of[0] == of and now - self._past_of[1] < AGAIN:
            return
        self._past_of = (of, now)
        self.run_worker(self._read_past, name="past", group="past")

    async def _read_past(self) -> None:
        session = self.session
        window, now = session.window, session.redis_now
        start, end = window.bounds(now)
        try:
            within = window.where(now)
            seen = await session.do(parts.read, session.source, self.queue, start, end, now, within)
        except JobsError:
            # A member sees no history; and an outage is shown by the status line.
            return
        if self.is_mounted:
            parts.arrange(seen, self._places, window)
            self.past = seen
            self.draw()

    def do_share_error(self) -> None:
        self._next_share("error")

    def do_share_tenant(self) -> None:
        self._next_share("org")

    def do_share_task(self) -> None:
        self._next_share("task")

    def _next_share(self, by: Kind) -> None:
        """Limits the list to the next share of that kind; after the last one, not by it any more."""
        known = list(self.past.shares.get(by, [])) if self.past else []
        own = parts.of_job(by, self.job) if self.job else None
        if not known and own is not None:
            known = [own]
        if not self.chosen:
            self._typed = self.query_text
        before = self.chosen.pop(by, None)
        if not known and before is None:
            self.session.show_message("there is nothing to filter by", bad=True)
            return
        at = known.index(before) + 1 if before in known else 0
        if at < len(known):
            self.chosen[by] = known[at]
        words = [self._typed, *(one.where for one in self.chosen.values())]
        self.find(" ".join(filter(None, words)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """What is typed replaces the shares, whose text the line may have. ``Finding`` searches for it."""
        self.chosen = {}

    def leave_search(self) -> None:
        """Ends the search, also that for shares."""
        self.chosen = {}
        super().leave_search()
