"""Errors of all queues, grouped: what happens now first, with its past."""

from __future__ import annotations

import asyncio
import contextlib
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from hsejobs.errors import JobCancelled, JobNotFound, JobsError
from hsejobs.model import JobRecord, State
from hsejobs.wording import counted
from hsejobs_tui.core import charts, failures
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.failures import Known, Past, Since, Trend
from hsejobs_tui.core.groups import Group
from hsejobs_tui.core.steady import Places
from hsejobs_tui.core.text import clock, duration, fitting, safe, short
from hsejobs_tui.flows import queue_acts
from hsejobs_tui.flows.job_acts import act_counted
from hsejobs_tui.screens.base import View, why_no_row
from hsejobs_tui.session.places import InsightPlace, QueuePlace
from hsejobs_tui.widgets.error_pane import ErrorPane, Shown
from hsejobs_tui.widgets.rows import WIDE, Column, Row, Rows

COLUMNS = (
    Column("10m", 5, right=True),
    Column("errors", 12, wide=20),
    Column("now", 6, right=True),
    Column("queue", 9, wide=13),
    Column("kind", 17, wide=18),
    Column("since", 10, wide=12),
    Column("last", 5, right=True, above=100),
    Column("error", 0),
)
#: Least seconds between two reads of all failed jobs, and how many times as long as such a read takes.
AGAIN, SHARE = 15.0, 25.0
#: The same while nothing tells that another job has failed, or that one was retried or removed.
UNCHANGED = 300.0
#: Seconds between two reads of the errors of the window, and of the last 30 days.
PAST_AGAIN, KNOWN_AGAIN = 10.0, 300.0
#: Seconds between two draws of the list if nothing changed but the ages in it.
REDRAW = 5.0


class Failures(View):
    """The groups of errors, those of the last ten minutes first."""

    SCOPE: ClassVar[str] = "failures"
    HEAD: ClassVar[str] = "Failures"
    NEEDED: ClassVar[tuple[str, ...]] = ("open", "retry", "pause", "export", "request")

    def __init__(self, row: str = "") -> None:
        super().__init__()
        self._row_wanted = row
        self.groups: dict[str, Group] = {}
        self.seen = self.total = 0
        self.past: Past | None = None
        self.known: Known | None = None
        self.trends: dict[str, Trend] = {}
        self.sample: JobRecord | None = None
        self._sampled: tuple[str, str] | None = None
        self._bounds = (0, 0)
        self._due = self._past_due = self._known_due = float("-inf")
        #: Whether all jobs were read once, and whether they must be read again after an act.
        self._busy = self._begun = False
        self._stale = True
        #: What `_counts` was when the jobs were read.
        self._read_at: object = None
        self._acts = 0
        self._drawn_at = float("-inf")
        self._drawn_for: tuple[int, ...] = ()
        self._places: Places[str] = Places(*failures.MOVES)

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No job has failed, and no attempt in this time.")
        yield ErrorPane()

    def on_unmount(self) -> None:
        """Frees the groups: a closed screen itself is freed much later."""
        self.groups, self.trends, self.past, self.known, self.sample = {}, {}, None, None, None

    def head(self) -> Text:
        """The number of groups and jobs, the window, and the progress of the read."""
        kinds = counted(len(self.shown), "kind of failure", "kinds of failures")
        jobs = (
            f"{counted(self.seen, 'job')} now" if self._begun or self.seen else "reading the jobs"
        )
        text = Text(f"{kinds}, {jobs}  [{self.session.window.name}]")
        if self._busy and self.seen < self.total:
            text.append(f"; read {self.seen:,} of {self.total:,}")
        return text

    @property
    def shown(self) -> dict[str, Group]:
        """The groups of failed jobs, and those whose attempts will be retried."""
        return failures.with_running(self.groups, self.past)

    @property
    def reading(self) -> bool:
        """Whether the first read, or the read after an act, is not complete yet."""
        return super().reading or (self._busy and self._stale)

    async def poll(self) -> None:
        """Reads the past of the groups, and starts a read of all failed jobs when it is due."""
        session = self.session
        now, bounds = session.now(), session.bounds
        live = session.window.end is None
        moved = bounds[0] < self._bounds[0] or (not live and bounds != self._bounds)
        if moved or (live and now >= self._past_due):
            self.past = await session.read(failures.read_past, session.source, bounds)
            self._past_due, self._bounds = now + PAST_AGAIN, bounds
        changed = self._stale or self._counts != self._read_at
        if not self._busy and now >= self._due + (0 if changed else UNCHANGED):
            self._busy = True
            self.run_worker(self._gather, name="gather")
        if now >= self._known_due:
            self._known_due = now + KNOWN_AGAIN
            self.run_worker(self._read_known, name="known")
        await self._read_sample()
        if now - self._drawn_at >= REDRAW or self._drawn_for != self._drawable():
            self._draw_groups(whole=self._begun)

    @property
    def _counts(self) -> object:
        """Changes when the failed jobs do: as many that leave as come are seen by those that come."""
        seen = self.session.snapshot
        lasts = [(one, one.window()) for one in seen.queues] if seen is not None else []
        return [(one.name, one.failed, last.failed, last.restored) for one, last in lasts]

    def _drawable(self) -> tuple[int, ...]:
        """What the rows are made of: changes when one of it was read again."""
        return id(self.past), id(self.known), id(self.groups), self._acts

    async def _read_sample(self) -> None:
        """Reads the newest failed job of the group under the cursor."""
        group = self.group
        wanted = (group.queue, group.sample) if group is not None and group.sample else None
        if wanted == self._sampled:
            return
        self.sample, read = None, self.session.source.job
        with contextlib.suppress(JobNotFound):
            self.sample = (await self.session.read(read, *wanted, tail=1))[0] if wanted else None
        self._sampled = wanted

    def draw_cursor(self) -> None:
        """Draws the group that the cursor is on now, and reads its newest job."""
        super().draw_cursor()
        self.run_worker(self._sample_and_draw, name="sample", group="sample", exclusive=True)

    async def _sample_and_draw(self) -> None:
        # Without Redis, each head says so.
        with contextlib.suppress(JobsError):
            await self._read_sample()
        if self.is_mounted:
            self.draw()

    async def _read_known(self) -> None:
        session = self.session
        try:
            self.known = await session.do(failures.read_known, session.source, session.redis_now)
        except JobsError as error:
            self._known_due = session.now() + AGAIN
            session.show_message(error)
        self._draw_groups(whole=self._begun)

    async def _gather(self) -> None:
        session = self.session
        steps, began = session.source.failures(), session.now()
        drawn, acts = began, self._acts
        found: dict[str, Group] = {}
        seen = total = 0
        failed = False
        self._read_at = self._counts
        try:
            while self.is_mounted and (step := await session.do(next, steps, None)) is not None:
                found, seen, total = step
                # The previous result is better than a part of the next.
                if not self._begun and session.now() - drawn > 0.2:
                    self.groups, self.seen, self.total = dict(found), seen, total
                    drawn = session.now()
                    self._draw_groups(whole=False)
                await asyncio.sleep(0)
            self.groups, self.seen, self.total = found, seen, total
        except JobsError as error:
            for group in found.values():
                group.broken = True
            self._read_at = None
            session.show_message(error)
            failed = True
            return
        finally:
            now = session.now()
            self._busy, self._due = False, now + max(AGAIN, SHARE * (now - began))
            if acts != self._acts or failed:
                # It began before an act, so what it read may have changed; or Redis did not answer.
                self._due = now
        self._begun, self._stale = True, acts != self._acts
        self._draw_groups(whole=True)

    def _draw_groups(self, *, whole: bool) -> None:
        if not self.is_mounted:
            return
        self._drawn_at, self._drawn_for = self.session.now(), self._drawable()
        shown = self.shown
        self.trends = {group.key: self._trend(group) for group in shown.values()}
        # Until all is read, and after an act or in another window, the order is that of the figures.
        if not whole:
            self._places.forget()
        ordered = self._places.order(
            shown.values(),
            lambda one: one.key,
            lambda one: failures.rank(self.trends[one.key], one),
            (whole, self.past is None, self.session.window, self._acts),
        )
        self.rows.fill([self._row(one) for one in ordered[:1000]], whole=whole)
        wanted = [place for place, row in self.rows.at.items() if row.key == self._row_wanted]
        if wanted:
            self.rows.go(wanted[0])
            self._row_wanted = ""
        self.draw()

    def _trend(self, group: Group) -> Trend:
        bounds = self.session.bounds
        return self.past.trend(group, bounds) if self.past else failures.of_jobs(group, bounds)

    def _since(self, group: Group) -> Since | None:
        known, now = self.known, self.session.redis_now
        return known.since(failures.name_of(group), group.first, now) if known else None

    @property
    def _known_read(self) -> bool:
        """Whether it is known when each group had errors; a session of one organization never knows."""
        return self.known is not None or self.session.source.org is not None

    def _row(self, one: Group) -> Row:
        now, trend = self.session.redis_now, self.trends[one.key]
        plain = self.session.options.ascii_only
        cells = (20 if self.size.width >= WIDE else 12) - 5
        errors = Text("-", "dim")
        if trend.values and trend.count:
            drawn = charts.spark(trend.values, cells - 1, scale=None, ascii_only=plain)
            errors = Text(drawn, "fail").append(f" {short(trend.count):>5}", "default")
        since = self._since(one)
        return Row(
            one.key,
            [
                Text(short(trend.recent), "bold fail" if trend.recent else "dim"),
                errors,
                self._left(one),
                one.queue,
                safe(one.code, 30),
                _since_text(since, now, one) if self._known_read else Text("...", "dim"),
                duration(max(0, now - one.last)) if one.last else "-",
                safe(one.error, 300),
            ],
            values=[
                *(trend.recent, trend.count, one.count, None, None),
                *(now - since.first if since else None, now - one.last),
            ],
        )

    def _left(self, one: Group) -> Text:
        """How many failed jobs there are now; what is not read yet is not nothing."""
        if one.count:
            return Text(fitting(one.count, 5))
        return Text("-" if self._begun else "...", "dim")

    def draw(self) -> None:
        """Draws the list as high as its rows, and the group under the cursor in the rest."""
        super().draw()
        room = self.size.height - 4
        self.rows.styles.height = rows = max(2, min(self.rows.lines + 1, room // 2))
        group = self.group
        trend = self.trends.get(group.key, Trend()) if group else Trend()
        shown = None
        if group is not None:
            seen = self.known, self.past, self._newest
            shown = Shown(group, trend, self._since(group), *seen)
        self.query_one(ErrorPane).show(shown, self.size.width, max(0, room - rows))

    def on_resize(self) -> None:
        """Draws again, because columns and heights depend on the size."""
        self._draw_groups(whole=self._begun)

    @property
    def group(self) -> Group | None:
        return self.shown.get(self.rows.key or "")

    @property
    def _newest(self) -> JobRecord | None:
        """The newest job of the group under the cursor, once it is read."""
        group, job = self.group, self.sample
        return job if group is not None and job is not None and job.id == group.sample else None

    def insight(self) -> InsightPlace:
        """Of the error under the cursor: whether it was there before."""
        group = self.group
        return InsightPlace(group.queue, "error", group.error) if group else InsightPlace()

    def do_open(self) -> None:
        """Lists the failed jobs of the group."""
        from hsejobs_tui.core.moment_jobs import of_group

        group = self.group
        if group is not None and group.count:
            query = of_group(f"{group.raw} {group.error}")
            self.session.open(QueuePlace(group.queue, State.FAILED, query))
        elif group is not None:
            self.session.show_message("no job has failed permanently with this error yet")

    async def do_request(self) -> None:
        """Lists what the request of the latest job of the group caused."""
        from hsejobs_tui.flows.requests import show_request

        group = self.group
        if group is None or not group.sample:
            self.do_open()
            return
        try:
            job, _ = await self.session.read(
                self.session.source.job, group.queue, group.sample, tail=1
            )
        except JobsError as error:
            self.session.show_message(error)
            return
        show_request(self.session, job)

    def lacking(self, command: Command) -> str:
        """What is about failed jobs needs some: those of a group may all have attempts left."""
        group, of_failed = self.group, command.acts_on in ("jobs", "list")
        if group is None and of_failed:
            return why_no_row(self.rows)
        if group is not None and of_failed and not group.count:
            return "No job has failed permanently with this error: the next attempts follow by themselves."
        return super().lacking(command)

    async def _act(self, name: str) -> None:
        group = self.group
        if group is None:
            return
        # The newest is read first: the question is about those that had failed by then, and no later one.
        by = f"{clock(group.last)} UTC"
        which = f"of {group.queue} that had failed with “{safe(group.error, 80)}” by {by}"
        where = f'error="{safe(group.error, 200)}"'
        if await act_counted(self.session, name, group.queue, "job", which, group, where):
            # The other groups stay until all jobs are read again.
            self._due, self._stale = float("-inf"), True
            self._acts += 1
            self.groups.pop(group.key, None)
            self.seen = max(0, self.seen - group.count)
            self.session.poll_soon()

    async def do_export(self) -> None:
        """Exports the group's jobs to a file."""
        from hsejobs_tui.core.exporting import OfGroup
        from hsejobs_tui.flows.exporting import export

        if (group := self.group) is not None:
            wanted = OfGroup(code=group.code, error=group.error)
            await export(self.session, group.queue, State.FAILED, wanted, group.error)

    async def do_retry(self) -> None:
        await self._act("retry")

    async def do_remove(self) -> None:
        await self._act("remove")

    async def do_pause(self) -> None:
        """Pauses or resumes the queue of the group."""
        if self.group is not None:
            await queue_acts.pause(self.session, self.group.queue)

    async def do_hold(self) -> None:
        """Holds a task of the group, or its newest job's organization; or lets it go."""
        from hsejobs_tui.flows.holding import hold

        if (group := self.group) is not None:
            await self._read_sample()
            tasks = [name for name, _ in group.tasks.most_common()]
            # The cursor may be on another group by now.
            job = self.sample
            org = job.organization_id if job is not None and job.id == group.sample else None
            await hold(self.session, group.queue, tasks, org)


def _since_text(since: Since | None, now: int, group: Group) -> Text:
    """``new 4f1c`` after a deploy, ``back 5m`` since it came back, or for how long it is known."""
    if since is None:
        return Text("-", "dim")
    if since.back is not None:
        return Text(f"back {duration(max(0, now - since.back))}", "bold warn")
    age = duration(max(0, now - since.first))
    if now - since.first <= failures.FRESH and group.raw != JobCancelled.code:
        if since.deploy is not None:
            return Text(f"new {safe(failures.deploy_name(since.deploy), 30)}", "bold warn")
        return Text(f"new {age}", "warn")
    return Text(age, "dim")
