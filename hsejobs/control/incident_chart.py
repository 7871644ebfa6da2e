"""The picture of an incident's report: waiting times, rates, failures and depth on one axis, as SVG."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from hsejobs.control.durations import duration
from hsejobs.control.findings import Findings
from hsejobs.control.history import History
from hsejobs.store.marks import Mark
from hsejobs.store.minutes import Minute, bucket_end_ms

#: Size of the picture and of its parts, in pixels.
WIDTH, LEFT, RIGHT, TOP = 960, 90, 20, 40
_HEAT, _ROW, _CHART, _GAP = 8, 16, 70, 26
#: Bounds of the heat map's rows in ms, the shortest first.
_BOUNDS = (10, 100, 1_000, 5_000, 30_000, 120_000, 600_000)
_MOST_MARKS = 40
_STYLE = """
text { font: 12px sans-serif; fill: #333 } .dim { fill: #666 } .b { font-weight: bold }
.in { stroke: #0b6363 } .out { stroke: #0a6b2d } .failed { stroke: #b00020 } .waiting { stroke: #00607a }
path { fill: none; stroke-width: 1.5 } .span { fill: #d3e0f5 }
.mark { stroke: #7a5200; stroke-dasharray: 3 3 } .base { stroke: #999 }
"""


def picture(whole: History, found: Findings) -> str:
    """The SVG; the span of the findings has a background of its own."""
    steps = _steps(whole)
    times = [at for at, _, _ in steps]
    plot = _Plot(whole.start, whole.end, whole.step)
    charts = (
        ("added per minute", "in", [_rate(one.added, whole.step) for _, one, _ in steps]),
        ("ended per minute", "out", [_rate(one.ended, whole.step) for _, one, _ in steps]),
        (
            "failed attempts per minute",
            "failed",
            [_rate(one.failed + one.retried, whole.step) for _, one, _ in steps],
        ),
        ("waiting jobs", "waiting", [depth for _, _, depth in steps]),
    )
    heat_end = TOP + 20 + _HEAT * _ROW
    height = heat_end + len(charts) * (_CHART + _GAP) + 60
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{_moment(whole.start)} to {_moment(whole.end)} UTC</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        plot.rect(found.start, found.end, TOP, height - 50, "span"),
        *_heat_map(plot, [(at, one) for at, one, _ in steps]),
    ]
    top = heat_end + _GAP
    for title, name, values in charts:
        out += plot.chart(title, name, times, values, top)
        top += _CHART + _GAP
    out += plot.axis(top - _GAP + 16)
    out += _marks(plot, whole.marks, height - 50)
    return "\n".join([*out, "</svg>", ""])


def _steps(whole: History) -> list[tuple[int, Minute, int | None]]:
    """The steps of all queues together: time, counters, jobs waiting."""
    counters: dict[int, Minute] = {}
    depths: dict[int, int] = {}
    for one in whole.series:
        for at, minute in one.points:
            counters.setdefault(at, Minute())
            counters[at] += minute
            if minute.peak is not None:
                depths[at] = depths.get(at, 0) + minute.peak[0]
    return [(at, counters[at], depths.get(at)) for at in sorted(counters)]


def _rate(count: int, step: int) -> float:
    return count * 60_000 / step


def _moment(ms: int, form: str = "%Y-%m-%d %H:%M") -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(form)


class _Plot:
    """The axis of time."""

    def __init__(self, start: int, end: int, step: int) -> None:
        self.start, self.end, self.step = start, max(end, start + step), step

    def x(self, ms: float) -> float:
        """The place of a moment."""
        share = (ms - self.start) / (self.end - self.start)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)

    def rect(self, start: int, end: int, top: int, bottom: int, name: str) -> str:
        """A rectangle from ``start`` to ``end`` in ms."""
        wide = max(1.0, self.x(end) - self.x(start))
        return (
            f'<rect class="{name}" x="{self.x(start):.1f}" y="{top}" width="{wide:.1f}"'
            f' height="{bottom - top}"/>'
        )

    def chart(
        self, title: str, name: str, times: Sequence[int], values: Sequence[float | None], top: int
    ) -> Iterable[str]:
        """A line with its scale; a gap where nothing was measured."""
        most = max((one for one in values if one is not None), default=0.0)
        yield f'<text class="b" x="{LEFT}" y="{top - 6}">{title}, at most {most:,.4g}</text>'
        yield f'<text class="dim" x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,.4g}</text>'
        base = top + _CHART - 10
        yield f'<text class="dim" x="{LEFT - 6}" y="{base}" text-anchor="end">0</text>'
        yield f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
        path, pen = [], "M"
        for at, value in zip(times, values, strict=True):
            if value is None:
                pen = "M"
                continue
            y = base - (value / most if most else 0) * (_CHART - 14)
            path.append(f"{pen}{self.x(at):.1f} {y:.1f}H{self.x(at + self.step):.1f}")
            pen = "L"
        yield f'<path class="{name}" d="{"".join(path)}"/>'

    def axis(self, y: int) -> Iterable[str]:
        """The times at both ends and three between."""
        form = "%H:%M" if self.end - self.start <= 86_400_000 else "%m-%d %H:%M"
        for part in range(5):
            at = self.start + (self.end - self.start) * part // 4
            anchor = ("start", "middle", "middle", "middle", "end")[part]
            yield f'<text x="{self.x(at):.1f}" y="{y}" text-anchor="{anchor}">{_moment(at, form)}</text>'


def _heat_map(plot: _Plot, steps: Sequence[tuple[int, Minute]]) -> Iterable[str]:
    yield f'<text class="b" x="{LEFT}" y="{TOP + 12}">jobs by how long they waited</text>'
    grid: list[list[int]] = []
    for _, one in steps:
        row = [0] * _HEAT
        for bucket, count in one.wait.items():
            ms = bucket_end_ms(bucket) / 1.1
            row[next((n for n, bound in enumerate(_BOUNDS) if ms <= bound), len(_BOUNDS))] += count
        grid.append(row)
    most = max((count for row in grid for count in row), default=0)
    names = [f"up to {duration(bound)}" for bound in _BOUNDS] + [f"over {duration(_BOUNDS[-1])}"]
    for place, name in enumerate(names):
        y = TOP + 20 + (_HEAT - 1 - place) * _ROW
        yield f'<text class="dim" x="{LEFT - 6}" y="{y + 12}" text-anchor="end">{name}</text>'
        for (at, _), row in zip(steps, grid, strict=True):
            if row[place]:
                shade = 0.15 + 0.85 * (row[place] / most) ** 0.5
                wide = plot.x(at + plot.step) - plot.x(at)
                yield (
                    f'<rect x="{plot.x(at):.1f}" y="{y}" width="{wide:.1f}" height="{_ROW - 1}"'
                    f' fill="#00607a" fill-opacity="{shade:.2f}"><title>{_moment(at)}: {row[place]:,}'
                    f" {name}</title></rect>"
                )


def _marks(plot: _Plot, marks: Sequence[Mark], bottom: int) -> Iterable[str]:
    order = {"deploy": 0, "alert": 1}
    chosen = sorted(marks, key=lambda one: order.get(one.kind, 2))[:_MOST_MARKS]
    for mark in chosen:
        x = plot.x(mark.at)
        text = html.escape(visible(f"{_moment(mark.at)} {mark.kind}: {mark.text}, {mark.who}"))
        yield f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}">'
        yield f"<title>{text}</title></line>"
        if mark.kind == "deploy":
            label = html.escape(visible(mark.text)[:40])
            anchor = "end" if x > WIDTH - 200 else "start"
            yield f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="{anchor}">{label}</text>'


def visible(text: str) -> str:
    """The text on one line, with characters that cannot be seen replaced."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
