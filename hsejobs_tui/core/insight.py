"""What the Insight screen shows: the history of a window in bins, its parts, and its marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from hsejobs.control.findings import Chosen
from hsejobs.control.history import Series
from hsejobs.model import iso_time
from hsejobs.store.marks import Mark
from hsejobs.store.minutes import Minute, bucket_end_ms
from hsejobs.store.periods import By
from hsejobs_tui.core.charts import bucket_grid
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.steady import Rank
from hsejobs_tui.core.text import duration

#: What a window can be divided by, in the order of the key.
DIVISIONS = ("queue", "task", "error", "tenant")
_BY = {"task": By.TASK, "error": By.ERROR, "tenant": By.ORG}
#: Minutes that a bin may have.
_WIDTHS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1_440)
_MINUTE = 60_000
#: Values of a part's past: a multiple of what is drawn, whatever the size of the screen.
PAST = 84
#: Bounds of the heat map's rows, in ms.
_BOUNDS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 21_600_000, 86_400_000),
)
#: A mark's glyph, its ASCII glyph and its style, by kind or act.
SIGNS = {
    "deploy": ("▲", "D", "note"),
    "alert": ("!", "!", "fail"),
    "pause": ("‖", "=", "warn"),
    "resume": ("▶", ">", "ok"),
    "act": ("●", "*", "dim"),
}


@dataclass(frozen=True, slots=True)
class Bin:
    """A step of the charts: its start in ms, its counters, the most jobs waiting (None: not sampled)."""

    at: int
    counters: Minute
    waiting: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the window: a queue, a task, an error or a tenant; what was counted of it, and when."""

    key: str
    label: str
    count: int
    past: list[int]


@dataclass(frozen=True, slots=True)
class Window:
    """The history of a window, by ``division``. Times in ms; ``step``: that of its points.

    ``whole``: the steps of all queues together; ``queues``: of each.
    """

    start: int
    end: int
    step: int
    division: str
    whole: list[Bin]
    queues: dict[str, list[Bin]]
    parts: list[Part]
    marks: list[Mark] = field(default_factory=list)

    def width(self, cells: int) -> int:
        """The length in ms of a bin, so that all fit into that many cells."""
        fitting = (
            minutes * _MINUTE
            for minutes in _WIDTHS
            if minutes * _MINUTE % self.step == 0
            and len(range(*self._grid(minutes * _MINUTE))) <= cells
        )
        return next(fitting, _WIDTHS[-1] * _MINUTE)

    def _grid(self, width: int) -> tuple[int, int, int]:
        return self.start - self.start % width, self.end, width

    def bins(self, steps: Sequence[Bin], width: int) -> list[Bin]:
        """The steps in bins of ``width`` ms, on multiples of it; of a bin's depths, the highest."""
        inside: dict[int, list[Bin]] = {at: [] for at in range(*self._grid(width))}
        for one in steps:
            if (at := one.at - one.at % width) in inside:
                inside[at].append(one)
        return [
            Bin(
                at,
                found[0].counters if len(found) == 1 else added_up(one.counters for one in found),
                max((one.waiting for one in found if one.waiting is not None), default=None),
            )
            for at, found in inside.items()
        ]


def activity(minute: Minute) -> int:
    """What parts are ordered by: jobs added or ended, and failed attempts."""
    return max(minute.added, minute.ended) + minute.failed + minute.retried


def label(division: str, key: str) -> str:
    """The name of a part in a list."""
    if division == "task":
        return key.rpartition(".")[2] or "-"
    if division == "error":
        code, _, text = key.partition(" ")
        return (text if code == "error" else f"{code}: {text}" if text else code) or "other errors"
    return key or "no organization"


def added_up(minutes: Iterable[Minute]) -> Minute:
    """The sum of the counters."""
    total = Minute()
    for one in minutes:
        total += one
    return total


def chosen(division: str, part: str | None) -> Chosen | None:
    """The part of a division that is chosen; None for all of it, and for queues, which are read by name."""
    return Chosen(_BY[division], part) if division in _BY and part is not None else None


def merged(steps: Iterable[Sequence[Bin]]) -> list[Bin]:
    """The steps of several queues together; depths are added."""
    found = list(steps)
    if len(found) == 1:
        return list(found[0])
    counters: dict[int, Minute] = {}
    depths: dict[int, int] = {}
    for one in chain.from_iterable(found):
        total = counters.get(one.at)
        if total is None:
            total = counters[one.at] = Minute()
        total += one.counters
        if one.waiting is not None:
            depths[one.at] = depths.get(one.at, 0) + one.waiting
    return [Bin(at, counters[at], depths.get(at)) for at in sorted(counters)]


def steps_of(series: Series) -> list[Bin]:
    """The steps of a series."""
    return [Bin(at, one, one.peak[0] if one.peak else None) for at, one in series.points]


def read_window(
    source: LiveSource, queues: Sequence[str], division: str, start: int, end: int
) -> Window:
    """Reads a window, without the times of its parts. Raises Forbidden, InvalidOption, RedisUnavailable."""
    times: dict[str, Any] = {"start": iso_time(start), "end": iso_time(end)}
    whole = source.history(queues, **times)
    divided = whole.series
    if division != "queue" and queues:
        by = _BY[division].value
        divided = source.history(queues, by=by, brief=True, marks=False, **times).series
    by_queue = {one.queue: steps_of(one) for one in whole.series}
    return Window(
        whole.start,
        whole.end,
        whole.step,
        division,
        merged(by_queue.values()),
        by_queue,
        _parts(divided, division, whole.start, whole.end),
        whole.marks,
    )


def read_part(
    source: LiveSource, queues: Sequence[str], only: Chosen, start: int, end: int
) -> dict[str, list[Bin]]:
    """The steps of one part in each queue that has it, with its times; raises as ``read_window``."""
    times: dict[str, Any] = {"start": iso_time(start), "end": iso_time(end)}
    found = source.history(queues, by=only.by.value, only=only.name, marks=False, **times)
    return {one.queue: steps_of(one) for one in found.series}


def _parts(series: Sequence[Series], division: str, start: int, end: int) -> list[Part]:
    """The parts, in no order (see `part_rank`); the history knows at most 50 of each queue."""
    named: dict[str, list[int]] = {}
    for one in series:
        past = named.setdefault(one.queue if division == "queue" else one.name or "", [0] * PAST)
        for at, minute in one.points:
            place = (at - start) * PAST // (end - start)
            if 0 <= place < PAST:
                past[place] += count(minute)
    return [Part(key, label(division, key), sum(past), past) for key, past in named.items()]


def part_rank(one: Part) -> Rank:
    """The busiest first."""
    return Rank((), (float(one.count),), (one.key,))


def count(minute: Minute) -> int:
    """What is counted of a part: jobs added or ended; of an error, the attempts that failed."""
    return max(minute.added, minute.ended) or minute.failed + minute.retried


def heat(
    bins: Sequence[Bin], rows: int, *, waiting: bool
) -> tuple[list[list[int | None]], list[str]]:
    """The grid and the row labels of the heat map, the longest times on top.

    Its bounds span the times that occurred; both are empty if there are none.
    """
    times = [one.counters.wait if waiting else one.counters.run for one in bins]
    seen = {bucket for one in times for bucket in one}
    if not seen or rows < 2:
        return [], []
    least, most = bucket_end_ms(min(seen)) / 1.1, bucket_end_ms(max(seen)) / 1.1
    inside = [bound for bound in _BOUNDS if least <= bound < most]
    first = next((bound for bound in _BOUNDS if bound >= least), _BOUNDS[-1])
    bounds = inside or [first]
    if len(bounds) > rows - 1:
        # Always with the first and the last, the others evenly.
        last = len(bounds) - 1
        places = {round(at * last / max(1, rows - 2)) for at in range(rows - 1)}
        bounds = [bounds[at] for at in sorted(places)]
    labels = [f">{duration(bounds[-1])}", *(f"<{duration(bound)}" for bound in reversed(bounds))]
    return bucket_grid(times, bounds), labels


def sign(mark: Mark, *, ascii_only: bool) -> tuple[str, str]:
    """A mark's glyph and style."""
    word = mark.text.partition(" ")[0]
    name = word if mark.kind == "act" and word in ("pause", "resume") else mark.kind
    glyph, letter, style = SIGNS.get(name, SIGNS["act"])
    return letter if ascii_only else glyph, style


def rank(mark: Mark) -> int:
    """The order of marks where not all have room: deploys, alerts, then acts."""
    return ("deploy", "alert").index(mark.kind) if mark.kind in ("deploy", "alert") else 2
