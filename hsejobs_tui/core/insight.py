"""What the Insight screen shows: the history of a window in bins, its parts, and its marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hsejobs.control.history import Series
from hsejobs.model import iso_time
from hsejobs.store.marks import Mark
from hsejobs.store.minutes import Minute, bucket_end_ms
from hsejobs.store.periods import By
from hsejobs_tui.core.charts import bucket_grid
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.text import duration

#: What a window can be divided by, in the order of the key.
DIVISIONS = ("queue", "task", "error", "tenant")
_BY = {"task": By.TASK, "error": By.ERROR, "tenant": By.ORG}
#: Minutes that a bin may have.
_WIDTHS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1_440)
_MINUTE = 60_000
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
    """A part of the window: a queue, a task, an error or a tenant, with what is counted of it."""

    key: str
    label: str
    bins: list[Bin]

    @property
    def total(self) -> Minute:
        """Its counters in the whole window."""
        return added_up(one.counters for one in self.bins)


@dataclass(slots=True)
class Window:
    """The history of a window, by ``division``. Times in ms; ``step``: that of its points."""

    start: int
    end: int
    step: int
    division: str
    series: list[Series]
    #: The series of the queues, from which the whole is made.
    whole: list[Series]
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

    def bins(self, series: Iterable[Series], width: int) -> list[Bin]:
        """These series together, a bin every ``width`` ms, on multiples of it."""
        starts = range(*self._grid(width))
        counters = {at: Minute() for at in starts}
        depths: dict[int, dict[int, int]] = {at: {} for at in starts}
        for one in series:
            for moment, minute in one.points:
                at = moment - moment % width
                if at not in counters:
                    continue
                total = counters[at]
                total += minute
                if minute.peak is not None:
                    depth = depths[at]
                    depth[moment] = depth.get(moment, 0) + minute.peak[0]
        return [Bin(at, counters[at], max(depths[at].values(), default=None)) for at in starts]

    def parts(self, width: int) -> list[Part]:
        """The parts, the busiest first; the history knows at most 50 of each queue."""
        named: dict[str, list[Series]] = {}
        for one in self.series:
            key = one.queue if self.division == "queue" else one.name or ""
            named.setdefault(key, []).append(one)
        found = [
            Part(key, label(self.division, key), self.bins(series, width))
            for key, series in named.items()
        ]
        return sorted(found, key=lambda one: -activity(one.total))


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


def read_window(
    source: LiveSource, queues: Sequence[str], division: str, start: int, end: int
) -> Window:
    """Reads a window. Raises Forbidden, InvalidOption, RedisUnavailable."""
    times = {"start": iso_time(start), "end": iso_time(end)}
    whole = source.history(queues, **times)
    series = whole.series
    if division != "queue" and queues:
        series = source.history(queues, by=_BY[division].value, **times).series
    return Window(whole.start, whole.end, whole.step, division, series, whole.series, whole.marks)


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
