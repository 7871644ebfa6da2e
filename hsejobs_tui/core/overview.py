"""The overview as plain values: the strip of figures, and the queues in the order of their trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hsejobs.store.minutes import Minute
from hsejobs.store.read import WINDOW, QueueStats
from hsejobs.store.read_live import Snapshot
from hsejobs.watch.advice import asleep
from hsejobs_tui.core import past as pasts
from hsejobs_tui.core.alerts import Alert, worst
from hsejobs_tui.core.causes import Causes, slots
from hsejobs_tui.core.charts import Line, Scale, Value, bar, highest, percent, spark, trend
from hsejobs_tui.core.depth import Depths
from hsejobs_tui.core.past import Past
from hsejobs_tui.core.steady import SHARE, Moves, Places, Rank
from hsejobs_tui.core.text import duration, safe, short
from hsejobs_tui.core.view import QueueRow, queue_row

MINUTE_MS = 60_000
#: The mark of a queue or an alert, by level.
MARKS = {"critical": "!!", "warning": "!"}
#: The order of the queues; ``held`` by a circuit and ``paused`` come after the alerts.
ORDER = ("critical", "warning", "held", "paused", "busy", "quiet")
#: How the figures of the order move: the share of failures, and the longest wait in ms.
MOVES = (SHARE, Moves(60_000, 60_000))
#: A wait in ms from which it is marked.
LATE_MS = 600_000
#: The share of failures from which it is marked.
FAILING = 0.1
#: Changes that are no news: a share of failures, ms of waiting, jobs waiting.
LEAST_FAILING, LEAST_WAIT, LEAST_DEPTH = 0.02, 1_000, 5
#: The style of a trend's word.
WORDS = {"better": "ok", "worse": "bold fail"}


@dataclass(slots=True, eq=False, repr=False)
class QueueView:
    """One queue of the overview, with its past in the window."""

    row: QueueRow
    stats: QueueStats
    level: str
    #: Busy and all slots of its consumers; None in a session of one organization.
    slots: tuple[int, int] | None = None
    #: Whether its consumers are quiet, all of them.
    asleep: bool = False
    held: str = ""
    paused: str = ""
    depth: list[Value] = field(default_factory=list)
    failing: list[Value] = field(default_factory=list)
    waits: list[Value] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def shows(self) -> object:
        """What a row shows of it: equal as long as the row is. Durations count as the text that they are."""
        row, last = self.row, self.stats.window()
        return (
            row._replace(oldest=None, drain_ms=None),
            (duration(row.oldest), (row.oldest or 0) > LATE_MS),
            row.drain_ms and duration(row.drain_ms),
            (last.ended, last.failed, last.cancelled),
            (self.level, self.slots, self.asleep, self.held, self.paused),
            (self.depth, self.failing, self.waits),
        )

    @property
    def rank(self) -> Rank:
        """By trouble; calm queues by name."""
        row, calm = self.row, self.level == "busy"
        figures = (0.0, 0.0) if calm else (row.failing, float(row.oldest or 0))
        return Rank((ORDER.index(self.level),), figures, (self.name,))


class Figure(NamedTuple):
    """A figure of the strip: its value now, its past, and how that goes on."""

    label: str
    now: str
    values: Sequence[Value]
    scale: Scale = short
    word: str = ""
    top: float | None = None
    style: str = ""


def queue_views(
    seen: Snapshot,
    found: list[Alert],
    causes: Causes,
    past: Past | None,
    depths: Depths,
    *,
    live: bool,
    whole: bool = True,
    places: Places[str] | None = None,
) -> list[QueueView]:
    """All queues, those in trouble first. ``live``: the window ends now; ``whole``: not of one org.

    ``places``: the order that is shown; None: none is.
    """
    views = []
    for stats in seen.queues:
        row, level = queue_row(stats), worst(found, stats)
        held, paused = _held(causes, stats.name), _paused(causes, stats)
        if level not in MARKS:
            calm = "quiet" if _is_quiet(stats) else "busy"
            level = "paused" if stats.is_paused else "held" if held else calm
        view = QueueView(row, stats, level)
        if whole:
            view.asleep = asleep(seen.workers.get(stats.name, ()))
            view.slots = slots(seen, stats) if stats.consumers else (0, 0)
        view.held, view.paused = held, paused
        if live:
            view.depth = sampled(past, stats.name, seen.now, stats.waiting, depths.waiting)
        elif past is not None:
            view.depth = past.series(pasts.depth, stats.name)
        if past is not None:
            view.failing = past.series(pasts.failing, stats.name, seen.now)
            view.waits = past.series(pasts.wait_p95, stats.name, seen.now)
        views.append(view)
    shown = Places(*MOVES) if places is None else places
    return shown.order(views, lambda one: one.name, lambda one: one.rank)


def _is_quiet(stats: QueueStats) -> bool:
    """Whether a queue has nothing to do: under a job per minute, and none that failed or waits."""
    last = stats.window()
    return (
        not (stats.waiting or stats.active or last.failed) and max(last.added, last.ended) < WINDOW
    )


def _held(causes: Causes, queue: str) -> str:
    held = causes.held.get(queue)
    if held is None or not held.jobs:
        return ""
    count = f"{held.jobs}{'+' if held.more else ''}"
    by = "one circuit" if len(held.circuits) == 1 else f"{len(held.circuits)} circuits"
    return f"{count} held by {by}"


def _paused(causes: Causes, stats: QueueStats) -> str:
    if not stats.is_paused:
        return ""
    since = stats.paused_at
    text = "paused" + (f" {duration(max(0, stats.now - since))}" if since and since > 1 else "")
    who = causes.paused_by.get(stats.name)
    return text + (f" by {safe(who, 20)}" if who else "")


def sampled(
    past: Past | None, queue: str, now: int, waiting: int, seen: Callable[[str, int], int | None]
) -> list[Value]:
    """The depths in a window that ends now; ``seen``: this process's own samples, for the last minutes."""
    if past is None:
        hour = range(now - 59 * MINUTE_MS, now + 1, MINUTE_MS)
        found: list[Value] = [seen(queue, at) for at in hour]
    else:
        found = past.series(pasts.depth, queue)
        if past.step == MINUTE_MS:
            own = [seen(queue, at) for at in past.times]
            found = [
                one if one is not None else other for one, other in zip(found, own, strict=True)
            ]
    # The newest sample is the snapshot itself.
    return [*found[:-1], max(found[-1] or 0, waiting)] if found else [waiting]


def fold(views: Sequence[QueueView]) -> tuple[list[QueueView], list[QueueView]]:
    """The queues to list, and the quiet ones to fold into one line: if there are others."""
    quiet = [one for one in views if one.level == "quiet"]
    if len(quiet) < 2 or len(quiet) == len(views):
        return list(views), []
    return [one for one in views if one.level != "quiet"], quiet


# -- the strip


def figures(
    seen: Snapshot, views: Sequence[QueueView], past: Past | None, depths: Depths, *, live: bool
) -> list[Figure]:
    """The figures of all queues, each with its past, the most telling first.

    In a window that ended earlier, they are those of that window.
    """
    now = seen.now
    last = sum_of(views) if live or past is None else past.total()
    minutes = (4 + max(1, now % MINUTE_MS) / MINUTE_MS) if live or past is None else past.minutes
    # A queue that a person has paused is late because of that: its own row says so.
    late = [one for one in views if not (live and one.stats.is_paused)]
    failing: list[Value] = []
    waits: list[Value] = []
    rates: tuple[list[Value], list[Value]] = ([], [])
    if past is not None:
        failing = past.series(pasts.failing, now=now)
        waits = longest(past, late)
        rates = past.series(pasts.rate_in, now=now), past.series(pasts.rate_out, now=now)
    depth = added(one.depth for one in views)
    oldest = max((one.row.oldest or 0 for one in late), default=0)
    if live:
        waits = _with_own(past, waits, late, depths, oldest)
    shown = max((value for value in depth if value is not None), default=0)
    waiting = sum(one.row.waiting for one in views) if live else shown
    oldest_now = duration(oldest or None) if live else duration(highest(waits) or None)
    busy = [one.slots for one in views if one.slots is not None]
    found = [
        Figure(
            "failed",
            percent(last.failure_ratio) if last.judged else "-",
            failing,
            percent,
            trend(failing, least=LEAST_FAILING),
            style="bold fail" if last.failure_ratio >= FAILING else "",
        ),
        Figure("oldest", oldest_now, waits, duration, trend(waits, least=LEAST_WAIT)),
        Figure("wait", short(waiting), depth, short, trend(depth, least=LEAST_DEPTH)),
        Figure("in", rate(last.added / minutes), rates[0], short, _flow(rates[0])),
        Figure("out", rate(last.ended / minutes), rates[1], short, _flow(rates[1])),
    ]
    # How many are busy is known of now alone.
    if busy and live:
        taken, every = sum(one[0] for one in busy), sum(one[1] for one in busy)
        found.append(Figure("slots", f"{taken}/{every}", [taken], str, top=every))
    return found


def longest(past: Past, views: Sequence[QueueView]) -> list[Value]:
    """The longest waits in these queues, a value for each period."""
    series = [past.series(pasts.oldest, one.name) for one in views]
    columns = zip(*series, strict=True) if series else ((None,) for _ in past.times)
    return [max((one for one in column if one is not None), default=None) for column in columns]


def _with_own(
    past: Past | None,
    waits: list[Value],
    views: Sequence[QueueView],
    depths: Depths,
    oldest: int,
) -> list[Value]:
    """The waits, with this process's own samples where they are longer, and the snapshot as the newest."""
    if past is None or past.step != MINUTE_MS:
        return [*waits[:-1], max(waits[-1] or 0, oldest)] if waits else [oldest]
    found: list[Value] = []
    own = depths.longest(one.name for one in views)
    for at, value in zip(past.times, waits, strict=True):
        longest = own.get(at // MINUTE_MS)
        known = [one for one in (longest, value) if one is not None]
        found.append(max(known, default=None))
    return [*found[:-1], max(found[-1] or 0, oldest)] if found else [oldest]


def _flow(values: Sequence[Value]) -> str:
    """How a rate goes on, in which neither way is better."""
    word = trend(values, better=None, least=1)
    return {"more": "rising", "less": "falling"}.get(word, word)


def rate(per_minute: float) -> str:
    """A rate per minute: ``158/m``, ``0.4/m``."""
    shown = short(per_minute) if per_minute >= 9.95 or not per_minute else f"{per_minute:.1f}"
    return f"{shown}/m"


def sum_of(views: Sequence[QueueView]) -> Minute:
    """The counters of the last five minutes of all queues."""
    total = Minute()
    for one in views:
        total += one.stats.window()
    return total


def added(series: Iterable[Sequence[Value]]) -> list[Value]:
    """The sums of the values of the same time; None where none is known."""
    found: list[Value] = []
    for values in zip(*series, strict=False):
        known = [value for value in values if value is not None]
        found.append(sum(known) if known else None)
    return found


def verdict(
    found: Sequence[Figure], views: Sequence[QueueView], *, brief: bool = False
) -> tuple[str, str]:
    """Whether things get better or worse, and the style: by what fails and what waits.

    All queues together may get better while one in trouble gets worse, which matters more.
    """
    worse = [one.label for one in found if one.word == "worse"]
    better = [one.label for one in found if one.word == "better"]
    begins = "" if brief else "getting "
    if worse:
        return f"{begins}worse: {', '.join(worse)}", "bold fail"
    marked = [one for one in views if one.level in MARKS]
    grows = [one.name for one in marked if trend(one.failing, least=LEAST_FAILING) == "worse"]
    if grows:
        where = safe(grows[0], 30) if len(grows) == 1 else f"{len(grows)} queues"
        return f"{begins}worse in {where}: failed", "bold fail"
    if better:
        return f"{begins}better: {', '.join(better)}", "ok"
    return ("steady", "ok") if any(one.word == "steady" for one in found) else ("", "")


def strip(found: Sequence[Figure], width: int, rows: int, *, ascii_only: bool) -> list[Line]:
    """The figures in ``rows`` lines, as many side by side as that needs."""
    if not rows or not found:
        return []
    if rows == 1:
        return [[part for one in found for part in _brief(one)]]
    across = -(-len(found) // rows)
    room = (width - 1) // across
    names = max(len(one.label) for one in found)
    lines: list[Line] = []
    for first in range(0, min(len(found), rows * across), across):
        line: Line = [(" ", "")]
        for one in found[first : first + across]:
            line += _figure(one, room, names, ascii_only=ascii_only)
        lines.append(line)
    return lines


def _brief(one: Figure) -> Line:
    """The figure and its word, without its chart."""
    return [
        (f" {one.label} ", "dim"),
        (one.now, one.style or "bold"),
        (f" {one.word} " if one.word else " ", WORDS.get(one.word, "dim")),
    ]


def _figure(one: Figure, room: int, names: int, *, ascii_only: bool) -> Line:
    label, now = f"{one.label:<{names}} ", f"{one.now:<6}"
    if one.top is not None:
        cells = max(0, min(room - len(label) - len(now) - 3, 24))
        drawn = bar(one.values[0] or 0, one.top, cells, ascii_only=ascii_only)
        text = f"{label}{now} "
        return [
            (label, "dim"),
            (now, "bold"),
            (f" {drawn}".ljust(room - len(text) + 1), "chart run"),
        ]
    scale = one.scale(highest(one.values)) if one.values else ""
    cells = room - len(label) - len(now) - 1 - 6 - 8
    drawn = (
        spark(one.values, cells, scale=None, ascii_only=ascii_only)
        if any(value is not None for value in one.values) and cells > 2
        else " " * max(0, cells)
    )
    word = one.word[: max(0, room - len(label) - len(now) - len(drawn) - 8)]
    return [
        (label, "dim"),
        (one.now, one.style or "bold"),
        (" " * (len(now) - len(one.now) + 1), ""),
        (drawn, "chart run"),
        (f" {scale:<6}", "dim"),
        (word, WORDS.get(one.word, "dim")),
        (" " * (8 - len(word)), ""),
    ]
