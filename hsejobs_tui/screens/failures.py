"""Failed jobs of all queues, grouped by error."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.errors import JobsError
from hsejobs.wording import counted, verb
from hsejobs_tui.core.groups import Group
from hsejobs_tui.core.text import duration, safe
from hsejobs_tui.flows.job_acts import act_counted
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import InsightPlace, JobPlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("count", 6, right=True),
    Column("queue", 12, wide=17),
    Column("code", 11, wide=22),
    Column("first", 5, right=True, above=100),
    Column("last", 5, right=True),
    Column("error", 0),
)
#: Seconds between two automatic reads of all failures.
AGAIN = 15.0


class Failures(View):
    """The groups of failures, largest first."""

    SCOPE: ClassVar[str] = "failures"

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, Group] = {}
        self.seen = self.total = 0
        self._at = float("-inf")
        self._busy = False

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No job has failed.")
        yield Static(id="detail", markup=False)

    def head(self) -> Text:
        """The number of groups and jobs, and the progress of the read."""
        kinds = counted(len(self.groups), "kind of failure", "kinds of failures")
        text = f"{kinds}, {counted(self.seen, 'job')}"
        if self._busy and self.seen < self.total:
            text += f"; read {self.seen:,} of {self.total:,}"
        return Text(text)

    def detail(self) -> Text:
        """The latest error of the group, in full."""
        group = self.group
        if group is None:
            return Text()
        text = Text().append("newest: ", "dim").append(safe(group.sample, 60), "dim")
        acts = (
            f"; r retries {verb(group.count, 'it', f'all {group.count:,}')}"
            if self.session.has("retry")
            else ""
        )
        text.append(f", {safe(group.code, 60)}{acts}\n", "dim")
        return text.append(safe(group.sample_error, 600))

    async def poll(self) -> None:
        """Starts a new read every ``AGAIN`` seconds; it runs in the background."""
        if not self._busy and self.session.now() - self._at > AGAIN:
            self._busy = True
            self.run_worker(self._gather(), name="gather", exit_on_error=False)

    async def _gather(self) -> None:
        session = self.session
        steps, drawn = session.source.failures(), session.now()
        found: dict[str, Group] = {}
        seen = total = 0
        try:
            while self.is_mounted and (step := await session.do(next, steps, None)) is not None:
                found, seen, total = step
                # Keep the previous result until this one has more jobs.
                if seen >= self.seen and session.now() - drawn > 0.2:
                    self.groups, self.seen, self.total = dict(found), seen, total
                    drawn = session.now()
                    self._draw_groups(whole=False)
                await asyncio.sleep(0)
            self.groups, self.seen, self.total = found, seen, total
        except JobsError as error:
            for group in found.values():
                group.broken = True
            session.show_message(error)
            return
        finally:
            self._busy, self._at = False, session.now()
        self._draw_groups(whole=True)

    @property
    def reading(self) -> bool:
        """Whether the first read, or the read after an act, is not complete yet."""
        return super().reading or (self._busy and not self.seen)

    def _draw_groups(self, *, whole: bool) -> None:
        if not self.is_mounted:
            return
        now = self.session.redis_now
        ordered = sorted(self.groups.values(), key=lambda one: -one.count)[:1000]
        self.rows.fill(
            [
                Row(
                    one.key,
                    [
                        Text(f"{one.count:,}", "bold fail"),
                        one.queue,
                        safe(one.code, 30),
                        duration(max(0, now - one.first)),
                        duration(max(0, now - one.last)),
                        safe(one.error, 300),
                    ],
                )
                for one in ordered
            ],
            whole=whole,
        )
        self.draw()

    @property
    def group(self) -> Group | None:
        return self.groups.get(self.rows.key or "")

    def insight(self) -> InsightPlace:
        """Of the error under the cursor: whether it was there before."""
        group = self.group
        return InsightPlace(group.queue, "error", group.error) if group else InsightPlace()

    def do_open(self) -> None:
        """Opens the latest job of the group."""
        if self.group is not None:
            self.session.open(JobPlace(self.group.queue, self.group.sample))

    async def _act(self, name: str) -> None:
        group = self.group
        if group is not None:
            which = f"of {group.queue} that failed with “{safe(group.error, 80)}”"
            where = f'status=failed error="{safe(group.error, 200)}"'
            if await act_counted(self.session, name, group.queue, "job", which, group, where):
                self._at = float("-inf")
                self.groups, self.seen = {}, 0
                self.session.poll_soon()

    async def do_retry(self) -> None:
        await self._act("retry")

    async def do_remove(self) -> None:
        await self._act("remove")
