"""What a span of time shows: its totals, the errors that began in it, whom it was about, what was slow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hsejobs.control import history, views
from hsejobs.control.actors import Actor
from hsejobs.error_groups import group_of
from hsejobs.model import JobRecord, State, iso_time
from hsejobs.store.client import RedisClient
from hsejobs.store.history import Range
from hsejobs.store.minutes import Minute
from hsejobs.store.pages import cursor_before
from hsejobs.store.periods import RETENTION, By
from hsejobs.store.read import JobReader

#: The shortest time before a span with which it is compared, in ms.
LEAST_BEFORE = 3_600_000
#: Jobs that are read of each queue and state to find the slowest, and how many of these are kept.
READ_OF_EACH, SLOWEST = 1_000, 10
_PAGE = 200
#: Jobs that have not ended which are looked at: those that wait or run longest come first.
_UNENDED = 50


@dataclass(frozen=True, slots=True)
class ErrorChange:
    """A group of errors: failures and retries in the span, and in a time of ``before_ms`` right before it."""

    queue: str
    code: str
    text: str
    count: int
    before: int
    before_ms: int

    @property
    def began(self) -> bool:
        """Whether it occurred in the span and not before."""
        return self.count > 0 and self.before == 0

    def expected(self, length: int) -> float:
        """How many there would have been in ``length`` ms at the rate of the time before."""
        return self.before * length / self.before_ms if self.before_ms else 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """One tenant's, task's or queue's counters in the span. ``name`` '': jobs of no organization."""

    name: str
    counters: Minute


@dataclass(frozen=True, slots=True)
class SlowJob:
    """A job of the span with its time in ms; ``over``: whether that time has ended."""

    job: JobRecord
    ms: int
    over: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """The one task, group of errors (``code text``) or organization that findings are limited to."""

    by: By
    name: str

    @property
    def organization_id(self) -> str | None:
        """The organization whose jobs alone can be its jobs; None without one."""
        return self.name or None if self.by is By.ORG else None

    def has(self, job: JobRecord) -> bool:
        """Whether the job is one of its jobs: of an error, those that failed with it in the end."""
        if self.by is By.TASK:
            return job.name == self.name
        if self.by is By.ORG:
            return (job.organization_id or "") == self.name
        return job.status is State.FAILED and group_of(job) == self.name


@dataclass(slots=True)
class SpanJobs:
    """What the jobs of a span tell: the slowest, and how many of those that ended each tenant had.

    ``errors``: of those that failed, by group (``code text``). ``whole``: whether all that are kept were
    looked at, and not the newest alone.
    """

    slowest: list[SlowJob] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    tenants: Counter[str] = field(default_factory=Counter)
    whole: bool = True

    @property
    def ended(self) -> int:
        """How many jobs that ended were found."""
        return self.tenants.total()


@dataclass(slots=True)
class Findings:
    """What a span shows. ``start`` and ``end`` in ms; ``before``: the same length of time before it.

    Of a chosen task or organization the history counts neither errors nor tenants: `Finder.jobs` does.
    """

    start: int
    end: int
    whole: Minute = field(default_factory=Minute)
    before: Minute = field(default_factory=Minute)
    errors: list[ErrorChange] = field(default_factory=list)
    tenants: list[Part] = field(default_factory=list)

    @property
    def length(self) -> int:
        """The length in ms."""
        return self.end - self.start


class Finder:
    """Reads findings as one actor may see them. Methods raise Forbidden, InvalidOption, RedisUnavailable."""

    def __init__(self, client: RedisClient, prefix: str, actor: Actor) -> None:
        self.redis, self.prefix, self.actor = client, prefix, actor

    def read(
        self, queues: Sequence[str], start: int, end: int, only: Chosen | None = None
    ) -> Findings:
        """The findings of a span, widened to the steps that are kept for so long; of one part if given."""
        now = history.now(self.redis, self.prefix)
        oldest = now - RETENTION[60] * 1000
        length = end - start
        early = max(oldest, start - max(LEAST_BEFORE, length))
        found = Findings(start, end)
        wanted = history.span(now, iso_time(early), iso_time(min(end, now)))
        whole = self.past(queues, wanted, only)
        found.start, found.end = _within(whole, start, end)
        found.before = _sum(
            minute
            for one in whole.series
            for at, minute in one.points
            if found.start - found.length <= at < found.start
        )
        found.whole = _sum(_points(whole, found.start, found.end))
        if self.actor.organization_id is not None:
            return found
        first, last = found.start // 60_000, found.end // 60_000
        if only is None or only.by is By.ERROR:
            # Two steps: the time before, and the span.
            edges = (wanted.start, first) if wanted.start < first else (first,)
            steps = Range(edges[0], last, wanted.step, edges)
            by_error = self._history(queues, steps, By.ERROR, only.name if only else None)
            found.errors = _errors(by_error, found.start, found.end, early)
        if only is None:
            found.tenants = self._parts(queues, Range(first, last, wanted.step).whole(), By.ORG)
        return found

    def _parts(self, queues: Sequence[str], wanted: Range, by: By) -> list[Part]:
        """The counters of each part, those with the most jobs added or ended first."""
        sums: dict[str, Minute] = {}
        for one in self._history(queues, wanted, by).series:
            total = sums.setdefault(one.name or "", Minute())
            for _, minute in one.points:
                total += minute
        parts = [Part(name, minute) for name, minute in sums.items()]
        return sorted(parts, key=lambda one: -max(one.counters.added, one.counters.ended))

    def past(
        self, queues: Sequence[str], wanted: Range, only: Chosen | None, *, marks: bool = False
    ) -> history.History:
        """The history of the queues, or of one part of them."""
        by, name = (only.by, only.name) if only is not None else (None, None)
        return self._history(queues, wanted, by, name, marks=marks, brief=False)

    def _history(
        self,
        queues: Sequence[str],
        wanted: Range,
        by: By | None,
        only: str | None = None,
        *,
        marks: bool = False,
        brief: bool = True,
    ) -> history.History:
        return history.read(
            self.redis,
            self.prefix,
            queues,
            wanted,
            self.actor,
            by=by,
            marks=marks,
            only=only,
            brief=brief,
        )

    def jobs(
        self,
        queues: Sequence[str],
        start: int,
        end: int,
        *,
        waiting: bool,
        only: Chosen | None = None,
    ) -> SpanJobs:
        """The jobs that ended in the span, or still wait (or run), with those that did so longest first.

        Of each queue and state, the newest ``READ_OF_EACH`` of the span are looked at, of an organization
        its own.
        """
        reader, found = JobReader(self.redis, self.prefix), SpanJobs()
        org = self.actor.organization_id or (only.organization_id if only else None)
        slow: list[SlowJob] = []
        for queue in queues:
            now = reader.now(queue)
            state = State.WAITING if waiting else State.ACTIVE
            for job in self._page(reader, queue, state, org, _UNENDED if only is None else _PAGE):
                began = job.created_at if waiting else job.processed_at or now
                if began < end and (only is None or only.has(job)):
                    slow.append(SlowJob(job, max(0, now - began), False))
            for state in (State.COMPLETED, State.FAILED):
                for job in self._ended(reader, queue, state, org, start, end, found):
                    if only is not None and not only.has(job):
                        continue
                    found.tenants[job.organization_id or ""] += 1
                    if state is State.FAILED:
                        found.errors[group_of(job)] += 1
                    ms = time_of(job, waiting=waiting)
                    if ms is not None:
                        slow.append(SlowJob(job, ms, True))
            slow = sorted(slow, key=lambda one: -one.ms)[:SLOWEST]
        found.slowest = [
            SlowJob(views.hidden(one.job, self.actor), one.ms, one.over) for one in slow
        ]
        return found

    def _ended(
        self,
        reader: JobReader,
        queue: str,
        state: State,
        org: str | None,
        start: int,
        end: int,
        found: SpanJobs,
    ) -> Iterable[JobRecord]:
        """The jobs of a state that ended in the span, the newest first; notes if there are more of them."""
        cursor: str | None = cursor_before(queue, state, end)
        for _ in range(READ_OF_EACH // _PAGE):
            page = reader.page(
                queue,
                state,
                limit=_PAGE,
                cursor=cursor,
                organization_id=org,
                payload_bytes=0,
                errors=1,
            )
            for job in page.jobs:
                if (job.finished_at or 0) < start:
                    return
                yield job
            cursor = page.next
            if cursor is None:
                return
        found.whole = False

    def _page(
        self, reader: JobReader, queue: str, state: State, org: str | None, limit: int
    ) -> list[JobRecord]:
        return reader.page(
            queue, state, limit=limit, organization_id=org, payload_bytes=0, errors=1
        ).jobs


def time_of(job: JobRecord, *, waiting: bool) -> int | None:
    """How long an ended job waited for its first attempt, or how long its last one ran, in ms."""
    if job.processed_at is None:
        return None
    if waiting:
        # Later attempts begin after a backoff, which is no waiting.
        return max(0, job.processed_at - job.created_at) if job.attempts_made <= 1 else None
    return None if job.finished_at is None else max(0, job.finished_at - job.processed_at)


def _points(read: history.History, start: int, end: int) -> Iterable[Minute]:
    return (minute for one in read.series for at, minute in one.points if start <= at < end)


def _sum(minutes: Iterable[Minute]) -> Minute:
    total = Minute()
    for one in minutes:
        total += one
    return total


def _within(read: history.History, start: int, end: int) -> tuple[int, int]:
    """The span in whole steps of what was read."""
    first = start - (start - read.start) % read.step
    return first, max(first + read.step, end + (read.start - end) % read.step)


def _errors(read: history.History, start: int, end: int, early: int) -> list[ErrorChange]:
    """The groups of the span: those that began in it first, then by their number."""
    found = []
    for one in read.series:
        code, _, text = (one.name or "").partition(" ")
        counts = [(at, minute.failed + minute.retried) for at, minute in one.points]
        here = sum(count for at, count in counts if start <= at < end)
        before = sum(count for at, count in counts if at < start)
        if here:
            known = max(read.step, start - max(early, read.start))
            found.append(ErrorChange(one.queue, code, text, here, before, known))
    return sorted(found, key=lambda one: (not one.began, -one.count))
