"""The lists of the Insight screen as lines of text: parts, errors, tenants, the slowest jobs."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hsejobs.control.findings import ErrorChange, Findings, SlowJob
from hsejobs_tui.core.charts import Line, spark
from hsejobs_tui.core.insight import Part, label
from hsejobs_tui.core.insight_state import InsightState
from hsejobs_tui.core.insight_view import Frame, between
from hsejobs_tui.core.text import duration, safe, short


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a list: its name, which may be cut, between a text before it and one after it.

    ``extra`` comes last and is left out where there is no room for it.
    """

    name: str
    style: str = ""
    before: tuple[str, str] = ("", "")
    after: tuple[str, str] = ("", "")
    extra: tuple[str, str] = ("", "")

    @property
    def length(self) -> int:
        """The cells of the whole entry."""
        return cells_of(self.before[0] + self.name + self.after[0])

    def counting(self, what: str) -> Entry:
        """The entry with what its numbers count, if it has any."""
        text, style = self.after
        return replace(self, after=(f"{text}{what}", style)) if text else self

    def line(self, room: int) -> Line:
        """The entry in at most ``room`` cells."""
        rest = room - cells_of(self.before[0]) - cells_of(self.after[0])
        if rest < 4:
            return [(_cut(self.before[0] + self.name, room), self.style)]
        line = [self.before, (_cut(self.name, rest), self.style), self.after]
        if cells_of(self.name) + cells_of(self.extra[0]) <= rest:
            line.append(self.extra)
        return line


_READING = [Entry("reading ...", "dim")]
_NONE = [Entry("none", "dim")]


@dataclass(frozen=True, slots=True)
class Drawn:
    """How lists are drawn. ``divided``: whether the session sees the errors and tenants of all."""

    waiting: bool
    compare: bool
    divided: bool
    ascii_only: bool


@dataclass(frozen=True, slots=True)
class Lists:
    """What the focus shows; None for what is still read."""

    state: InsightState
    findings: Findings | None
    slow: list[SlowJob] | None
    drawn: Drawn

    def rows(self, size: Frame, rows: int) -> list[Line]:
        """The lists in that many rows: side by side where there is room, or a line each."""
        by_error = by_tenant = slow = _READING
        if self.findings is not None:
            found, plain = self.findings, self.drawn.ascii_only
            by_error = errors(found, compare=self.drawn.compare, ascii_only=plain) or _NONE
            by_tenant = tenants(found) or _NONE
        if self.slow is not None:
            slow = slowest(self.slow) or [Entry("no longer kept", "dim")]
        if not size.wide:
            heads, lists = ["slowest"], [slow]
            if self.drawn.divided:
                # What is counted: the figure beside them is that of the jobs that failed.
                by_error = [*(first.counting(" attempts") for first in by_error[:1]), *by_error[1:]]
                heads, lists = ["errors", "tenants", *heads], [by_error, by_tenant, *lists]
            one = self._parts(1, 60)
            # The head line names the chosen part as well, so it gives way first.
            return stacked([self.state.division, *heads], [one, *lists], size.width - 1)[-rows:]
        return self._columns(size, rows, by_error, by_tenant, slow)

    def _columns(
        self,
        size: Frame,
        rows: int,
        by_error: list[Entry],
        by_tenant: list[Entry],
        slow: list[Entry],
    ) -> list[Line]:
        word = "waited longest" if self.drawn.waiting else "ran longest"
        # Names of errors are long.
        long = self.state.division == "error"
        first, third = (46, 38) if size.width >= 150 else (36, 24) if long else (28, 26)
        rest = size.width - first - third
        second = rest * (10 if long else 11) // 20
        widths = [first, second, third, rest - second]
        arrow = "->" if self.drawn.ascii_only else "→"
        head = "failed attempts"
        if len(whole := f"{head}, before {arrow} here") < second - 2:
            head = whole
        heads = [f"by {self.state.division}", head, "tenants", word]
        if not self.drawn.divided:
            widths, heads = [first, size.width - first], [heads[0], heads[3]]
        parts = self._parts(rows - 1, first - 2)
        lists = [parts, by_error, by_tenant, slow] if self.drawn.divided else [parts, slow]
        return columns(heads, lists, widths, rows - 1)

    def _parts(self, rows: int, cells: int) -> list[Entry]:
        state = self.state
        return parts(state.parts, state.key, rows, cells, ascii_only=self.drawn.ascii_only)


def cells_of(text: str) -> int:
    """The cells that a text takes: wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def title(state: InsightState) -> str:
    """What is chosen, for the head line."""
    text = safe(state.queue, 60) if state.queue else "all queues"
    if state.division != "queue":
        name = label(state.division, state.part) if state.part is not None else "all"
        text += f", {state.division}: {safe(name, 60)}"
    return text


def nothing(state: InsightState, bounds: tuple[int, int], now: int) -> str:
    """Why a window is empty, and what to do."""
    what = f"in {safe(state.queue, 60)}" if state.queue else "in any queue"
    if state.division != "queue" and state.part is not None:
        what = f"of {safe(label(state.division, state.part), 60)} {what}"
    if state.window is not None and any(one.waiting is not None for one in state.window.whole):
        why = "The queues were watched meanwhile."
    else:
        why = "Nothing was recorded either: neither a worker nor a shim of hsejobs ran."
    return (
        f" Nothing was added or ended {what} from {between(*bounds, now)}.\n {why}\n\n"
        " - shows a longer time, < an earlier one, t goes to a time."
    )


def errors(found: Findings, *, compare: bool, ascii_only: bool) -> list[Entry]:
    """The errors of the span, those that began in it first: how many there were before, and are."""
    arrow = "->" if ascii_only else "→"
    entries: list[Entry] = []
    for one in found.errors:
        if not one.count and not compare:
            continue
        before = one.expected(found.length)
        rate = f"{before:,.0f}" if before >= 0.5 or not one.before else "<1"
        word = "new " if one.began else "over " if not one.count else ""
        style = "bold fail" if one.began else ""
        entries.append(
            Entry(
                error_label(one), style, (word, style), (f"  {rate} {arrow} {one.count:,}", "bold")
            )
        )
    return entries


def error_label(one: ErrorChange) -> str:
    """The name of a group of errors in a list."""
    return safe(label("error", f"{one.code} {one.text}".strip()), 200)


def tenants(found: Findings) -> list[Entry]:
    """The organizations of the span: how many of the jobs added were theirs."""
    whole = found.whole.added
    entries: list[Entry] = []
    for one in found.tenants:
        counters = one.counters
        what = f"{counters.added:,} of {whole:,}" if counters.added else f"{counters.ended:,} out"
        failed = f", {counters.failed:,} failed" if counters.failed else ""
        name = safe(one.name or "no organization", 60)
        entries.append(Entry(name, "", after=(f"  {what}", "bold"), extra=(failed, "fail")))
    return entries


def slowest(found: Sequence[SlowJob]) -> list[Entry]:
    """The jobs that waited or ran longest: the time (``+``: so far), the job, its tenant, its task."""
    entries: list[Entry] = []
    for one in found:
        job, style = one.job, "bold" if one.over else "bold warn"
        words = [job.id, job.organization_id or "", job.name.rpartition(".")[2]]
        text = "  ".join(safe(word, 60) for word in words if word)
        entries.append(Entry(text, "", (f"{duration(one.ms)}{'' if one.over else '+'}  ", style)))
    return entries


def parts(
    found: Sequence[Part], chosen: str | None, rows: int, cells: int, *, ascii_only: bool
) -> list[Entry]:
    """The parts of the window around the chosen one, each with its count and its past."""
    at = next((n for n, one in enumerate(found, 1) if one.key == chosen), 0)
    entries: list[Entry] = []
    whole = [sum(column) for column in zip(*(one.past for one in found), strict=True)]
    every = [("all", whole), *((one.label, one.past) for one in found)]
    first = max(0, min(at - rows // 2, len(every) - rows))
    past_cells = 12 if cells >= 40 else 7
    room = max(6, cells - 10 - past_cells)
    for number, (name, row) in list(enumerate(every))[first : first + rows]:
        on = number == at
        shown = _cut(safe(name, 100), room)
        past = spark(row or [0], past_cells, scale=None, ascii_only=ascii_only)
        fill = " " * max(0, room - cells_of(shown))
        text = f"{'>' if on else ' '} {shown}{fill} {short(sum(row)):>6} "
        entries.append(Entry(text, "bold" if on else "", after=(past, "note")))
    return entries


def _cut(text: str, room: int) -> str:
    """The text in at most ``room`` cells."""
    if cells_of(text) <= room:
        return text
    while text and cells_of(text) > room - 2:
        text = text[:-1]
    return text + ".." if room > 2 else ""


def columns(
    heads: Sequence[str], lists: Sequence[Sequence[Entry]], widths: Sequence[int], rows: int
) -> list[Line]:
    """Lists side by side below their heads; one that is longer says how much is left out."""
    drawn: list[Line] = [[]]
    for head, width in zip(heads, widths, strict=True):
        drawn[0].append((f" {_cut(head, width - 2):<{width - 1}}", "bold"))
    for row in range(rows):
        line: Line = []
        for entries, width in zip(lists, widths, strict=True):
            cell: Line = []
            if row == rows - 1 and len(entries) > rows:
                cell = [(f"{len(entries) - row} more", "dim")]
            elif row < len(entries):
                cell = entries[row].line(width - 2)
            used = sum(cells_of(text) for text, _ in cell)
            line += [(" ", ""), *cell, (" " * max(0, width - 1 - used), "")]
        drawn.append(line)
    return drawn


def stacked(heads: Sequence[str], lists: Sequence[Sequence[Entry]], width: int) -> list[Line]:
    """One line per list, with as many of its entries as there is room for."""
    drawn: list[Line] = []
    for head, entries in zip(heads, lists, strict=True):
        line: Line = [(f" {head:<9}", "bold")]
        used = 10
        for number, entry in enumerate(entries):
            left = len(entries) - number
            more = f"+{left} more"
            room = width - used - (0 if left == 1 else len(more) + 3)
            # The first has what it needs; the others are not shown in less than half of that.
            shown = entry.line(room if not number else min(room, 40))
            length = sum(cells_of(text) for text, _ in shown)
            if number and room < min(entry.length, 24):
                line.append((more, "dim"))
                break
            line += [*shown, ("   ", "")]
            used += length + 3
        drawn.append(line)
    return drawn
