"""The events of a window of time, as far as the feeds reach, with a filter and the reason of each."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sys import intern

from hsejobs.errors import InvalidOption
from hsejobs.model import JobRecord, State
from hsejobs.store.feed import NO_JOB, Event
from hsejobs.wording import during
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.text import duration, one_line
from hsejobs_tui.core.view import kind_of

#: Events that are kept for the list: the newest.
KEPT = 8_000
#: Jobs of one event that are listed: a bulk act has thousands.
JOBS_LISTED = 200
FIELDS = ("event", "queue", "id", "org")
_TERM = re.compile(r"([A-Za-z_]+)(!?[=~])(.*)", re.DOTALL)
#: ms between a job's time and the event that tells of it.
_CLOSE = 2_000


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of one job. ``number`` counts them; ``at`` in ms; ``job_id`` is '-' for a whole queue."""

    number: int
    at: int
    queue: str
    kind: str
    job_id: str
    organization_id: str | None

    def field(self, name: str) -> str:
        """The text of a filter's field."""
        found = {"event": self.kind, "queue": self.queue, "id": self.job_id}
        return found.get(name, self.organization_id or "")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Terms that must all match: a word, or a field, ``=``, ``~``, ``!=`` or ``!~``, and a value."""

    terms: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def parse(cls, line: str) -> EventFilter:
        """Reads a line such as ``failed org=org-7 queue!=mail``. Raises InvalidOption."""
        terms = []
        for word in line.split():
            found = _TERM.fullmatch(word)
            if found is None:
                terms.append(("", "~", word.casefold()))
                continue
            name, operator, wanted = found.groups()
            if name not in FIELDS:
                raise InvalidOption("filter", f"has an unknown field: use {', '.join(FIELDS)}")
            if not wanted:
                raise InvalidOption("filter", f"has no value for {name}")
            terms.append((name, operator, wanted.casefold()))
        return cls(tuple(terms))

    def matches(self, one: Happened) -> bool:
        """Whether an event meets all terms."""
        return all(_meets(one, *term) for term in self.terms)


def _meets(one: Happened, name: str, operator: str, wanted: str) -> bool:
    texts = [one.field(name)] if name else [one.field(each) for each in FIELDS]
    if operator.endswith("~"):
        found = any(wanted in text.casefold() for text in texts)
    else:
        found = any(wanted == text.casefold() for text in texts)
    return found != operator.startswith("!")


class EventList:
    """The events of a window, oldest first, and those that match the filter."""

    def __init__(self) -> None:
        self.wanted = EventFilter()
        self.every: list[Happened] = []
        self.matching: list[Happened] = []
        #: The time of the oldest event if earlier ones of the window were dropped.
        self.cut: int | None = None
        self._number = 0

    def add(self, found: Sequence[Event]) -> None:
        """Adds events, in the order of time."""
        for event in found:
            for job_id, org in event.jobs[:JOBS_LISTED]:
                self._number += 1
                kind, owner = intern(event.kind), None if org is None else intern(org)
                one = Happened(self._number, event.at, event.queue, kind, job_id, owner)
                self.every.append(one)
                if not self.wanted.terms or self.wanted.matches(one):
                    self.matching.append(one)
        for events in (self.every, self.matching):
            if len(events) > KEPT:
                del events[: len(events) - KEPT]
                self.cut = self.every[0].at

    def filter(self, wanted: EventFilter) -> None:
        """Shows only the events that match."""
        self.wanted = wanted
        self.matching = [one for one in self.every if wanted.matches(one)]

    def clear(self) -> None:
        """Forgets all events, before another window is read."""
        self.every, self.matching, self.cut = [], [], None

    def forget_before(self, start: int) -> None:
        """Drops the events before the window."""
        for events in (self.every, self.matching):
            if events and events[0].at < start:
                del events[: bisect_left(events, start, key=lambda one: one.at)]


def place_of(events: Sequence[Happened], number: int) -> int | None:
    """The place of an event, counted from the newest; None if it is not there."""
    at = bisect_left(events, number, key=lambda one: one.number)
    found = at < len(events) and events[at].number == number
    return len(events) - 1 - at if found else None


def read(
    source: LiveSource, since: dict[str, str], start: int, end: int | None
) -> tuple[list[Event], int | None]:
    """The events since the last call, at the first one those from ``start`` to ``end`` (None: now).

    The second value: the time before which a feed has dropped events of the window; None if none has.
    Updates ``since``. Raises RedisUnavailable.
    """
    found: list[Event] = []
    reaches: int | None = None
    for queue in list(source.infos):
        since[queue], news, oldest = source.feed(queue, since.get(queue), start, end)
        found += news
        if oldest is not None:
            reaches = max(reaches or 0, oldest)
    return sorted(found, key=lambda event: event.at), reaches


def reasons(source: LiveSource, shown: Sequence[Happened]) -> dict[int, tuple[str, str]]:
    """The task and the reason of each of these events, by its number. Raises RedisUnavailable."""
    jobs: dict[tuple[str, str], JobRecord | None] = {}
    for queue in {one.queue for one in shown}:
        ids = list({one.job_id for one in shown if one.queue == queue and one.job_id != NO_JOB})
        jobs |= {
            (queue, job_id): job for job_id, job in zip(ids, source.jobs(queue, ids), strict=True)
        }
    return {one.number: _told(one, jobs) for one in shown}


def _told(one: Happened, jobs: Mapping[tuple[str, str], JobRecord | None]) -> tuple[str, str]:
    if one.job_id == NO_JOB:
        return "", "the whole queue"
    job = jobs.get((one.queue, one.job_id))
    if job is None:
        return "", "the job is gone"
    return job.name.rpartition(".")[2], reason(one, job)


def reason(one: Happened, job: JobRecord) -> str:
    """Why it happened, as far as the job's record tells: its error, what it waits for, how long it ran."""
    if one.kind in ("failed", "retrying"):
        return _error(one, job)
    if one.kind in ("postponed", "delayed") and job.run_at is not None and job.run_at > one.at:
        after = f"runs in {duration(job.run_at - one.at)}"
        code, _, about = (job.postponed or "").partition(" ")
        if one.kind != "postponed" or not code:
            return after
        return f"{code.replace('_', ' ')}{about and f' {about}'}; {after}"
    if one.kind == "completed" and job.finished_at and job.processed_at:
        return f"ran {duration(job.finished_at - job.processed_at)}"
    if one.kind == "active" and job.attempts_made:
        return f"attempt {job.attempts_made} of {job.attempts}" if job.attempts_made > 1 else ""
    if one.kind == "progress" and job.status is State.ACTIVE:
        return f"{job.progress:.0f} % {one_line(job.progress_message or '', 200)}"
    if one.kind == "stalled":
        return "its worker died, or its lease ended"
    if one.kind == "cancelling" and job.cancel:
        return f"by {job.cancel.get('by')}: {job.cancel.get('reason') or 'no reason given'}"
    return ""


def _error(one: Happened, job: JobRecord) -> str:
    """The error of the attempt that the event tells of."""
    for error in reversed(job.errors):
        at = error.get("failedAt")
        if not isinstance(at, int) or abs(at - one.at) <= _CLOSE:
            text = one_line(error.get("error") or "", 300)
            kind = kind_of(error)
            named = kind == "error" or text.startswith(kind)
            return f"{text if named else f'{kind}: {text}'}; {during(error)}"
    return ""
