"""Charts as text, in Unicode or ASCII: the only module that draws them.

A chart of one line is a ``str``. A chart of several lines is a list of ``Line``: pairs of a text and the
name of its style (of ``core.colors``, or ``""``), which ``rich.text.Text.assemble(*line)`` takes as it is.
Give charts the styles ``chart fail``, ``chart run`` and so on: without colors, ``fail`` is underlined.
Values are oldest first; ``None`` is "not measured" and is drawn as a gap, unlike 0. Every chart prints
its scale: the value of its highest mark.

``spark(values, cells, *, top=None, scale=short, ascii_only=False) -> str``
    ``▁▂█▁ 1.2k``. ``scale=None`` leaves the scale out, for charts that share one printed elsewhere.
``bar(part, whole, cells, *, ascii_only=False) -> str``
    ``███▌  ``, always ``cells`` wide; the caller prints the figure beside it.
``shares(parts, cells, *, ascii_only=False) -> Line``
    One bar of several ``(value, style)``, side by side.
``bar_chart(values, cells, rows, *, style, top=None, scale=short, ascii_only=False) -> list[Line]``
    Vertical bars, with the scale on the left.
``line_chart(series, cells, rows, *, top=None, scale=short, ascii_only=False) -> list[Line]``
    Braille lines of one or more ``(values, style)``, with the scale on the left; ASCII: ``*``, ``o``, ``+``.
``heat_map(grid, labels, cells, *, style, scale=short, ascii_only=False) -> list[Line]``
    ``grid[row][column]``, the first row on top; the last line explains the shades.
``bucket_grid(histograms, bounds_ms) -> list[list[int | None]]``
    The grid of ``heat_map`` from the histograms of ``Minute.wait`` or ``Minute.run``.
``trend(values, *, better="down", least=0) -> str``
    ``better``, ``worse``, ``steady`` (``better=None``: ``more``, ``less``); ``""`` when too little is known.
``time_axis(start, end, cells, marks=(), *, ascii_only=False) -> str``
    ``02:00 ──▲───── 05:00`` below a chart of that many cells; ``column_of`` and ``moment_of`` convert between
    a moment and a cell, ``moment_text`` shows a moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from hsejobs.store.minutes import bucket_end_ms
from hsejobs_tui.core.text import short

Value = float | None
Values = Sequence[Value]
#: Texts with the names of their styles, side by side.
Line = list[tuple[str, str]]
Scale = Callable[[float], str]

_SPARKS, _ASCII_SPARKS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
_EIGHTHS = "▏▎▍▌▋▊▉█"
_SHADES, _ASCII_SHADES = " ░▒▓█", " .:+#"
_ASCII_LINES = "*o+x"
#: The bits of the dots of a braille character: left and right column, from the top.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_DAY = 86_400_000


def fit(values: Values, cells: int) -> list[Value]:
    """The values as ``cells`` of equal length: each is the highest of its part, None if none is known."""
    count = len(values)
    if not count:
        return [None] * cells
    found: list[Value] = []
    for cell in range(cells):
        first = cell * count // cells
        end = max(first + 1, (cell + 1) * count // cells)
        known = [value for value in values[first:end] if value is not None]
        found.append(max(known, default=None))
    return found


def highest(*series: Values) -> float:
    """The highest value; 0 if none is known."""
    return max((value for one in series for value in one if value is not None), default=0)


def percent(share: float) -> str:
    """A share, 0 to 1, as a scale: ``31 %``; never 0 % or 100 % unless it is."""
    shown = round(share * 100)
    if not shown and share > 0:
        return "<1 %"
    return f"{min(shown, 99) if share < 1 else shown} %"


def trend(values: Values, *, better: str | None = "down", least: float = 0) -> str:
    """How the last quarter of the values compares with the quarter before it.

    ``better``: which way is better, ``down`` or ``up``; None for figures of which neither is. A change of
    less than a fifth, or of less than ``least``, is ``steady``; ``""`` if a quarter has no value.
    """
    quarter = max(1, len(values) // 4)
    now, before = _mean(values[-quarter:]), _mean(values[-2 * quarter : -quarter])
    if now is None or before is None:
        return ""
    if abs(now - before) <= max(least, 0.2 * max(now, before)):
        return "steady"
    if better is None:
        return "more" if now > before else "less"
    return "better" if (now > before) is (better == "up") else "worse"


def _mean(values: Values) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


# -- one line


def spark(
    values: Values,
    cells: int,
    *,
    top: float | None = None,
    scale: Scale | None = short,
    ascii_only: bool = False,
) -> str:
    """A sparkline of ``cells``, and its scale: ``▁▂█▁ 1.2k``. ``top``: the value of the highest mark."""
    marks = _ASCII_SPARKS if ascii_only else _SPARKS
    most = highest(values) if top is None else top
    drawn = "".join(
        " " if value is None else marks[_level(value, most, len(marks))]
        for value in fit(values, max(0, cells))
    )
    return drawn if scale is None else f"{drawn} {scale(most)}"


def _level(value: float, top: float, levels: int) -> int:
    """The level of a value: only 0 has the lowest."""
    share = min(1.0, max(0.0, value / top)) if top > 0 else 0.0
    return round(share * (levels - 1)) or int(value > 0)


def bar(part: float, whole: float, cells: int, *, ascii_only: bool = False) -> str:
    """A horizontal bar, ``cells`` wide: ``███▌  ``. A part above 0 is never drawn as nothing."""
    share = min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0
    if ascii_only:
        return ("#" * (round(share * cells) or int(share > 0))).ljust(cells, ".")[:cells]
    eighths = round(share * cells * 8) or int(share > 0)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest - 1] if rest else "")).ljust(cells)[:cells]


def shares(parts: Sequence[tuple[float, str]], cells: int, *, ascii_only: bool = False) -> Line:
    """Parts of a whole side by side, each with its style; together always ``cells`` wide."""
    whole = sum(value for value, _ in parts)
    line: Line = []
    done, used = 0.0, 0
    for at, (value, style) in enumerate(parts):
        done += value
        end = round(done / whole * cells) if whole > 0 else 0
        # Neighbors differ in more than their color.
        mark = "#=+-"[at % 4] if ascii_only else "█▓▒░"[at % 4]
        if end > used:
            line.append((mark * (end - used), style))
        used = end
    if used < cells:
        line.append((" " * (cells - used), ""))
    return line


# -- several lines


def bar_chart(
    values: Values,
    cells: int,
    rows: int,
    *,
    style: str,
    top: float | None = None,
    scale: Scale = short,
    ascii_only: bool = False,
) -> list[Line]:
    """Vertical bars with the scale on the left."""
    most = highest(values) if top is None else top
    marks = "" if ascii_only else _SPARKS
    steps = 1 if ascii_only else 8
    heights = [
        -1 if value is None else _level(value, most, rows * steps + 1)
        for value in fit(values, cells)
    ]
    drawn: list[Line] = []
    for row in range(rows):
        under = (rows - 1 - row) * steps
        text = ""
        for height in heights:
            here = min(steps, height - under)
            if here > 0:
                text += "#" if ascii_only else marks[here - 1]
            else:
                # A measured 0 has a base line, what was not measured has none.
                text += ("_" if ascii_only else "▁") if not under and height == 0 else " "
        drawn.append([(text, style)])
    return _with_scale(drawn, most, scale, ascii_only)


def line_chart(
    series: Sequence[tuple[Values, str]],
    cells: int,
    rows: int,
    *,
    top: float | None = None,
    scale: Scale = short,
    ascii_only: bool = False,
) -> list[Line]:
    """Lines of ``(values, style)`` with one scale on the left; where two meet, the first is on top."""
    most = highest(*(values for values, _ in series)) if top is None else top
    across, down = (1, 1) if ascii_only else (2, 4)
    owners = [[-1] * cells for _ in range(rows)]
    dots = [[0] * cells for _ in range(rows)]
    for number in reversed(range(len(series))):
        for x, y in _points(series[number][0], cells * across, rows * down, most, not ascii_only):
            row, cell = y // down, x // across
            owners[row][cell] = number
            dots[row][cell] |= 0 if ascii_only else _DOTS[x % 2][y % 4]
    drawn: list[Line] = []
    for row in range(rows):
        line: Line = []
        for cell in range(cells):
            owner = owners[row][cell]
            mark, style = " ", ""
            if owner >= 0:
                style = series[owner][1]
                mark = (
                    _ASCII_LINES[owner % len(_ASCII_LINES)]
                    if ascii_only
                    else chr(0x2800 + dots[row][cell])
                )
            if line and line[-1][1] == style:
                line[-1] = (line[-1][0] + mark, style)
            else:
                line.append((mark, style))
        drawn.append(line)
    return _with_scale(drawn, most, scale, ascii_only)


def _points(
    values: Values, width: int, height: int, top: float, joined: bool
) -> list[tuple[int, int]]:
    """The dots of a line, ``joined``: with those between one value and the next."""
    found: list[tuple[int, int]] = []
    before: int | None = None
    for x, value in enumerate(fit(values, width)):
        if value is None:
            before = None
            continue
        y = height - 1 - _level(value, top, height)
        between = [y]
        if joined and before is not None and abs(before - y) > 1:
            between = list(range(before + 1, y + 1) if before < y else range(y, before))
        found += [(x, one) for one in between]
        before = y
    return found


def _with_scale(drawn: list[Line], top: float, scale: Scale, ascii_only: bool) -> list[Line]:
    """The rows with their scale on the left: its top on the first row, 0 on the last."""
    labels = [scale(top), *[""] * (len(drawn) - 2), scale(0)] if len(drawn) > 1 else [scale(top)]
    wide = max(map(len, labels))
    tick, line = ("+", "|") if ascii_only else ("┤", "│")
    return [
        [(f"{label:>{wide}} {tick if label else line}", "dim"), *row]
        for label, row in zip(labels, drawn, strict=True)
    ]


def heat_map(
    grid: Sequence[Sequence[float | None]],
    labels: Sequence[str],
    cells: int,
    *,
    style: str,
    scale: Scale = short,
    ascii_only: bool = False,
) -> list[Line]:
    """A row per label and a shade per value; the last line says from which value each shade is used.

    The shades are steps of equal ratio, because counts differ by orders of magnitude.
    """
    shades = _ASCII_SHADES if ascii_only else _SHADES
    fitted = [fit(row, cells) for row in grid]
    steps = _steps(highest(*fitted), len(shades) - 1)
    wide = max(map(len, labels), default=0)
    edge = "|" if ascii_only else "│"
    drawn: list[Line] = []
    for label, row in zip(labels, fitted, strict=True):
        text = "".join(shades[_shade(value, steps)] for value in row)
        drawn.append([(f"{label:>{wide}} {edge}", "dim"), (text, style), (edge, "dim")])
    legend: Line = [(" " * (wide + 2), "")]
    if not steps:
        legend.append(("nothing in this time", "dim"))
    for shade, least in zip(shades[1:], steps, strict=False):
        legend += [(shade, style), (f" {scale(least)}+  ", "dim")]
    return [*drawn, legend]


def _steps(top: float, shades: int) -> list[float]:
    """The least value of each shade, from 1 to about the highest value."""
    if top <= 0:
        return []
    found = [round(top ** (at / shades)) for at in range(shades)]
    # Few counts need fewer shades.
    return [float(one) for one in sorted({max(1, one) for one in found}) if one <= top] or [top]


def _shade(value: float | None, steps: Sequence[float]) -> int:
    if not value or value <= 0:
        return 0
    return max(1, sum(value >= least for least in steps))


def bucket_grid(
    histograms: Sequence[Mapping[int, int] | None], bounds_ms: Sequence[float]
) -> list[list[int | None]]:
    """Counts by time range and period, the longest times first; a row more than there are bounds.

    ``histograms``: those of ``Minute``, a period each, None where nothing was recorded. ``bounds_ms``: the
    upper bounds, ascending; the first row is for the times above the last bound.
    """
    rows: list[list[int | None]] = []
    counts: list[list[int] | None] = []
    for histogram in histograms:
        found: list[int] | None = None
        if histogram is not None:
            found = [0] * (len(bounds_ms) + 1)
            for bucket, count in histogram.items():
                # A tenth more, as the bounds of buckets are not round.
                found[bisect_left(bounds_ms, bucket_end_ms(bucket) / 1.1)] += count
        counts.append(found)
    for at in reversed(range(len(bounds_ms) + 1)):
        rows.append([None if one is None else one[at] for one in counts])
    return rows


# -- time


def column_of(moment: int, start: int, end: int, cells: int) -> int | None:
    """The cell of a moment in a chart from ``start`` to ``end``, all in ms; None outside."""
    if not start <= moment <= end or end <= start or cells < 1:
        return None
    return min(cells - 1, (moment - start) * cells // (end - start))


def moment_of(cell: int, start: int, end: int, cells: int) -> tuple[int, int]:
    """The start and the end, in ms, of a cell."""
    span = end - start
    return start + span * cell // cells, start + span * (cell + 1) // cells


def moment_text(moment: int, span: int = 0) -> str:
    """A moment in ms as UTC: ``03:05``; with the day (``26 03:05``) where ``span`` ms are over a day."""
    form = "%H:%M" if span <= _DAY else "%d %H:%M" if span <= 8 * _DAY else "%m-%d"
    return datetime.fromtimestamp(moment / 1000, UTC).strftime(form)


def time_axis(
    start: int,
    end: int,
    cells: int,
    marks: Sequence[tuple[int, str]] = (),
    *,
    ascii_only: bool = False,
) -> str:
    """The line below a chart of ``cells``: both ends as times, and ``marks`` (ms, one character) between."""
    first, last = moment_text(start, end - start), moment_text(end, end - start)
    line = list(("-" if ascii_only else "─") * cells)
    least, most = 0, cells - 1
    if len(first) + len(last) + 4 <= cells:
        line[: len(first) + 1] = first + " "
        line[cells - len(last) - 1 :] = " " + last
        least, most = len(first) + 1, cells - len(last) - 2
    for moment, sign in marks:
        cell = column_of(moment, start, end, cells)
        if cell is not None:
            # Beside the times, not over them.
            line[min(max(cell, least), most)] = sign[:1]
    return "".join(line)
