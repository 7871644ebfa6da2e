"""The past of groups of errors: how often each came, since when it is known, what a deploy changed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hsejobs.errors import JobCancelled
from hsejobs.store.marks import Mark
from hsejobs.store.minutes import Minute
from hsejobs_tui.core.groups import Group
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.steady import COUNT, Rank
from hsejobs_tui.core.view import kind_of

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
#: The part of the window, in ms before its end, that orders the groups: what happens now comes first.
RECENT = 10 * MINUTE
#: A group that was quiet for so long, and then came again, came back; for so long after that it says so.
QUIET, FRESH = 90 * MINUTE, DAY
#: The spans of the history that are read to know since when a group is known, with their steps:
#: each is the finest that is kept for so long.
#: A step less than that long: each begins where a step of the one before it does.
SPANS = (
    (30 * DAY - HOUR, "1h", HOUR),
    (2 * DAY - HOUR, "10m", 10 * MINUTE),
    (3 * HOUR - 10 * MINUTE, "1m", MINUTE),
)

#: How the figures of `rank` move.
MOVES = (COUNT, COUNT, COUNT)

#: Queue, code and normalized text of a group.
Name = tuple[str, str, str]
#: Start and end (ms) of a step, with the errors in it.
Step = tuple[int, int, int]


@dataclass(slots=True)
class Trend:
    """A group's errors in a window. ``failed`` are final, ``retried`` have another attempt.

    ``values``: the errors in each step of the window, None where the history has not begun.
    """

    values: list[float | None] = field(default_factory=list)
    failed: int = 0
    retried: int = 0
    recent: int = 0

    @property
    def count(self) -> int:
        """All errors in the window."""
        return self.failed + self.retried


@dataclass(slots=True)
class Since:
    """Since when a group is known, in ms. ``deploy``: the newest before its first error.

    ``back``: when it came again after it was quiet, and ``quiet`` for how long; None if it did not.
    """

    first: int
    deploy: Mark | None = None
    back: int | None = None
    quiet: int = 0


@dataclass(slots=True)
class Past:
    """What the history knows of all groups in a window; times in ms."""

    start: int
    end: int
    step: int
    trends: dict[Name, Trend] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    @property
    def slots(self) -> int:
        """How many steps the window has."""
        return max(1, (self.end - self.start) // self.step)

    def trend(self, group: Group, bounds: tuple[int, int]) -> Trend:
        """The errors of a group; counted by its failed jobs if the history does not know it."""
        found = self.trends.get(name_of(group))
        if found is None:
            found = of_jobs(group, bounds)
            if not found.values:
                found.values = [0.0] * self.slots
        return found


@dataclass(slots=True)
class Known:
    """When each group had errors in the last 30 days, in steps, oldest first; and the deploys."""

    steps: dict[Name, list[Step]] = field(default_factory=dict)
    deploys: list[Mark] = field(default_factory=list)

    def since(self, name: Name, first_job: int, now: int) -> Since | None:
        """Since when a group is known; ``first_job``: when its oldest failed job failed, 0 for none."""
        steps = self.steps.get(name, [])
        starts = [start for start, _, _ in steps[:1]] + [first_job][: first_job > 0]
        if not starts:
            return None
        first = min(starts)
        # A deploy within the first step counts as before it: its jobs run from then on.
        until = steps[0][1] if steps and steps[0][0] <= first else first
        older = [one for one in self.deploys if one.at < until]
        found = Since(first, older[-1] if older else None)
        for (_, before, _), (begin, _, _) in zip(steps[-2::-1], steps[:0:-1], strict=True):
            if begin - before >= QUIET:
                if now - begin <= FRESH:
                    found.back, found.quiet = begin, begin - before
                break
        return found

    def after(self, name: Name, moment: int) -> int:
        """How many errors a group had in the whole steps after a moment."""
        return sum(n for start, _, n in self.steps.get(name, []) if start >= moment)

    def before(self, name: Name, moment: int, span: int = DAY) -> int:
        """How many errors a group had in the ``span`` ms before a moment."""
        steps = self.steps.get(name, [])
        return sum(n for start, end, n in steps if end <= moment and start >= moment - span)


def errors(minute: Minute) -> int:
    """The errors of a group in a period: final failures, and attempts that will be retried."""
    return minute.failed + minute.retried


def read_past(source: LiveSource, bounds: tuple[int, int]) -> Past | None:
    """The errors of the window by group; None in a session of one organization. Raises RedisUnavailable."""
    if source.org is not None:
        return None
    start, end = bounds
    found = source.history(
        list(source.infos), start=_iso(start), end=_iso(end), by="error", brief=True
    )
    past = Past(found.start, found.end, found.step, marks=found.marks)
    slots = past.slots
    for series in found.series:
        code, _, text = (series.name or "").partition(" ")
        if not text:
            # Those beyond the limit of a minute, or of a program that names no groups.
            continue
        trend = past.trends.setdefault((series.queue, code, text), Trend([0.0] * slots))
        for at, minute in series.points:
            count = errors(minute)
            trend.values[min(slots - 1, (at - found.start) // found.step)] = float(count)
            trend.failed += minute.failed
            trend.retried += minute.retried
            if at + found.step > end - RECENT:
                trend.recent += count
    return past


def read_known(source: LiveSource, now: int) -> Known | None:
    """When each group had errors in the last 30 days; None in a session of one organization.

    Raises RedisUnavailable.
    """
    if source.org is not None:
        return None
    deploys = [one for one in source.marks(now - SPANS[0][0], now) if one.kind == "deploy"]
    known = Known(deploys=deploys)
    begin = (now - SPANS[0][0]) // HOUR * HOUR
    for (_, step, length), finer in zip(SPANS, [*SPANS[1:], None], strict=True):
        # The newest part is read again in finer steps.
        last = (now - finer[0]) // length * length if finer else now + length
        found = source.history(
            list(source.infos),
            start=_iso(begin),
            end=_iso(now),
            step=step,
            by="error",
            brief=True,
            marks=False,
        )
        for series in found.series:
            code, _, text = (series.name or "").partition(" ")
            if not text:
                continue
            steps = known.steps.setdefault((series.queue, code, text), [])
            for at, minute in series.points:
                if begin <= at < last and errors(minute):
                    steps.append((at, at + length, errors(minute)))
        begin = last
    for steps in known.steps.values():
        steps.sort()
    return known


def of_jobs(group: Group, bounds: tuple[int, int]) -> Trend:
    """The trend of the failed jobs that are still there, where the history by group may not be read."""
    start, end = bounds
    first, last = start // MINUTE, end // MINUTE
    counts = [group.minutes.get(at, 0) for at in range(first, last + 1)]
    if len(counts) > 1_500:
        # Longer than the minutes that are counted.
        return Trend(failed=group.count, recent=sum(counts[-10:]))
    return Trend([float(one) for one in counts], sum(counts), 0, sum(counts[-10:]))


def name_of(group: Group) -> Name:
    """The name of a group in the history."""
    return group.queue, group.raw, group.error


def with_running(groups: Mapping[str, Group], past: Past | None) -> dict[str, Group]:
    """The groups, and those of the history whose jobs have not failed permanently: their attempts go on."""
    found = dict(groups)
    known = {name_of(group) for group in groups.values()}
    for queue, code, text in past.trends if past is not None else ():
        if (queue, code, text) not in known and past and past.trends[queue, code, text].count:
            kind = kind_of({"code": code, "error": text})
            group = Group(queue, kind, text, code, over=True)
            found.setdefault(group.key, group)
    return found


def rank(trend: Trend, group: Group) -> Rank:
    """What happens now first, then what happened in the window, then the rest; last, what was cancelled."""
    wanted = int(group.raw == JobCancelled.code)
    return Rank((wanted,), (trend.recent, trend.count, group.count), (-group.last,))


def latest_deploy(deploys: Sequence[Mark], end: int) -> Mark | None:
    """The newest deploy before ``end``."""
    place = bisect_right([one.at for one in deploys], end)
    return deploys[place - 1] if place else None


def deploy_name(mark: Mark) -> str:
    """A deploy's text without the word that says what it is: ``4f1c``."""
    return mark.text.removeprefix("deploy ").removeprefix("release ")


def _iso(ms: int) -> str:
    from hsejobs.model import iso_time

    return iso_time(max(0, ms)) or "now"
