"""The charts of the Insight screen as lines of text, on one axis of time, and the marks below it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hsejobs.control.act_words import Words, acts_together
from hsejobs.store.marks import Mark
from hsejobs.store.minutes import Minute, percentile
from hsejobs_tui.core.charts import (
    Line,
    Scale,
    bar_chart,
    column_of,
    heat_map,
    highest,
    moment_text,
    percent,
    spark,
    time_axis,
)
from hsejobs_tui.core.insight import Bin, heat, rank, sign
from hsejobs_tui.core.insight_state import InsightState
from hsejobs_tui.core.text import duration, fitted, one_line, safe, short

#: What the head line says beside the window.
HINT = "   t goes to a time"
#: Cells left of every chart: a word, the scale and the edge.
GUTTER = 15
_MINUTE = 60_000
#: The shortest time over which a rate is computed, in ms.
_LEAST = 30_000
_RUNS = re.compile(r" +|[^ ]+")


@dataclass(frozen=True, slots=True)
class Frame:
    """The rows of each part at a size of the screen's body. ``panel``: of what the focus shows."""

    width: int
    heat: int
    rate: int
    failed: int
    depth: int
    marks: int
    panel: int

    @property
    def cells(self) -> int:
        """The columns of the charts."""
        return max(10, self.width - GUTTER - 2)

    @property
    def wide(self) -> bool:
        """Whether the lists stand side by side."""
        return self.width >= 100 and self.panel >= 7


def frame(width: int, screen: int) -> Frame:
    """The rows at a size of the screen; the heat map takes what the others leave."""
    # Around the body are the head, the status and the keys, and from 16 lines on the navigation.
    height = max(4, screen - (4 if screen >= 16 else 3))
    if height < 16:
        return Frame(width, max(0, height - 8), 1, 1, 0, 1, 3)
    if height < 26:
        return Frame(width, height - 12, 1, 1, 1, 2, 5)
    panel = min(14, 9 + (height - 26) // 4)
    rate, depth, failed, marks = (2, 2, 2, 2) if height < 40 else (4, 4, 3, 3)
    rest = 1 + 2 * rate + failed + depth + marks + panel
    return Frame(width, height - rest, rate, failed, depth, marks, panel)


@dataclass(frozen=True, slots=True)
class Look:
    """What is drawn of a window. ``now`` and ``width`` in ms."""

    start: int
    end: int
    now: int
    width: int
    waiting: bool
    ascii_only: bool

    @classmethod
    def of(cls, state: InsightState, now: int, *, waiting: bool, ascii_only: bool) -> Look:
        """How the bins of a state are drawn at Redis time ``now``."""
        bins, width = state.bins, state.width
        return cls(bins[0].at, bins[-1].at + width, now, width, waiting, ascii_only)

    def rate(self, one: Bin, count: int) -> float | None:
        """A count of a bin per minute; None for a bin that has just begun."""
        covered = min(one.at + self.width, self.end, self.now) - max(one.at, self.start)
        return count * _MINUTE / covered if covered >= min(_LEAST, self.width) else None


def charts(look: Look, size: Frame, bins: Sequence[Bin], *, times: bool) -> list[Line]:
    """The heat map and the bars, one axis for all. ``times``: whether the history has times of this part."""
    cells = size.cells
    drawn: list[Line] = []
    if not times:
        # The failures of an error are all that is known of it.
        rows = size.heat + 2 * size.rate + size.failed + size.depth
        return _bars(look, "fail/m", _rates(look, bins, "failed"), (cells, rows), "fail", _rate)
    if size.heat > 1:
        grid, labels = heat(bins, size.heat - 1, waiting=look.waiting)
        word = "wait" if look.waiting else "run"
        if grid:
            shades = heat_map(grid, labels, cells, style=word, ascii_only=look.ascii_only)
            drawn += [_guttered(row, word if not at else "") for at, row in enumerate(shades)]
        else:
            began = "No job began to run" if look.waiting else "No run ended"
            drawn.append(_guttered([("", ""), (f"{began} in this time.", "dim")], word))
    size = _taller(size, size.heat - len(drawn))
    added, ended = _rates(look, bins, "added"), _rates(look, bins, "ended")
    # One scale for both, so that their difference can be seen.
    top = highest(added, ended)
    drawn += _bars(look, "in/m", added, (cells, size.rate), "note", _rate, top)
    drawn += _bars(look, "out/m", ended, (cells, size.rate), "ok", _rate, top)
    failed = _rates(look, bins, "failed")
    drawn += _bars(look, "fail/m", failed, (cells, size.failed), "fail", _rate)
    depth = [one.waiting for one in bins]
    if size.depth and any(one is not None for one in depth):
        drawn += _bars(look, "depth", depth, (cells, size.depth), "wait", short)
    return drawn


def _rates(look: Look, bins: Sequence[Bin], name: str) -> list[float | None]:
    """A counter of each bin per minute; ``failed``: all attempts that failed."""
    counts = [getattr(one.counters, name) for one in bins]
    if name == "failed":
        counts = [n + one.counters.retried for n, one in zip(counts, bins, strict=True)]
    return [look.rate(one, n) for one, n in zip(bins, counts, strict=True)]


def _rate(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 9.95 and value % 1 else short(value)


def _bars(
    look: Look,
    word: str,
    values: Sequence[float | None],
    room: tuple[int, int],
    style: str,
    scale: Scale,
    top: float | None = None,
) -> list[Line]:
    """A bar chart in ``room``: cells and rows."""
    cells, rows = room
    plain = look.ascii_only
    if plain and rows == 1:
        # One row of ASCII bars has no height.
        most = highest(values) if top is None else top
        text = spark(values, cells, top=most, scale=None, ascii_only=True)
        drawn: list[Line] = [[(f"{scale(most)} +", "dim"), (text, style)]]
    else:
        drawn = bar_chart(values, cells, rows, style=style, top=top, scale=scale, ascii_only=plain)
    return [_guttered(row, word if not at else "") for at, row in enumerate(drawn)]


def _taller(size: Frame, rows: int) -> Frame:
    """The frame with rows that the heat map does not need given to the bars."""
    each, rest = divmod(max(0, rows), 4)
    return Frame(
        size.width,
        size.heat,
        size.rate + each,
        size.failed + each + rest,
        size.depth + each if size.depth else 0,
        size.marks,
        size.panel,
    )


def _guttered(row: Line, word: str) -> Line:
    """The row with a gutter of the same width as all others: the word, then the row's own scale."""
    scale = row[0][0].strip()
    line: Line = [(f" {word:<6}{scale:>{GUTTER - 7}}", "dim")]
    for text, style in row[1:]:
        # Blanks have no style: it may be underlined.
        line += [(part, style if part.strip() else "") for part in _RUNS.findall(text)]
    return line


def axis(look: Look, size: Frame, focus: tuple[int, int] | None, cursor: int | None) -> Line:
    """The line of time, with the cursor and the ends of the selected span."""
    signs = []
    if focus is not None:
        signs += [
            (focus[0], "[" if look.ascii_only else "├"),
            (focus[1] - 1, "]" if look.ascii_only else "┤"),
        ]
    if cursor is not None:
        signs.append((cursor + look.width // 2, "|" if look.ascii_only else "┃"))
    line = time_axis(look.start, look.end, size.cells, signs, ascii_only=look.ascii_only)
    return [(f"{'UTC':>{GUTTER - 1}} ", "dim"), (line, "")]


def marks(look: Look, size: Frame, found: Sequence[Mark], focus: tuple[int, int]) -> list[Line]:
    """A line with the marks' glyphs below the axis, and their texts: those of the focus first."""
    if not size.marks:
        return []
    room = [" "] * size.cells
    styles = [""] * size.cells
    for mark in sorted(found, key=rank, reverse=True):
        at = column_of(mark.at, look.start, look.end, size.cells)
        if at is not None:
            room[at], styles[at] = sign(mark, ascii_only=look.ascii_only)
    line: Line = [(f" {'marks':<{GUTTER - 1}}", "dim")]
    line += list(zip(room, styles, strict=True)) if found else [("none", "dim")]
    texts = sorted(acts_together(found), key=lambda one: (not _near(one[0], focus), rank(one[0])))
    return [line, *_texts(look, size, texts)][: size.marks]


def _near(mark: Mark, focus: tuple[int, int]) -> bool:
    """Whether a mark is in the focus, or a deploy that may be the cause of what is."""
    early = 3_600_000 if mark.kind == "deploy" else 0
    return focus[0] - early <= mark.at < focus[1]


def _texts(look: Look, size: Frame, found: Sequence[tuple[Mark, Words | None]]) -> list[Line]:
    lines: list[Line] = []
    line: Line = [(" ", "")]
    used, room = 1, size.width - 12
    left = list(found)
    while left and len(lines) < size.marks - 1:
        mark, act = left[0]
        glyph, style = sign(mark, ascii_only=look.ascii_only)
        text = one_line(mark.text, 80)
        if act is not None:
            text = fitted(act.parts(), 80, ascii_only=look.ascii_only)
        elif mark.queue and mark.queue not in text:
            text += f" {safe(mark.queue, 40)}"
        words = f" {moment_text(mark.at, look.end - look.start)} {text}   "
        if used > 1 and used + len(words) + 1 > room:
            lines.append(line)
            line, used = [(" ", "")], 1
            continue
        line += [(glyph, style), (words, "")]
        used += len(words) + 1
        left.pop(0)
    if used > 1 and len(lines) < size.marks - 1:
        lines.append(line)
    if left and lines:
        lines[-1].append((f"+{len(left)} more", "dim"))
    return lines


# -- the focus


def between(start: int, end: int, now: int) -> str:
    """A span in words: ``03:04 to 03:05 UTC``; with the day where it is not of the last 24 hours."""
    form = 0 if now - start < 86_400_000 else 2 * 86_400_000
    return f"{moment_text(start, form)} to {moment_text(min(end, now), form)} UTC"


def figures(
    title: str, total: Minute, waiting: int | None, width: int, *, times: bool = True
) -> Line:
    """The counters of a span in one line of ``width`` cells: what has no room is left out.

    ``times``: as in ``charts``; without, they are those of an error.
    """
    share = f" ({percent(total.failure_ratio)})" if total.judged else ""
    found = [
        ("in", f"{total.added:,}", ""),
        ("out", f"{total.ended:,}", ""),
        ("failed jobs", f"{total.failed:,}{share}", "bold fail" if total.failed else ""),
    ]
    if not times:
        found = [("failed attempts", f"{total.failed + total.retried:,}", "bold fail")]
        found.append(("of them retried", f"{total.retried:,}", ""))
        total = Minute()
    if total.wait:
        found.append(("waited p95", duration(percentile(total.wait, 0.95)), ""))
    if waiting is not None:
        found.append(("most waiting", f"{waiting:,}", ""))
    if total.retried:
        found.append(("failed attempts", f"{total.failed + total.retried:,}", ""))
    if total.run:
        found.append(("ran p95", duration(percentile(total.run, 0.95)), ""))
    if total.wait:
        found.append(("waited p50", duration(percentile(total.wait, 0.5)), ""))
    line: Line = [(f" {title} ", "bold")]
    used = len(title) + 2
    for word, value, style in found:
        used += len(word) + len(value) + 3
        if used > width:
            break
        line += [(f" {word} ", "dim"), (f"{value} ", style)]
    return line


def columns_of(state: InsightState, cells: int) -> tuple[int, int]:
    """The first column of the focus in a row of the charts, and the one after its last."""
    count, (start, end) = len(state.bins), state.focus
    first = max(0, (start - state.bins[0].at) // state.width)
    last = min(count, max(first + 1, (end - state.bins[0].at) // state.width))
    return GUTTER + -(-first * cells // count), GUTTER + -(-last * cells // count)
