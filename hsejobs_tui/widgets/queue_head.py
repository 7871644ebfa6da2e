"""The head strip of a queue: what comes in, what goes out, what fails, what waits, each with its past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from hsejobs.store.minutes import Minute
from hsejobs.store.read import QueueStats
from hsejobs_tui.core import charts
from hsejobs_tui.core.parts import KINDS, Kind, Past, Share
from hsejobs_tui.core.text import duration, safe, short

#: The keys and names of the shares, and how much of the line each may take. Errors are counted otherwise
#: on other screens, so that their name is shown at any width.
KEYS: dict[Kind, tuple[str, str, float]] = {
    "error": ("!", "failed jobs", 0.5),
    "org": ("@", "tenants", 0.28),
    "task": ("#", "tasks", 0.22),
}
#: The names where there are few cells.
BRIEF: dict[Kind, str] = {"error": "failed"}
#: Cells of the smallest and the largest sparkline.
LEAST, MOST = 4, 32
#: The figures by how much their past matters, the least first.
ORDER = ("in", "out", "oldest", "failed", "wait")
#: Width in cells below which not every figure has its past.
NARROW = 110


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure and its past. ``style``: of both; ``per``: what a value is divided by for the scale."""

    name: str
    value: str
    past: Sequence[float | None]
    scale: charts.Scale
    style: str = ""
    after: str = ""


def strip(
    stats: QueueStats | None,
    past: Past | None,
    window: str,
    width: int,
    *,
    ascii_only: bool,
    live: bool = True,
) -> Text:
    """One line of at most ``width`` cells; without a past, only the figures of now.

    ``live``: the window ends now. Otherwise what waits is the most of the window.
    """
    figures = _figures(stats, past, live=live)
    if width < NARROW:
        # The figures themselves, and the past of what matters most.
        figures = [
            replace(one, after="", past=() if one.name in ("in", "out") else one.past)
            for one in figures
        ]
    drawn = [one for one in figures if charts.highest(one.past) > 0]
    cells = _cells(figures, drawn, width - len(window) - 4)
    while cells < LEAST and drawn:
        # What matters least gives way.
        drawn.remove(min(drawn, key=lambda one: ORDER.index(one.name)))
        cells = _cells(figures, drawn, width - len(window) - 4)
    text = Text(" ").append(f"[{window}]", "bold").append("  ")
    for one in figures:
        text.append(f"{one.name} ", "dim").append(one.value, one.style or "bold")
        if one in drawn:
            line = charts.spark(one.past, min(MOST, cells), scale=one.scale, ascii_only=ascii_only)
            text.append(f" {line}", one.style.removeprefix("bold ") or "note")
        if one.after:
            text.append(f" {one.after}", one.style or "dim")
        text.append("  ")
    text.rstrip()
    return text


def _cells(figures: Sequence[_Figure], drawn: Sequence[_Figure], room: int) -> int:
    """How many cells are left for the past of each figure that is drawn."""
    for one in figures:
        room -= len(f"{one.name} {one.value}  ") + (len(one.after) + 1 if one.after else 0)
    for one in drawn:
        room -= len(one.scale(charts.highest(one.past))) + 2
    return room // max(1, len(drawn))


def _figures(stats: QueueStats | None, past: Past | None, *, live: bool) -> list[_Figure]:
    minutes = past.minutes if past else []
    total = _sum(minutes)
    span = max(1.0, (past.end - past.start) / 60_000) if past else 1.0
    per = past.step / 60_000 if past else 1.0
    failed = [one.failure_ratio if one.judged else None for one in minutes]
    share = total.failure_ratio
    wrong = "bold fail" if share >= 0.1 else ""
    waiting = [one.peak[0] if one.peak else None for one in minutes]
    found = []
    for name, values, count in (
        ("in", [one.added / per for one in minutes], total.added),
        ("out", [one.ended / per for one in minutes], total.ended),
    ):
        found.append(_Figure(name, f"{_rate(count / span)}/m" if past else "-", values, _rate))
    known = charts.percent(share) if total.judged else "-"
    trend = charts.trend(failed) if share > 0 else ""
    after = trend if trend in ("worse", "better") else ""
    found.append(_Figure("failed", known, failed, charts.percent, wrong, after))
    now = short(stats.waiting) if stats else "-"
    if not live:
        now = short(charts.highest(waiting)) if any(one is not None for one in waiting) else "-"
    found.append(_Figure("wait", now, waiting, short))
    waits = [one.oldest for one in minutes]
    oldest = stats.oldest_waiting if stats else None
    if not live:
        oldest = int(charts.highest(waits)) or None
    elif past is not None and stats is not None and waits and past.end >= stats.now:
        # The newest sample is what the snapshot shows.
        waits[-1] = max(waits[-1] or 0, oldest or 0)
    if oldest is not None or charts.highest(waits) > 0:
        late = "bold warn" if (oldest or 0) > 600_000 else ""
        found.append(_Figure("oldest", duration(oldest), waits, duration, late))
    return found


def _rate(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 9.95 else short(value)


def _sum(minutes: Sequence[Minute]) -> Minute:
    total = Minute()
    for one in minutes:
        total += one
    return total


def shares(past: Past | None, chosen: dict[Kind, Share], width: int) -> Text:
    """One line of the largest shares, each kind with the key that filters by it; '' without any."""
    known = [one for one in KINDS if past is not None and past.shares.get(one)]
    if not known or past is None:
        return Text()
    text = Text(" ")
    whole = sum(KEYS[one][2] for one in known)
    for one in known:
        key, name, part = KEYS[one]
        room = int((width - 2) * part / whole) - 2
        shown = name if width >= NARROW else BRIEF.get(one, "")
        words = Text().append(key, "key").append(f" {shown}" if shown else "", "dim")
        active = chosen.get(one)
        # The chosen one is always in view.
        listed = past.shares[one]
        first = listed.index(active) if active in listed else 0
        for share in listed[first:]:
            left = room - words.cell_len - 2
            word = Text(f"{charts.percent(share.part)} {safe(share.label, 200)}")
            if left < min(9, word.cell_len):
                break
            word.truncate(left, overflow="crop")
            word.stylize("bold reverse" if share == active else "")
            words.append("  " if "%" in words.plain else " ").append_text(word)
        text.append_text(words).append(" " * max(2, room + 2 - words.cell_len))
    text.rstrip()
    return text
