"""The cells of a queue's row in the overview, and which columns fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from hsejobs.store.minutes import percentile
from hsejobs_tui.core.alerts import STYLES
from hsejobs_tui.core.charts import Line, bar, percent, spark, trend
from hsejobs_tui.core.overview import FAILING, LATE_MS, LEAST_FAILING, LEAST_WAIT, MARKS, QueueView
from hsejobs_tui.core.past import Past
from hsejobs_tui.core.text import duration, fitting, number, safe, short

#: The width below which there are no charts.
TINY = 70


class Layout(NamedTuple):
    """How wide the charts are at a width of the list, and whether the wide columns are shown."""

    width: int
    ascii_only: bool = False
    live: bool = True
    whole: bool = True

    @property
    def depth(self) -> int:
        return 5 if self.width < 100 else 11 if self.width < 160 else 20

    @property
    def failed(self) -> int:
        return 0 if self.width < TINY else 5 if self.width < 100 else 7 if self.width < 160 else 20

    @property
    def slots(self) -> int:
        """The cells of the bar of busy slots."""
        return 0 if self.width < 100 or not self.whole else 5

    @property
    def _slots_cells(self) -> int:
        return max(self.slots + 6 if self.width >= 100 else 5, 0 if self.live else 9)

    def columns(self, name: str) -> list[tuple[str, str, int, bool]]:
        """(id, title, width, right) of each column; width 0: what is left. ``name``: the window's."""
        wide = self.width >= 100
        now = "" if self.live else " now"
        flow = "in > out /m" if self.ascii_only else "in → out /m"
        found = [
            ("mark", "", 2, False),
            ("queue", "queue", 0, False),
            ("wait", "wait" if self.live else "most", 7 if wide else 5, True),
            ("depth", f"depth, {name}", self.depth + 6, False),
            ("flow", flow if wide else "in/out/m", 13 if wide else 9, True),
            ("failed", f"failed, {name}", self.failed + 13, False)
            if self.failed
            else ("failed", "fail", 5, False),
            ("slots", f"{'slots' if self.whole else 'run'}{now}", self._slots_cells, False),
            ("oldest", "oldest", 6, True),
        ]
        if self.width < TINY:
            return [one for one in found if one[0] not in ("depth", "flow", "slots")]
        if wide:
            found += [("empty", "empty in", 8, True), ("wait95", "p95 wait", 8, True)]
        if self.width >= 160:
            found += [("run95", "p95 run", 7, True), ("delayed", "delay now", 9, True)]
            found += [("done", "done now", 8, True), ("lost", "failed now", 10, True)]
        return found


def cells(one: QueueView, layout: Layout, past: Past | None) -> dict[str, Line]:
    """The cells by the id of their column."""
    row, plain = one.row, layout.ascii_only
    style = STYLES.get(one.level, {"paused": "warn", "held": "delay"}.get(one.level, ""))
    count: Callable[[float], str] = number if layout.width >= 160 else short
    if layout.width < 100:
        count = partial(fitting, cells=5)
    drawn = {
        "mark": [(_mark(one, plain=plain), style)],
        "queue": [(safe(row.name), style)],
        "wait": _count(_waiting(one, layout, past), "wait", count),
        "depth": _depth(one, layout),
        "flow": [(_flow(one, layout, past), "")],
        "failed": _failed(one, layout, past),
        "slots": _slots(one, layout),
        "oldest": _oldest(one, layout),
        "empty": [(duration(row.drain_ms) if row.drain_ms and layout.live else "-", "")],
        "wait95": _wait95(one, layout, past),
        "run95": [(duration(_run95(one, layout, past)), "")],
        "delayed": _count(row.delayed, "delay", count),
        "done": _count(row.completed, "ok", short),
        "lost": _count(row.failed, "bold fail", count),
    }
    return drawn


def sort_keys(one: QueueView) -> dict[str, float | str | None]:
    """What the columns sort by, where their text does not tell."""
    row = one.row
    return {
        "mark": None,
        "queue": row.name,
        "depth": max((value for value in one.depth if value is not None), default=0),
        "flow": row.rate_in,
        "failed": row.failing,
        "slots": one.slots[0] if one.slots else row.active,
        "oldest": row.oldest or 0,
        "empty": row.drain_ms or 0,
        "wait": row.waiting,
        "wait95": row.wait_p95 or 0,
    }


def _count(value: float, style: str, count: Callable[[float], str]) -> Line:
    return [(count(value), style if value else "dim")]


def _mark(one: QueueView, *, plain: bool) -> str:
    if one.level in MARKS:
        return MARKS[one.level]
    if one.level == "paused":
        return "=" if plain else "‖"
    return ("~" if plain else "◷") if one.level == "held" else ""


def _waiting(one: QueueView, layout: Layout, past: Past | None) -> float:
    if layout.live or past is None:
        return one.row.waiting
    return max((value for value in one.depth if value is not None), default=0)


def _depth(one: QueueView, layout: Layout) -> Line:
    room = layout.depth + 6
    if one.paused and layout.live:
        return [(_brief(one.paused, " by ", room), "bold warn")]
    if one.held and one.level not in MARKS and layout.live:
        return [(_brief(one.held, " by ", room), "delay")]
    if not any(value is not None for value in one.depth):
        return [("-", "dim")]
    return _chart(
        spark(one.depth, layout.depth, ascii_only=layout.ascii_only), layout.depth, "wait"
    )


def _brief(text: str, rest: str, room: int) -> str:
    """The text; without what comes from ``rest`` on, if it does not fit."""
    return text if len(text) <= room else text.partition(rest)[0]


def _chart(drawn: str, cells: int, style: str) -> Line:
    return [(drawn[:cells], f"chart {style}"), (drawn[cells:], "dim")]


def _flow(one: QueueView, layout: Layout, past: Past | None) -> str:
    came, went = one.row.rate_in, one.row.rate_out
    if not layout.live and past is not None:
        total = past.total(one.name)
        came, went = total.added / past.minutes, total.ended / past.minutes
    arrow = ">" if layout.ascii_only else "→"
    return (
        f"{short(came)} {arrow} {short(went)}"
        if layout.width >= 100
        else f"{fitting(came, 4)}{arrow}{fitting(went, 4)}"
    )


def _failed(one: QueueView, layout: Layout, past: Past | None) -> Line:
    last = one.stats.window() if layout.live or past is None else past.total(one.name)
    known = any(value for value in one.failing)
    if not last.judged and not known:
        return [("-", "dim")]
    share = last.failure_ratio
    style = "bold fail" if share >= FAILING else "fail" if share else "dim"
    text = percent(share) if last.judged else "-"
    line: Line = [(" " * (5 - len(text)), ""), (text, style), (" ", "")]
    if not one.failing or not layout.failed:
        return line[:2]
    drawn = spark(one.failing, layout.failed, scale=percent, ascii_only=layout.ascii_only)
    line += _chart(f"{drawn:<{layout.failed + 6}}", layout.failed, "fail" if known else "dim")
    word = trend(one.failing, least=LEAST_FAILING)
    return [*line, _arrow(word, plain=layout.ascii_only)]


def _arrow(word: str, *, plain: bool) -> tuple[str, str]:
    arrows = {
        "worse": ("^" if plain else "↑", "bold fail"),
        "better": ("v" if plain else "↓", "ok"),
    }
    return arrows.get(word, ("", ""))


def _slots(one: QueueView, layout: Layout) -> Line:
    if one.slots is None:
        return [(short(one.row.active), "run" if one.row.active else "dim")]
    busy, every = one.slots
    if not every:
        if one.asleep:
            return [("quiet", "bold warn" if one.row.waiting else "dim")]
        alarm = one.row.waiting and not one.row.workers
        return [("none", "alarm" if alarm else "dim")]
    text = f"{busy}/{every}"
    if not layout.slots:
        return [(text, "run" if busy else "dim")]
    drawn = bar(busy, every, layout.slots, ascii_only=layout.ascii_only)
    return [(f"{text:<5} ", "run" if busy else "dim"), (drawn, "chart run")]


def _oldest(one: QueueView, layout: Layout) -> Line:
    if not layout.live:
        return [("-", "dim")]
    late = (one.row.oldest or 0) > LATE_MS
    return [(duration(one.row.oldest), "bold warn" if late else "")]


def _run95(one: QueueView, layout: Layout, past: Past | None) -> float | None:
    if layout.live or past is None:
        return one.row.run_p95
    return percentile(past.total(one.name).run, 0.95)


def _wait95(one: QueueView, layout: Layout, past: Past | None) -> Line:
    value = one.row.wait_p95
    if not layout.live and past is not None:
        value = percentile(past.total(one.name).wait, 0.95)
    word, style = _arrow(trend(one.waits, least=LEAST_WAIT), plain=layout.ascii_only)
    return [(f"{duration(value)} ", ""), (word or " ", style)]
