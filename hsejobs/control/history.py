"""The history of queues as every door shows it: the span, the series, the marks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

from hsejobs import codec
from hsejobs.control import audit
from hsejobs.control.act_table import ACTS
from hsejobs.control.actors import Actor
from hsejobs.control.durations import parse_duration
from hsejobs.control.moments import parse_moment
from hsejobs.errors import Forbidden, InvalidOption
from hsejobs.garbage import not_sought
from hsejobs.model import UNSEEN, iso_time
from hsejobs.store import registry
from hsejobs.store.client import RedisClient
from hsejobs.store.history import MOST_POINTS, QueueHistory, Range, finest
from hsejobs.store.marks import Mark, Marks
from hsejobs.store.minutes import Depth, Minute, bucket_end_ms, percentiles
from hsejobs.store.periods import MOST, RETENTION, By, Period, activity

#: The span without ``from``, and the steps offered without ``step``, in minutes.
DEFAULT_SPAN = 180
#: The field that names what a series is about.
NAMED = {By.TASK: "task", By.ERROR: "error", By.ORG: "organizationId"}
#: Characters of a mark's text; how many acts are shown as marks.
MARK_LENGTH, MOST_ACTS = 200, 200
#: The most points that a divided history may have without ``step``.
MOST_DIVIDED = 75_000
_UNSEEN = re.compile(f"[{UNSEEN}]")


@dataclass(slots=True)
class Series:
    """The counters of a queue, or of one task, error group or organization in it, by the ms of each step.

    A step in which a part had nothing has no point; the queue's own series has all.
    """

    queue: str
    name: str | None
    points: list[tuple[int, Minute]] = field(default_factory=list)

    def public(self, by: By | None) -> dict[str, Any]:
        """The JSON object of the series."""
        head: dict[str, Any] = {"queue": self.queue}
        if by is By.ERROR:
            code, _, text = (self.name or "").partition(" ")
            head |= {"code": code or None, "error": text or None}
        elif by is not None:
            head[NAMED[by]] = self.name
        return {**head, "points": [_point(at, minute) for at, minute in self.points]}


@dataclass(slots=True)
class History:
    """The history of a span, in ms: ``start`` and ``end`` are multiples of ``step``."""

    start: int
    end: int
    step: int
    by: By | None
    series: list[Series]
    marks: list[Mark]

    def public(self) -> dict[str, Any]:
        """The object that ``GET /api/jobs/history`` and ``hsejobs history --json`` return."""
        return {
            **self._head(),
            "series": [one.public(self.by) for one in self.series],
            "marks": [public_mark(one) for one in self.marks],
        }

    def pieces(self, dumps: Callable[[Any], bytes] = codec.dumps) -> Iterator[bytes]:
        """Yields the JSON of the same object by series: as a whole it takes ten times the memory."""
        yield dumps(self._head())[:-1] + b', "series": ['
        for number, one in enumerate(self.series):
            yield (b",\n" if number else b"\n") + dumps(one.public(self.by))
        yield b'\n], "marks": ' + dumps([public_mark(one) for one in self.marks]) + b"}\n"

    def _head(self) -> dict[str, Any]:
        return {
            "from": iso_time(self.start),
            "to": iso_time(self.end),
            "step": self.step,
            "by": None if self.by is None else self.by.value,
        }


#: What acts that set something touch: a mark says what was set.
_SETTINGS = frozenset({"tenant", "task", "consumer", "circuit", "schedule"})


def now(client: RedisClient, prefix: str) -> int:
    """Redis time in ms. Raises RedisUnavailable."""
    return Marks(client, prefix).now()


def span(
    now_ms: int,
    start: str | None = None,
    end: str | None = None,
    step: str | None = None,
    *,
    divided: int = 0,
) -> Range:
    """The minutes that ``--from``, ``--to`` and ``--step`` mean: a time, or a duration before now.

    Without a step, the shortest whose records are kept for so long; if the history of ``divided``
    queues is divided, one with which it has at most ``MOST_DIVIDED`` points. Raises InvalidOption.
    """
    until = now_ms if end is None else parse_moment(end, now_ms, "to")
    since = until - DEFAULT_SPAN * 60_000 if start is None else parse_moment(start, now_ms, "from")
    if since >= until:
        raise InvalidOption("from", "must be before `to`")
    age = -(-(now_ms - since) // 60_000)
    if age > RETENTION[60] // 60 + 60:
        raise InvalidOption("from", "must be at most 30 days ago")
    if step is None:
        minutes: float = _shortest(age - 1, (until - since) // 60_000, divided * MOST)
    else:
        minutes = parse_duration(step, "step") / 60_000
    if minutes != int(minutes) or minutes < 1:
        raise InvalidOption("step", "must be whole minutes, such as 1m, 10m, 1h or 1d")
    every = int(minutes)
    first = since // 60_000 // every * every
    last = -(-until // (60_000 * every)) * every
    if (last - first) // every > MOST_POINTS:
        raise InvalidOption("step", f"must be longer: at most {MOST_POINTS} steps are shown")
    return Range(first, last, every)


def _shortest(age: int, length: int, parts: int) -> int:
    """The shortest step, in minutes, for a span of a length that began so long ago."""
    kept = [step for step in RETENTION if step >= finest(age)]
    return next((one for one in kept if length // one * parts <= MOST_DIVIDED), kept[-1])


def read(
    client: RedisClient,
    prefix: str,
    queues: Sequence[str],
    wanted: Range,
    actor: Actor,
    *,
    by: str | None = None,
    organization_id: str | None = None,
    marks: bool = True,
    only: str | None = None,
    brief: bool = False,
) -> History:
    """The history of these queues, limited to the actor's organization or ``organization_id``.

    ``only``: that part of those ``by``. ``brief``: parts without times and samples, which is faster.
    ``wanted.whole()`` is one point with the sums, which is read from the longest periods. Raises Forbidden,
    RedisUnavailable, and InvalidOption for an unknown ``by`` or too short a step.
    """
    division = parse_by(by)
    org = visible_organization(actor, organization_id)
    if org is not None and division is not None:
        raise Forbidden("the history of one organization cannot be divided; leave out `by`")
    series: list[Series] = []
    with not_sought():
        for queue in queues:
            reader = QueueHistory(client, prefix, queue)
            whole = division is None
            found = reader.read(wanted, division, org, only=only, brief=brief, whole=whole)
            if org is not None:
                points = [(at, period.parts[By.ORG].get(org, Minute())) for at, period in found]
                series.append(_series(queue, None, points))
            elif division is None:
                series.append(_series(queue, None, ((at, period.whole) for at, period in found)))
            else:
                series += _parts(queue, found, division, only)
        if division is not None:
            series.sort(key=lambda one: -sum(activity(minute) for _, minute in one.points))
            del series[MOST * len(queues) :]
    start, end = wanted.start * 60_000, wanted.end * 60_000
    noted = list_marks(client, prefix, start, end, actor, organization_id=org) if marks else []
    if len(queues) == 1:
        noted = [one for one in noted if one.queue in (None, queues[0])]
    return History(start, end, wanted.step * 60_000, division, series, noted)


def _parts(
    queue: str, found: Iterable[tuple[int, Period]], by: By, only: str | None
) -> list[Series]:
    """A series for each part, or for that one."""
    parts = defaultdict[str, list[tuple[int, Minute]]](list)
    for at, period in found:
        at_ms = at * 60_000
        for name, minute in period.parts[by].items():
            parts[name].append((at_ms, minute))
    return [Series(queue, name, parts[name]) for name in parts if only in (None, name)]


def parse_by(by: str | None) -> By | None:
    """What a history is divided by. Raises InvalidOption."""
    if by is None:
        return None
    try:
        return By(by)
    except ValueError:
        raise InvalidOption("by", f"must be one of {', '.join(By)}") from None


def visible_organization(actor: Actor, organization_id: str | None) -> str | None:
    """The organization whose history the actor sees, None for all. Raises Forbidden."""
    actor.need("admin")
    if actor.role != "operator" or actor.organization_id is not None:
        if actor.organization_id is None or organization_id not in (None, actor.organization_id):
            raise Forbidden("this is another organization's history")
        return actor.organization_id
    return organization_id


def list_marks(
    client: RedisClient,
    prefix: str,
    start_ms: int,
    end_ms: int,
    actor: Actor,
    *,
    organization_id: str | None = None,
) -> list[Mark]:
    """The marks of a time, the oldest first; for an organization, only those about it.

    Raises Forbidden, RedisUnavailable.
    """
    org = visible_organization(actor, organization_id)
    found = Marks(client, prefix).between(start_ms, end_ms)
    shown = [one for one in found if org is None or one.organization_id == org]
    return sorted([*shown, *_acts(client, prefix, start_ms, end_ms, org)], key=lambda one: one.at)


def _acts(
    client: RedisClient, prefix: str, start_ms: int, end_ms: int, organization_id: str | None
) -> Iterator[Mark]:
    """The newest acts of the audit log as marks."""
    found = audit.entries(
        client,
        prefix,
        registry.names(client, prefix),
        organization_id=organization_id,
        since=start_ms,
        until=end_ms,
    )
    for one in islice(found, MOST_ACTS):
        text = f"{one.act} ({one.count:,} jobs)" if one.count > 1 else one.act
        # A newer release may know other acts.
        if one.where and one.act in ACTS and ACTS[one.act].touches in _SETTINGS:
            text = f"{one.act} {one.where}"
        yield Mark(one.at, "act", text, one.who, one.queue, one.organization_id, one)


def marks_between(
    client: RedisClient,
    prefix: str,
    actor: Actor,
    *,
    since: str | None = None,
    until: str | None = None,
    organization_id: str | None = None,
) -> list[Mark]:
    """The marks of a time, given like that of a history; of the last 3 hours by default.

    Raises Forbidden, InvalidOption, RedisUnavailable.
    """
    moment = now(client, prefix)
    end = moment if until is None else parse_moment(until, moment, "to")
    start = end - DEFAULT_SPAN * 60_000 if since is None else parse_moment(since, moment, "from")
    if start > end:
        raise InvalidOption("from", "must be before `to`")
    return list_marks(client, prefix, start, end, actor, organization_id=organization_id)


def add_mark(client: RedisClient, prefix: str, text: str, actor: Actor) -> Mark:
    """Marks a deploy now. Raises Forbidden, RedisUnavailable, and InvalidOption for a text it cannot show."""
    actor.need("operator")
    if actor.organization_id is not None:
        raise Forbidden("marks are everybody's: this is a session of one organization")
    line = text.strip()
    if not line or len(line) > MARK_LENGTH or _UNSEEN.search(line):
        raise InvalidOption("text", f"must be one line of 1 to {MARK_LENGTH} characters")
    return Marks(client, prefix).add("deploy", line, actor.who)


def public_mark(mark: Mark) -> dict[str, Any]:
    """The JSON object of a mark."""
    return {
        "at": iso_time(mark.at),
        "kind": mark.kind,
        "text": mark.text,
        "who": mark.who,
        "queue": mark.queue,
        "organizationId": mark.organization_id,
    }


def _series(queue: str, name: str | None, points: Iterable[tuple[int, Minute]]) -> Series:
    return Series(queue, name, [(at * 60_000, minute) for at, minute in points])


def _point(at: int, minute: Minute) -> dict[str, Any]:
    waiting, active, delayed = _depth(minute.sampled)
    return {
        "at": iso_time(at),
        "added": minute.added,
        "completed": minute.completed,
        "failed": minute.failed,
        "retried": minute.retried,
        "removed": minute.removed,
        "waiting": waiting,
        "active": active,
        "delayed": delayed,
        "mostWaiting": _depth(minute.peak)[0],
        "oldestWaiting": minute.oldest,
        "wait": _histogram(minute.wait),
        "run": _histogram(minute.run),
    }


def _depth(depth: Depth | None) -> tuple[int | None, int | None, int | None]:
    return (None, None, None) if depth is None else depth


def _histogram(buckets: dict[int, int]) -> dict[str, Any]:
    """The times in ms: how many, percentiles, and pairs of an upper bound and the number in that bucket."""
    if not buckets:
        return {"count": 0, "p50": None, "p95": None, "buckets": []}
    p50, p95 = percentiles(buckets, 0.5, 0.95)
    return {
        "count": sum(buckets.values()),
        "p50": _rounded(p50),
        "p95": _rounded(p95),
        "buckets": [[_end(one), buckets[one]] for one in sorted(buckets)],
    }


@lru_cache(maxsize=1_024)
def _rounded(ms: float | None) -> float | None:
    return None if ms is None else float(f"{ms:.4g}")


@lru_cache(maxsize=1_024)
def _end(bucket: int) -> float | None:
    return _rounded(bucket_end_ms(bucket))
