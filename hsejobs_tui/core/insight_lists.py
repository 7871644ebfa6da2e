"""The lists of the Insight screen as lines of text: parts, errors, tenants, the slowest jobs."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hsejobs.control.findings import Chosen, ErrorChange, Findings, SlowJob, SpanJobs
from hsejobs.store.periods import By
from hsejobs_tui.core.charts import Line, spark
from hsejobs_tui.core.insight import Part, label
from hsejobs_tui.core.insight_state import InsightState
from hsejobs_tui.core.insight_view import Frame, between
from hsejobs_tui.core.text import duration, safe, short
from hsejobs_tui.core.unread import READING


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


_NONE = [Entry("none", "dim")]
#: Of the errors without a name: there were too many to count each.
_NAMELESS = [Entry("not told apart", "dim")]


@dataclass(frozen=True, slots=True)
class Drawn:
    """How lists are drawn. ``divided``: whether the session sees the errors and tenants of all.

    ``unread``: what stands in the place of a list that is not read.
    """

    waiting: bool
    compare: bool
    divided: bool
    ascii_only: bool
    unread: str = READING


@dataclass(frozen=True, slots=True)
class Listed:
    """A list below its head. ``brief``: its head where it is one line; ``what``: what it counts there."""

    head: str
    brief: str
    entries: list[Entry]
    what: str = ""


@dataclass(frozen=True, slots=True)
class Lists:
    """What the focus shows, all of the chosen part; None for what is still read."""

    state: InsightState
    findings: Findings | None
    jobs: SpanJobs | None
    drawn: Drawn

    def rows(self, size: Frame, rows: int) -> list[Line]:
        """The lists in that many rows: side by side where there is room, or a line each."""
        shown = [self._errors(), self._tenants(), self._slowest()]
        lists = [one for one in shown if one is not None]
        if not size.wide:
            lines = []
            for one in lists:
                # What is counted: the figure beside them is that of the jobs.
                first = [entry.counting(one.what) for entry in one.entries[:1]]
                lines.append([*first, *one.entries[1:]])
            parts = self._parts(1, 60)
            heads = [self.state.division, *(one.brief for one in lists)]
            # The head line names the chosen part as well, so it gives way first.
            return stacked(heads, [parts, *lines], size.width - 1)[-rows:]
        return self._columns(size, rows, lists)

    @property
    def _only(self) -> Chosen | None:
        return self.state.only

    @property
    def _unread(self) -> list[Entry]:
        return [Entry(self.drawn.unread, "dim")]

    @property
    def _of_jobs(self) -> bool:
        """Whether errors are those of jobs: of one task or tenant the history counts no attempts."""
        return self._only is not None and self._only.by is not By.ERROR

    @property
    def _cut(self) -> bool:
        """Whether figures of jobs are those of the newest alone."""
        return self.jobs is not None and not self.jobs.whole

    def _errors(self) -> Listed | None:
        if not self.drawn.divided:
            return None
        compare, plain = self.drawn.compare, self.drawn.ascii_only
        if self._of_jobs:
            found = self.jobs
            entries = self._unread if found is None else _counted_errors(found) or _NONE
            head = "errors, newest failed jobs" if self._cut else "errors, failed jobs kept"
            return Listed(head, "errors", entries, " failed jobs")
        head = f"failed attempts, before {'->' if plain else '→'} here"
        entries = self._unread
        if self.findings is not None:
            entries = errors(self.findings, compare=compare, ascii_only=plain) or _NONE
        return Listed(head, "errors", entries, " attempts")

    def _tenants(self) -> Listed | None:
        """Not of one tenant: the list of parts has them all."""
        only = self._only
        if not self.drawn.divided or (only is not None and only.by is By.ORG):
            return None
        if only is None:
            found = self.findings
            entries = self._unread if found is None else tenants(found) or _NONE
            return Listed("tenants", "tenants", entries)
        word = "failed" if only.by is By.ERROR else "ended"
        entries = self._unread
        if self.jobs is not None:
            entries = _counted_tenants(self.jobs) or (_NONE if only.name else _NAMELESS)
        head = f"tenants, newest {word}" if self._cut else f"tenants, {word} jobs"
        return Listed(head, "tenants", entries, f" {word} jobs")

    def _slowest(self) -> Listed:
        found, entries = self.jobs, self._unread
        if found is not None:
            entries = slowest(found.slowest) or [Entry(self._no_job(found), "dim")]
        word = "waited longest" if self.drawn.waiting else "ran longest"
        return Listed(word, "slowest", entries)

    def _no_job(self, found: SpanJobs) -> str:
        """Why no job is listed."""
        if self._only is not None and not self._only.name:
            return _NAMELESS[0].name
        if found.ended:
            # What a later attempt waited is a backoff.
            return "no first attempt" if self.drawn.waiting else "no time known"
        return "no longer kept" if found.whole else "none of the newest"

    def _columns(self, size: Frame, rows: int, lists: Sequence[Listed]) -> list[Line]:
        # Names of errors are long.
        long = self.state.division == "error"
        first, third = (46, 38) if size.width >= 150 else (36, 24) if long else (28, 26)
        rest = size.width - first - (third if len(lists) == 3 else 0)
        second = rest * (10 if long else 11) // 20
        widths = {
            1: [size.width - first],
            2: [second, rest - second],
            3: [second, third, rest - second],
        }[len(lists)]
        # The other lists are of the span.
        heads = [f"by {self.state.division}{', whole window' if self.state.selected else ''}"]
        for one, width in zip(lists, widths, strict=True):
            # What follows the comma gives way.
            fits = cells_of(one.head) <= width - 2
            heads.append(one.head if fits else one.head.partition(",")[0])
        parts = self._parts(rows - 1, first - 2)
        return columns(heads, [parts, *(one.entries for one in lists)], [first, *widths], rows - 1)

    def _parts(self, rows: int, cells: int) -> list[Entry]:
        state = self.state
        if not state.divided:
            return self._unread
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


def _counted_errors(found: SpanJobs) -> list[Entry]:
    return [
        Entry(safe(label("error", name), 200), after=(f"  {count:,}", "bold"))
        for name, count in found.errors.most_common()
    ]


def _counted_tenants(found: SpanJobs) -> list[Entry]:
    return [
        Entry(safe(label("tenant", name), 60), after=(f"  {count:,} of {found.ended:,}", "bold"))
        for name, count in found.tenants.most_common()
    ]


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
