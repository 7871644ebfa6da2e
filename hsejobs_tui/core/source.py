"""All reads of the TUI. Masks secrets, and limits reads to one organization where required."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from hsejobs.control import views
from hsejobs.errors import JobNotFound, Refused
from hsejobs.model import JobRecord, State
from hsejobs.store import keys
from hsejobs.store.client import RedisClient
from hsejobs.store.crowds import Crowd, Crowds
from hsejobs.store.read import JobReader, LastRun, QueueStats
from hsejobs.store.read_live import PATIENCE, LiveReader, Snapshot, Window
from hsejobs.store.registry import QueueInfo, ScheduleInfo
from hsejobs_tui.core.acting import actor_of
from hsejobs_tui.core.options import Options

# All else is imported by the read that needs it: the first frame is of the snapshot alone.
if TYPE_CHECKING:
    from hsejobs.control.filters import Filter
    from hsejobs.control.findings import Chosen, Findings, SpanJobs
    from hsejobs.control.history import History, Series
    from hsejobs.store.circuits import Circuit
    from hsejobs.store.families import Family
    from hsejobs.store.feed import Event
    from hsejobs.store.history import Range
    from hsejobs.store.marks import Mark
    from hsejobs.store.shares import TenantPage
    from hsejobs.store.write import Seen
    from hsejobs_tui.core.groups import Group

#: Maximum number of hits kept for display; counting continues beyond it.
HITS_KEPT = 5_000
#: Jobs of a queue's events that are read at once.
EVENTS_READ = 2_000


@dataclass(slots=True)
class Hits:
    """Progress of a search: jobs read, jobs found, and the jobs to display."""

    queue: str
    state: State
    total: int = 0
    seen: int = 0
    count: int = 0
    jobs: list[JobRecord] = field(default_factory=list)
    #: Ids and versions of all jobs found.
    bound: list[Seen] = field(default_factory=list)
    excerpts: dict[str, str] = field(default_factory=dict)
    done: bool = False
    #: Whether an error ended the reading early.
    broken: bool = False

    @property
    def over(self) -> bool:
        """Whether every job has been read."""
        return self.done


class Held(NamedTuple):
    """Delayed jobs that wait for circuits. ``more``: there may be more of them than were counted."""

    jobs: int
    circuits: tuple[str, ...] = ()
    more: bool = False


def circuit_of(reason: str, circuits: Iterable[str]) -> str | None:
    """Which of these circuits the reason of a postponed job names; None for none."""
    from hsejobs.store.work import REASON_BYTES

    code, _, about = reason.partition(" ")
    if code != "circuit_open" or not about:
        return None
    # A long name is cut off in the reason.
    cut = len(reason.encode()) >= REASON_BYTES - 2
    return next((one for one in circuits if one == about or (cut and one.startswith(about))), None)


class LiveSource:
    """All reads. Every method blocks, so call it in a thread."""

    def __init__(self, options: Options, client: RedisClient) -> None:
        self.options = options
        self.redis = client
        self.org = options.organization_id
        self.actor = actor_of(options)
        self.reader = JobReader(client, options.prefix)
        self.live = LiveReader(client, options.prefix, self.org)
        self._crowds = Crowds(client, options.prefix, self.org)
        self.infos: dict[str, QueueInfo] = {}

    def snapshot(self) -> Snapshot:
        """A snapshot of all queues."""
        seen = self.live.snapshot(stalled_ms=self.options.limits.stalled_ms or 30_000)
        self.infos = seen.infos
        return seen

    def window(self, queue: str, state: State, **place: Any) -> Window:
        """A window of a state's jobs, by position."""
        window = self.live.window(queue, state, **place)
        for row in window.rows:
            self._shown(row)
        return window

    def stats(self, queue: str) -> QueueStats:
        """How many jobs of each state the queue has, without its minutes."""
        return self.reader.stats([queue], self.org, minutes=0)[0]

    def jobs(self, queue: str, ids: Sequence[str]) -> list[JobRecord | None]:
        """These jobs, without payloads."""
        return [self._shown(job) for job in self.live.jobs(queue, ids)]

    def _shown(self, job: JobRecord | None) -> JobRecord | None:
        """The job, without the parts that the actor may not see."""
        return None if job is None else views.hidden(job, self.actor)

    def running(
        self, wanted: Mapping[str, Sequence[str]], limit: int
    ) -> list[tuple[JobRecord, int | None]]:
        """As `LiveReader.running`, without the parts that the actor may not see."""
        found = self.live.running(wanted, limit)
        for job, _ in found:
            self._shown(job)
        return found

    def stored(self, queue: str, job_id: str) -> JobRecord:
        """One job as stored, unmasked: for copies only, never for display. Raises JobNotFound."""
        return self.reader.job(queue, job_id, self.org)

    def job(self, queue: str, job_id: str, tail: int = 200) -> tuple[JobRecord, list[str]]:
        """One job with secrets masked, and its last ``tail`` log lines. Raises JobNotFound."""
        from hsejobs.control import why

        record = why.read(self.reader, queue, job_id, self.actor)
        lines: list[str] | None = None
        if record.log_count:
            info = self.infos.get(queue)
            lines, _ = views.logs(self.reader, record, info, self.actor, tail=tail)
        return self.masked(record), lines or []

    def family(self, queue: str, job_id: str, limit: int = 50) -> Family:
        """A job's parent, the first job of its family, and the jobs that it added. Raises JobNotFound."""
        from hsejobs.control import families

        record = self.reader.job(queue, job_id, self.org, limit=0)
        return families.of(self.reader, list(self.infos), record, self.actor, limit=limit)

    def masked(self, record: JobRecord) -> JobRecord:
        """The record with secrets masked, without the parts that the actor may not see."""
        return views.hidden(views.masked(record, self.infos.get(record.queue)), self.actor)

    def find(self, job_id: str) -> JobRecord:
        """Finds a job by id in any queue. Raises JobNotFound."""
        for queue in list(self.infos):
            found = self.jobs(queue, [job_id])[0]
            if found is not None:
                return found
        raise JobNotFound("no queue has a job with this id")

    def search(
        self, queue: str, state: State, wanted: Filter, hits: Hits | None = None
    ) -> Iterator[Hits]:
        """Searches every job of the state, 200 at a time; yields the same, growing ``hits``."""
        from hsejobs.control.search import Search

        hits = hits or Hits(queue, state)
        look = Search(queue, (state,), wanted, self.actor, self.infos.get(queue), self.org)
        for step in look.steps(self.reader):
            hits.seen += step.seen
            # The list may have become shorter while it is read.
            hits.total = max(step.total, hits.seen)
            hits.count += len(step.jobs)
            hits.bound += [(job.id, job.version) for job in step.jobs]
            for job in step.jobs[: max(0, HITS_KEPT - len(hits.jobs))]:
                if wanted.needs_payload and (excerpt := wanted.excerpt(job)):
                    hits.excerpts[job.id] = excerpt
                job.data = job.result = None
                hits.jobs.append(job)
            hits.done = step.next is None
            yield hits

    def failures(self) -> Iterator[tuple[dict[str, Group], int, int]]:
        """Groups the failed jobs of all queues; yields (groups, jobs read, jobs in total)."""
        from hsejobs_tui.core import groups

        found: dict[str, Group] = {}
        names = list(self.infos)
        totals = [one.failed for one in self.reader.stats(names, self.org, minutes=0)]
        seen = 0
        for queue in names:
            for page in self.reader.walk(queue, State.FAILED, self.org, payload_bytes=0, errors=1):
                for job in page:
                    self._shown(job)
                groups.gather(found, page)
                seen += len(page)
                yield found, seen, sum(totals)
        for group in found.values():
            group.over = True

    def schedules(self) -> list[tuple[QueueInfo, ScheduleInfo, LastRun | None, int]]:
        """Every schedule with its last run and the Redis time in ms.

        Raises Refused in a session of one organization.
        """
        self._whole()
        found = []
        for info in list(self.infos.values()):
            if info.schedules:
                last, now = self.reader.last_outcomes(info.name), self.reader.now(info.name)
                found += [(info, one, last.get(one.task), now) for one in info.schedules]
        return found

    def circuits(self) -> list[Circuit]:
        """The circuits that failed or were changed in the last day."""
        from hsejobs.store.circuits import Circuits

        found = Circuits(self.redis, self.options.prefix).all(self.org)
        return views.circuits(found, self.actor)

    def paused_by(self, queue: str, paused_at: int | None) -> str | None:
        """Who paused the queue at that Redis time, by the audit log; None if it does not tell."""
        from hsejobs.control import audit

        found = audit.page(
            self.redis, self.options.prefix, self.actor, [queue], queue=queue, act="pause", limit=1
        )
        return next((one.who for one in found.entries if one.at >= (paused_at or 0) - 60_000), None)

    def held(self, queue: str, circuits: Sequence[str]) -> Held:
        """How many delayed jobs, of the first 200, wait for which of these circuits."""
        reasons, more = self.postponed(queue, 200)
        found = [one for one in (circuit_of(reason, circuits) for reason in reasons) if one]
        return Held(len(found), tuple(sorted(set(found))), more)

    def crowds(self, *, whole: bool = False) -> dict[str, Crowd]:
        """Whose jobs wait in each queue, and who is held; a session of one organization sees its own alone.

        ``whole``: looks through all organizations, in several round trips if there are many.
        """
        return self._crowds.read(list(self.infos), whole=whole)

    def tenants(self, queue: str, **place: Any) -> TenantPage:
        """A page of the organizations that share a queue, the busiest first; ``limit`` and ``cursor``.

        Raises Refused in a session of one organization.
        """
        from hsejobs.store.shares import Shares

        self._whole()
        return Shares(self.redis, self.options.prefix).page(queue, **place)

    def history(
        self,
        queues: Sequence[str],
        *,
        start: str | None = None,
        end: str | None = None,
        step: str | None = None,
        by: str | None = None,
        sums: bool = False,
        **limits: Any,
    ) -> History:
        """What happened in these queues, and the marks; see ``control.history.read`` for the options.

        ``sums``: one point with the sums of the whole time. Raises Refused if a session of one
        organization divides it, and InvalidOption.
        """
        from hsejobs.control import history

        moment = history.now(self.redis, self.options.prefix)
        wanted = history.span(moment, start, end, step)
        wanted = wanted.whole() if sums else wanted
        return history.read(
            self.redis, self.options.prefix, queues, wanted, self.actor, by=by, **limits
        )

    def findings(
        self, queues: Sequence[str], start: int, end: int, only: Chosen | None = None
    ) -> Findings:
        """What a span (ms) of these queues, or of one part of them, shows; see ``control.findings``."""
        from hsejobs.control.findings import Finder

        return Finder(self.redis, self.options.prefix, self.actor).read(queues, start, end, only)

    def span_jobs(self, queues: Sequence[str], start: int, end: int, **limits: Any) -> SpanJobs:
        """The jobs of a span (ms); see ``control.findings.Finder.jobs`` for the limits."""
        from hsejobs.control.findings import Finder

        finder = Finder(self.redis, self.options.prefix, self.actor)
        return finder.jobs(queues, start, end, **limits)

    def past(self, queues: Sequence[str], wanted: Range, by: str | None = None) -> list[Series]:
        """The counters of these queues in a span, also divided, without marks.

        Raises Forbidden where the session may not see them.
        """
        from hsejobs.control import history

        brief = by is not None
        return history.read(
            self.redis,
            self.options.prefix,
            queues,
            wanted,
            self.actor,
            by=by,
            marks=False,
            brief=brief,
        ).series

    def marks(self, start: int, end: int) -> list[Mark]:
        """The marks from ``start`` to ``end`` (ms), without the acts of people, the oldest first.

        None in a session of one organization: they are about all.
        """
        if self.org is not None:
            return []
        from hsejobs.store.marks import Marks

        return Marks(self.redis, self.options.prefix).between(start, end)

    def postponed(self, queue: str, most: int) -> tuple[list[str], bool]:
        """Why the delayed jobs of a queue were postponed, of the ``most`` that are due first.

        Each is a code and what it is about. The second value: whether there are more delayed jobs.
        """
        base = keys.base(self.options.prefix, queue)
        index = keys.index(base, State.DELAYED, self.org)
        rows = self.redis.command("ZRANGE", index, 0, most, "WITHSCORES", patience=PATIENCE)
        due = dict(zip(rows[: 2 * most : 2], rows[1 : 2 * most : 2], strict=True))
        calls = [(None, ("HGET", keys.of(base, "job", one.decode()), "wy")) for one in due]
        found = []
        for score, reason in zip(
            due.values(), self.redis.batch(calls, patience=PATIENCE) if calls else (), strict=True
        ):
            # A reason holds until the time that it names.
            at, _, rest = (reason or b"").decode("utf-8", "replace").partition(" ")
            if rest and at == str(int(float(score))):
                found.append(rest)
        return found, len(rows) > 2 * most

    def feed(
        self, queue: str, known: str | None, start: int, end: int | None
    ) -> tuple[str, list[Event], int | None]:
        """The events after the position ``known``; at first (None) those from ``start`` to ``end`` (ms).

        With the next position, and the time of the oldest event if earlier ones were dropped.
        """
        from hsejobs.store import feed

        if known is None:
            position, found, oldest = feed.between(
                self.redis, self.options.prefix, queue, start, end, EVENTS_READ
            )
        elif end is None:
            (position, found), oldest = self.reader.events(queue, known, count=EVENTS_READ), None
        else:
            return known, [], None
        news = []
        for event in found:
            jobs = tuple(one for one in event.jobs if self.org in (None, one[1]))
            if jobs:
                news.append(feed.Event(event.at, event.queue, event.kind, jobs))
        return position, news, oldest

    def _whole(self) -> None:
        if self.org is not None:
            raise Refused("not available in a session of one organization")
