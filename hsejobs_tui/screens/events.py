"""The live list of job events."""

from __future__ import annotations

import time
from collections import deque
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from hsejobs_tui.core.text import safe
from hsejobs_tui.core.view import LOOK
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import JobPlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("time", 8),
    Column("queue", 18),
    Column("event", 11),
    Column("job", 0),
    Column("organization", 20, above=90),
)
KEPT = 1_000


class Events(View):
    """The newest events first; at most ``KEPT``."""

    SCOPE: ClassVar[str] = "events"

    def __init__(self) -> None:
        super().__init__()
        self.since: dict[str, str] = {}
        self.kept: deque[Row] = deque(maxlen=KEPT)
        self.frozen = False
        self._number = 0

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No recent events.")

    def head(self) -> Text:
        return Text("Events" + ("  frozen: Space resumes" if self.frozen else ""))

    async def poll(self) -> None:
        """Adds the events since the last poll."""
        found = await self.session.read(self.session.source.events, self.since)
        for event in found:
            at = time.strftime("%H:%M:%S", time.gmtime(event.at / 1000))
            style = LOOK.get(event.kind, ("", "", ""))[2]
            for job_id, org in event.jobs[:200]:
                self._number += 1
                key = f"{self._number}\0{event.queue}\0{job_id}"
                self.kept.appendleft(
                    Row(
                        key,
                        [
                            at,
                            event.queue,
                            Text(safe(event.kind, 20), style),
                            safe(job_id, 200),
                            safe(org or "-", 60),
                        ],
                    )
                )
        if not self.frozen:
            self.rows.fill(list(self.kept))

    def do_open(self) -> None:
        """Opens the job of the event."""
        if self.rows.key:
            _, queue, job_id = self.rows.key.split("\0")
            self.session.open(JobPlace(queue, job_id))

    def do_freeze(self) -> None:
        """Freezes or resumes the list; events are still collected while it is frozen."""
        self.frozen = not self.frozen
        self.draw()
        self.session.poll_soon()
