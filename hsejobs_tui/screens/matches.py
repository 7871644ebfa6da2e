"""The jobs of all queues that match a filter, such as all that one request caused, the oldest first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice, product
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.control.filters import parse
from hsejobs.errors import JobsError
from hsejobs.model import JobRecord
from hsejobs.wording import counted
from hsejobs_tui.core.all_states import ORDER
from hsejobs_tui.core.joblist import figures, titled, what
from hsejobs_tui.core.source import HITS_KEPT, Hits
from hsejobs_tui.core.text import clock, one_line, safe
from hsejobs_tui.core.view import LOOK, kind, remark
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import JobPlace, MatchPlace, Place
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("state", 11),
    Column("queue", 14, wide=18),
    Column("task", 14, wide=18),
    Column("id", 18, wide=20),
    Column("organization", 12, above=118),
    Column("added", 17, above=104),
    Column("ran", 5, right=True, above=118),
    Column("what", 0),
)
#: Least seconds between two searches, and how many times as long as a search they are apart.
AGAIN, SHARE = 5.0, 25.0


class Matches(View):
    """Reads every job of every queue, 200 at a time, and again now and then."""

    SCOPE: ClassVar[str] = "matches"

    def __init__(self, query: str) -> None:
        super().__init__()
        self.query_text = query
        self.found: dict[tuple[str, str], JobRecord] = {}
        self.seen = self.count = 0
        self._find_busy = self._begun = self._over = False
        self._due = float("-inf")

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No job in any queue matches: it was removed, or its retention ended.")
        yield Static(id="detail", markup=False)

    def on_unmount(self) -> None:
        """Frees the jobs: a closed screen itself is freed much later."""
        self.found = {}

    @property
    def place(self) -> Place:
        return MatchPlace(self.query_text)

    @property
    def reading(self) -> bool:
        """Whether nothing has been searched yet: a search may take long, and keys work meanwhile."""
        return not self._begun

    @property
    def has_read(self) -> bool:
        """Whether anything was searched."""
        return self._over or self.seen > 0

    def subject(self) -> Text:
        """What is searched for."""
        return Text("all queues  ").append(f"/{safe(self.query_text, 120)}", "bold")

    def head(self) -> Text:
        """How many jobs of which states were found, and how many were searched."""
        text = self.subject()
        text.append(f"  {counted(self.count, 'job')}")
        if self.count > len(self.found):
            text.append(f", {len(self.found):,} shown")
        states = [one.status for one in self.found.values()]
        parts = [f"{states.count(state):,} {state}" for state in ORDER if state in states]
        if parts:
            text.append(f": {', '.join(parts)}")
        if not self._over:
            text.append(f"; {self.seen:,} of {self._total:,} searched ...")
        return text

    @property
    def _total(self) -> int:
        """How many jobs there are, at least as many as were searched."""
        snapshot = self.session.snapshot
        queues = snapshot.queues if snapshot else []
        total: int = sum(getattr(one, state.value) for one in queues for state in ORDER)
        return max(self.seen, total)

    async def poll(self) -> None:
        """Starts a search when one is due."""
        session = self.session
        if not self._find_busy and session.now() >= self._due:
            self._find_busy = True
            self.run_worker(self._search, name="search")

    async def _search(self) -> None:
        session, source = self.session, self.session.source
        began = drawn = session.now()
        parts: list[Hits] = []
        try:
            wanted = parse(self.query_text, session.redis_now)
            for queue, state in product(list(source.infos), ORDER):
                parts.append(Hits(queue, state))
                steps = source.search(queue, state, wanted, parts[-1])
                while await session.do(next, steps, None) is not None:
                    if not self.is_mounted:
                        return
                    # Afterwards, a part of the next search would be less than the last one found.
                    if not self._over and (not self._begun or session.now() - drawn > 0.15):
                        drawn = session.now()
                        self._show(parts)
                    await asyncio.sleep(0)
            self._over = True
            self._show(parts)
        except JobsError as error:
            session.show_message(error)
            # Not for as long as a search that found out: Redis may answer soon.
            began = session.now()
        finally:
            self._begun, self._find_busy = True, False
            self._due = session.now() + max(AGAIN, SHARE * (session.now() - began))

    def _show(self, parts: Sequence[Hits]) -> None:
        """Shows what was found so far."""
        self._begun = True
        if not self.is_mounted:
            return
        jobs = islice((job for one in parts for job in one.jobs), HITS_KEPT)
        # A job may change its state, and be found in both.
        self.found = {(job.queue, job.id): job for job in jobs}
        count = sum(one.count for one in parts)
        self.count = count if count > HITS_KEPT else len(self.found)
        self.seen = sum(one.seen for one in parts)
        ordered = sorted(self.found.values(), key=lambda job: (job.created_at, job.queue, job.id))
        now = self.session.redis_now
        self.rows.fill([self._row(job, now) for job in ordered], whole=self._over)
        self.draw()

    def _row(self, job: JobRecord, now: int) -> Row:
        glyph, letter, color = LOOK[job.status]
        plain = self.session.options.ascii_only
        return Row(
            f"{job.queue}\0{job.id}",
            [
                Text(f"{letter if plain else glyph} {job.status}", color),
                job.queue,
                safe(job.name.rpartition(".")[2], 60),
                safe(job.id, 200),
                safe(job.organization_id or "-", 60),
                clock(job.created_at),
                figures(job, now)[1],
                one_line(what(job)),
            ],
            values=[None, None, None, None, None, job.created_at, None, None],
        )

    @property
    def job(self) -> JobRecord | None:
        """The job under the cursor."""
        queue, _, job_id = (self.rows.key or "").partition("\0")
        return self.found.get((queue, job_id))

    def detail(self) -> Text:
        """The error or the progress of the job under the cursor, in full, and who added it."""
        job = self.job
        if job is None:
            return Text()
        text = Text(f"{job.queue} / {safe(job.id, 80)}")
        if job.parent is not None:
            text.append(f", added by {job.parent.queue} / {safe(job.parent.id, 80)}", "dim")
        more = job.failed_reason or remark(job)
        if job.failed_reason and not job.waits_for:
            more = titled(kind(job), job.failed_reason)
        return text.append(f"\n{safe(more, 600)}") if more else text

    def do_open(self) -> None:
        """Opens the job under the cursor."""
        job = self.job
        if job is not None:
            self.session.open(JobPlace(job.queue, job.id))

    def do_request(self) -> None:
        """Lists what the request of the job under the cursor caused."""
        from hsejobs_tui.flows.requests import show_request

        show_request(self.session, self.job)
