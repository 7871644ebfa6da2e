"""Jobs of a queue that match a filter: read page by page, with secrets masked before they are compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hsejobs.control import views
from hsejobs.control.actors import Actor
from hsejobs.control.filters import Filter, parse
from hsejobs.errors import InvalidOption
from hsejobs.model import FINISHED, JobRecord, State
from hsejobs.store.pages import BRIEF, Page, first_cursor, state_of_cursor
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo

#: Bytes of a payload that a search reads: more than a payload may have.
SEARCHED = 262_144
#: Jobs in one page.
PAGE = 200
#: Jobs that one answer of a listing reads at most, to find those that match and to count them.
READ_AT_MOST = 10_000


@dataclass(slots=True)
class Step:
    """One page of a search: the jobs of the state, those read on this page, and those that match.

    ``next`` is the cursor of the next page, None at the end. ``heavy``: the page ended early, because its
    jobs are large.
    """

    total: int
    seen: int
    next: str | None
    jobs: list[JobRecord] = field(default_factory=list)
    heavy: bool = False
    #: For each of ``jobs``, how many jobs of the page were read up to it.
    places: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Search:
    """What to search: one or more states of a queue, one after the other, as the actor may see them.

    ``whole``: read payloads and results even if the filter does not need them; ``results``: whether it
    includes the results. ``errors``: how many of each job's newest errors, 0 for all, or BRIEF.
    ``if_paused``: nothing unless the queue is paused.
    """

    queue: str
    states: tuple[State, ...]
    wanted: Filter
    actor: Actor
    info: QueueInfo | None = None
    organization_id: str | None = None
    whole: bool = False
    errors: int = 1
    if_paused: bool = False
    results: bool = True
    _paths: dict[str, list[str]] = field(default_factory=dict, compare=False, repr=False)

    def steps(self, reader: JobReader, cursor: str | None = None) -> Iterator[Step]:
        """Yields every page from the cursor on; the jobs are masked and hidden as the actor requires."""
        while True:
            step = self.step(reader, cursor)
            yield step
            cursor = step.next
            if cursor is None:
                return

    def step(self, reader: JobReader, cursor: str | None = None, limit: int = PAGE) -> Step:
        """Reads one page. Raises InvalidOption for an invalid cursor or limit."""
        state = self._state(cursor)
        page = reader.page(self.queue, state, limit=limit, cursor=cursor, **self._reads())
        found = self._sift(page, state)
        found.heavy = page.next is not None and found.seen < limit
        return found

    def ahead(self, reader: JobReader, most: int, cursor: str | None = None) -> Iterator[Step]:
        """Yields up to ``most`` pages of one state; Redis reads each while the one before is worked on.

        Between two of them, the thread must make no other call of Redis. The caller closes it.
        """
        state = self._state(cursor)
        pages = reader.pages(self.queue, state, most, cursor=cursor, **self._reads())
        with contextlib.closing(pages):  # type: ignore[type-var]
            for page in pages:
                step = self._sift(page, state)
                yield step
                if step.next != page.next:
                    return

    def _state(self, cursor: str | None) -> State:
        if cursor is None or len(self.states) == 1:
            return self.states[0]
        return state_of_cursor(self.queue, cursor, self.states)

    @property
    def _with_payload(self) -> bool:
        return self.whole or self.wanted.needs_payload

    def _reads(self) -> dict[str, Any]:
        return {
            # An organization has an index of its own, which makes `org=` fast.
            "organization_id": self.organization_id or self.wanted.organization_id,
            "payload_bytes": SEARCHED if self._with_payload else 0,
            "errors": self.errors,
            "results": self.results,
        }

    def _sift(self, page: Page, state: State) -> Step:
        """What of a page matches, masked and hidden."""
        if self.if_paused and not page.paused:
            return Step(0, 0, None)
        step = Step(page.total, len(page.jobs), page.next)
        for place, job in enumerate(page.jobs, 1):
            readable = self.actor.may_read_contents(job.organization_id, job.user_id)
            # Masking costs more than everything else, so it comes after what does not depend on it.
            if not self.wanted.may_match(job, readable=readable):
                continue
            if self._with_payload:
                views.masked_at(job, self._secret_paths(job.name))
            views.hidden(job, self.actor)
            if self.wanted.matches(job):
                step.jobs.append(job)
                step.places.append(place)
        if page.jobs and self._is_before(page.jobs[-1]):
            step.next = None
        if step.next is None and state is not self.states[-1]:
            after = self.states[self.states.index(state) + 1]
            step.next = first_cursor(self.queue, after)
        return step

    def _secret_paths(self, task: str) -> list[str]:
        if task not in self._paths:
            self._paths[task] = views.secret_paths(self.info, task)
        return self._paths[task]

    def _is_before(self, job: JobRecord) -> bool:
        """Whether the job, and all that follow in its state, ended before what the filter asks for."""
        # Ended jobs are listed by their end, which is the number in their version, in microseconds.
        score = job.version[1:]
        ended = job.status in FINISHED and score.isdigit()
        return ended and int(score) // 1000 < self.wanted.since


def prepare(
    reader: JobReader,
    info: QueueInfo,
    status: str | None,
    where: str,
    actor: Actor,
    *,
    organization_id: str | None = None,
    errors: int = 0,
    results: bool = True,
) -> Search:
    """A search for whole jobs, as of now by Redis' clock. ``errors``, ``results``: as for `Search`.

    The status ``paused`` means the waiting jobs of a paused queue; None means ``waiting``, or with
    ``where`` every state. ``organization_id``: only this organization's jobs. Raises InvalidOption for an
    invalid status or filter.
    """
    wanted = parse(where, reader.now(info.name) if where else 0)
    if status is None and not wanted.terms:
        status = State.WAITING.value
    states = tuple(State) if status is None else (views.state_of(status),)
    paused = status == "paused"
    scope = organization_id
    return Search(
        info.name, states, wanted, actor, info, scope, True, errors, paused, results=results
    )


def listing(
    reader: JobReader,
    info: QueueInfo,
    status: str | None,
    actor: Actor,
    *,
    limit: int = 50,
    cursor: str | None = None,
    organization_id: str | None = None,
    where: str = "",
) -> dict[str, Any]:
    """A page of a queue's jobs: ``queue, status, total, jobs, next``.

    Takes what ``prepare`` takes. With ``where``, ``total`` is the number of jobs that match, or None if
    not all jobs were read to know it. A page with a ``next`` has fewer than ``limit`` jobs only if they
    are large, or if ``READ_AT_MOST`` jobs were read to find them.
    Raises InvalidOption for an invalid status, filter, limit or cursor.
    """
    if not 1 <= limit <= PAGE:
        raise InvalidOption("limit", f"must be a number from 1 to {PAGE}")
    search = prepare(reader, info, status, where, actor, organization_id=organization_id)
    total: int | None
    if search.wanted.terms:
        jobs, total, following = _matching(search, reader, cursor, limit)
    else:
        status = status or search.states[0].value
        page = search.step(reader, cursor, limit)
        jobs, total, following = page.jobs, page.total, page.next
    return {
        "queue": info.name,
        "status": status,
        "total": total,
        "jobs": [views.visible(job, actor) for job in jobs],
        "next": following,
    }


def _matching(
    search: Search, reader: JobReader, cursor: str | None, limit: int
) -> tuple[list[JobRecord], int | None, str | None]:
    """Up to ``limit`` matches, how many there are if all jobs were read, and the next cursor."""
    jobs: list[JobRecord] = []
    following, read, held, full = cursor, 0, 0.0, False
    while not full:
        step = search.step(reader, following)
        room = limit - len(jobs)
        if len(step.jobs) > room:
            # The page ends at the last job that fits.
            step = search.step(reader, following, step.places[room - 1])
        jobs += step.jobs[:room]
        following = step.next
        # Large jobs take the memory and the time of many; `held`: how many pages of them are kept.
        read += PAGE if step.heavy else step.seen
        held += len(step.jobs) / step.seen if step.heavy else 0
        full = following is None or len(jobs) >= limit or held >= 1 or read >= READ_AT_MOST
    total = None if cursor else _count(search, reader, following, len(jobs), READ_AT_MOST - read)
    if total == len(jobs):
        following = None
    return jobs, total, following


def _count(
    search: Search, reader: JobReader, cursor: str | None, count: int, may_read: int
) -> int | None:
    """``count`` and the matches from the cursor on; None if that takes more than ``may_read`` jobs."""
    counting = replace(search, whole=False, errors=BRIEF)
    while cursor is not None:
        if may_read <= 0:
            return None
        step = counting.step(reader, cursor)
        count += len(step.jobs)
        may_read -= step.seen
        cursor = step.next
    return count
