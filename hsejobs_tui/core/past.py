"""The sampled past of the queues in the window of time: read in full once, then only what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hsejobs.model import iso_time
from hsejobs.store.minutes import Minute, percentile
from hsejobs_tui.core.charts import Value
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.time_window import TimeWindow

if TYPE_CHECKING:
    from hsejobs.store.marks import Mark

MINUTE_MS = 60_000
#: Steps that are read again: they may not have been over, or not recorded, when they were read.
AGAIN = 3

#: What is drawn of a period that lasts that many minutes; None: not measured.
Measure = Callable[[Minute, float], Value]


def depth(minute: Minute, _: float) -> Value:
    """The most jobs waiting."""
    return None if minute.peak is None else minute.peak[0]


def rate_in(minute: Minute, minutes: float) -> Value:
    """Jobs added per minute."""
    return minute.added / minutes if _recorded(minute) else None


def rate_out(minute: Minute, minutes: float) -> Value:
    """Jobs ended per minute."""
    return minute.ended / minutes if _recorded(minute) else None


def failing(minute: Minute, _: float) -> Value:
    """The share of the ended jobs that failed, 0 to 1."""
    if minute.judged:
        return minute.failure_ratio
    return 0 if _recorded(minute) else None


def oldest(minute: Minute, _: float) -> Value:
    """The longest that a waiting job had waited at a sample, in ms."""
    return minute.oldest


def wait_p95(minute: Minute, _: float) -> Value:
    """The p95 of the waits of the jobs that began, in ms."""
    return percentile(minute.wait, 0.95)


#: Measures of what happened during a step, which an unfinished step does not show yet.
_OVER_TIME = (rate_in, rate_out, failing)


def _recorded(minute: Minute) -> bool:
    return minute.sampled is not None or bool(minute.added or minute.ended)


@dataclass(slots=True, eq=False, repr=False)
class Past:
    """The periods of some queues from ``start`` to ``end``, in ``step``; all in ms."""

    start: int
    end: int
    step: int
    queues: dict[str, dict[int, Minute]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    #: Computed once, although they are drawn every second.
    _series: dict[object, list[Value]] = field(default_factory=dict)
    _totals: dict[str | None, Minute] = field(default_factory=dict)

    @property
    def times(self) -> range:
        """The starts of the periods."""
        return range(self.start, self.end, self.step)

    @property
    def minutes(self) -> float:
        """The length of the window in minutes."""
        return (self.end - self.start) / MINUTE_MS

    def series(self, measure: Measure, queue: str | None = None, now: int = 0) -> list[Value]:
        """A value per period: of a queue, or of all together. ``now``: Redis ms; what lasts is left out."""
        key = (measure, queue, now // self.step)
        if key not in self._series:
            self._series[key] = [
                None
                if measure in _OVER_TIME and now and at + self.step > now
                else self._value(measure, at, queue)
                for at in self.times
            ]
        return list(self._series[key])

    def _value(self, measure: Measure, at: int, queue: str | None) -> Value:
        minutes = self.step / MINUTE_MS
        if queue is not None:
            found = self.queues.get(queue, {}).get(at)
            return None if found is None else measure(found, minutes)
        every = [one[at] for one in self.queues.values() if at in one]
        if measure in (failing, wait_p95):
            return measure(_sum(every), minutes)
        known = [value for one in every if (value := measure(one, minutes)) is not None]
        if not known:
            return None
        return max(known) if measure is oldest else sum(known)

    def total(self, queue: str | None = None) -> Minute:
        """The counters of the whole window: of a queue, or of all together."""
        if queue not in self._totals:
            chosen = self.queues.values() if queue is None else [self.queues.get(queue, {})]
            self._totals[queue] = _sum(minute for one in chosen for minute in one.values())
        return self._totals[queue]


def _sum(minutes: Iterable[Minute]) -> Minute:
    total = Minute()
    for one in minutes:
        total += one
    return total


class PastReader:
    """Reads the past of queues. Blocks: call it in a thread."""

    def __init__(self, source: LiveSource) -> None:
        self._source = source
        self._past: Past | None = None
        self._window: TimeWindow | None = None
        self._complete = False

    def read(self, window: TimeWindow, now: int, queues: Sequence[str]) -> Past:
        """The past in the window at Redis time ``now`` (ms). Raises Forbidden, RedisUnavailable."""
        start, end = window.bounds(now)
        old = self._past
        known = old is not None and window == self._window and set(queues) <= set(old.queues)
        if old is None or not known:
            past = self._whole(start, end, queues)
        elif self._complete and window.end is not None:
            return old
        elif window.end is not None:
            past = self._whole(start, end, queues)
        else:
            past = self._continued(old, start, end, queues)
        self._past, self._window = past, window
        # The last minutes of a window in the past may have been recorded later than it was read.
        self._complete = now > end + AGAIN * MINUTE_MS
        return past

    def _whole(self, start: int, end: int, queues: Sequence[str]) -> Past:
        found = self._source.history(queues, start=iso_time(start), end=iso_time(end))
        points = {one.queue: dict(one.points) for one in found.series}
        return Past(found.start, found.end, found.step, points, found.marks)

    def _continued(self, old: Past, start: int, end: int, queues: Sequence[str]) -> Past:
        """The window moved on: what is known, and the steps that are new or were not over."""
        step = old.step
        first = start // step * step
        last = -(-end // step) * step
        fresh = max(first, min(old.end, last) - AGAIN * step)
        found = self._source.history(
            queues,
            start=iso_time(fresh),
            end=iso_time(max(end, fresh + 1)),
            step=f"{step // MINUTE_MS}m",
        )
        past = Past(first, max(last, found.end), step)
        new = {one.queue: dict(one.points) for one in found.series}
        for queue in queues:
            kept = {at: one for at, one in old.queues[queue].items() if first <= at < fresh}
            past.queues[queue] = {**kept, **new.get(queue, {})}
        known = [one for one in old.marks if start <= one.at < fresh]
        past.marks = known + [one for one in found.marks if one.at >= fresh]
        return past
