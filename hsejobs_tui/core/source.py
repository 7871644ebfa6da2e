"""Everything the TUI reads, confined to one organization if it is; secrets are masked here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hsejobs.control import views
from hsejobs.errors import JobNotFound, Refused
from hsejobs.model import JobRecord, State
from hsejobs.store.circuits import Circuit, Circuits
from hsejobs.store.client import RedisClient
from hsejobs.store.read import Event, JobReader, LastRun
from hsejobs.store.read_live import LiveReader, Snapshot, Window
from hsejobs.store.registry import QueueInfo, ScheduleInfo
from hsejobs.store.write import Seen
from hsejobs_tui.core import groups
from hsejobs_tui.core.acting import actor_of
from hsejobs_tui.core.filters import Filter
from hsejobs_tui.core.options import Options

#: Bytes of a payload that a search looks into: more than any payload may have.
SEARCHED = 262_144
#: Hits that a search keeps to show; the count goes on.
HITS_KEPT = 5_000


@dataclass(slots=True)
class Hits:
    """How far a search is: jobs looked at, found, and those to show."""

    queue: str
    state: State
    total: int = 0
    seen: int = 0
    count: int = 0
    jobs: list[JobRecord] = field(default_factory=list)
    #: All that were found, as they were seen.
    bound: list[Seen] = field(default_factory=list)
    excerpts: dict[str, str] = field(default_factory=dict)
    done: bool = False
    #: Whether the reading ended with an error before it was done.
    broken: bool = False

    @property
    def over(self) -> bool:
        """Whether every job was looked at."""
        return self.done


class LiveSource:
    """All reads. Every method blocks: it is called in a thread."""

    def __init__(self, options: Options, link: RedisClient) -> None:
        self.options = options
        self.link = link
        self.org = options.organization_id
        self.actor = actor_of(options)
        self.reader = JobReader(link, options.prefix)
        self.live = LiveReader(link, options.prefix, self.org)
        self.infos: dict[str, QueueInfo] = {}

    def snapshot(self) -> Snapshot:
        """All queues at one moment."""
        seen = self.live.snapshot(stalled_ms=self.options.limits.stalled_ms or 30_000)
        self.infos = seen.infos
        return seen

    def window(self, queue: str, state: State, **place: Any) -> Window:
        """Some jobs of a state by place."""
        window = self.live.window(queue, state, **place)
        for row in window.rows:
            self._shown(row)
        return window

    def jobs(self, queue: str, ids: Sequence[str]) -> list[JobRecord | None]:
        """These jobs, without payloads."""
        return [self._shown(job) for job in self.live.jobs(queue, ids)]

    def _shown(self, job: JobRecord | None) -> JobRecord | None:
        """The job without what this person may not see of it."""
        return None if job is None else views.hidden(job, self.actor)

    def stored(self, queue: str, job_id: str) -> JobRecord:
        """One job as it is stored: for a copy, never for a view."""
        return self.reader.job(queue, job_id, self.org)

    def job(self, queue: str, job_id: str, tail: int = 200) -> tuple[JobRecord, list[str]]:
        """One job with its secrets masked, and the newest log lines. Raises JobNotFound."""
        record = self.stored(queue, job_id)
        lines: list[str] | None = None
        if record.log_count:
            info = self.infos.get(queue)
            lines, _ = views.logs(self.reader, record, info, self.actor, tail=tail)
        return self.masked(record), lines or []

    def masked(self, record: JobRecord) -> JobRecord:
        """The record with ``***`` for secrets, without what this person may not see of it."""
        return views.hidden(views.masked(record, self.infos.get(record.queue)), self.actor)

    def find(self, job_id: str) -> JobRecord:
        """The job of that id in whichever queue. Raises JobNotFound."""
        for queue in list(self.infos):
            found = self.jobs(queue, [job_id])[0]
            if found is not None:
                return found
        raise JobNotFound("no queue has a job of that id")

    def search(
        self, queue: str, state: State, wanted: Filter, hits: Hits | None = None
    ) -> Iterator[Hits]:
        """Every job of the state, 200 at a time; yields the same ``hits``, fuller each time."""
        hits = hits or Hits(queue, state)
        cursor: str | None = None
        # A filter of nothing needs ids only, one of metadata no payload.
        payload = SEARCHED if wanted.needs_payload else 0
        while not hits.done:
            page = self.reader.page(
                queue,
                state,
                limit=200,
                cursor=cursor,
                organization_id=self.org,
                payload_bytes=payload,
                errors=1,
            )
            hits.total = max(page.total, hits.seen + len(page.jobs))
            for job in page.jobs:
                hits.seen += 1
                self.masked(job) if payload else self._shown(job)
                if wanted.matches(job):
                    hits.count += 1
                    hits.bound.append((job.id, job.version))
                    if len(hits.jobs) < HITS_KEPT:
                        if payload and (excerpt := wanted.excerpt(job)):
                            hits.excerpts[job.id] = excerpt
                        job.data = job.result = None
                        hits.jobs.append(job)
            cursor = page.next
            hits.done = cursor is None
            yield hits

    def failures(self) -> Iterator[tuple[dict[str, groups.Group], int, int]]:
        """Failed jobs of all queues in groups; yields (groups, jobs seen, jobs there are)."""
        found: dict[str, groups.Group] = {}
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
        """Every schedule with its last run and Redis time in ms. Not for one organization."""
        self._whole()
        found = []
        for info in list(self.infos.values()):
            if info.schedules:
                last, now = self.reader.last_outcomes(info.name), self.reader.now(info.name)
                found += [(info, one, last.get(one.task), now) for one in info.schedules]
        return found

    def circuits(self) -> list[Circuit]:
        """Circuits that failed or were touched in the last day."""
        found = Circuits(self.link, self.options.prefix).all(self.org)
        return views.circuits(found, self.actor)

    def events(self, since: dict[str, str]) -> list[Event]:
        """What happened since the last call, at first the last of it; ``since`` is kept up."""
        found: list[Event] = []
        for queue in list(self.infos):
            known = since.get(queue)
            read = self.reader.events(queue, known) if known else self.reader.recent_events(queue)
            since[queue], news = read
            for event in news:
                jobs = tuple(one for one in event.jobs if self.org in (None, one[1]))
                if jobs:
                    found.append(Event(event.at, event.queue, event.kind, jobs))
        return sorted(found, key=lambda event: event.at)

    def _whole(self) -> None:
        if self.org is not None:
            raise Refused("this is not shown to a single organization")
