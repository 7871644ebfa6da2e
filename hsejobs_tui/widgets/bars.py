"""The attempts of a job as bars on one time line."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from hsejobs_tui.core.attempts import Attempt
from hsejobs_tui.core.text import clock, duration, safe

#: Attempts drawn: the newest.
MOST = 8
#: What a bar is made of: waited, ran, held back; with and without ASCII.
_MARKS = {"wait": ("░", "."), "run": ("█", "#"), "backoff": ("┄", "-")}


def bars(found: Sequence[Attempt], width: int, *, ascii_only: bool) -> list[Text]:
    """One line for each attempt on one axis, below the axis itself; nothing for no attempt."""
    if not found:
        return []
    shown = found[-MOST:]
    start, end = shown[0].since, max(one.ended for one in shown)
    cells = max(10, min(60, width - 62))
    length = max(1, end - start)

    def at(moment: int) -> int:
        return max(0, min(cells, round((moment - start) / length * cells)))

    lines = []
    for number, one in enumerate(shown):
        first = number == 0 and len(found) == len(shown)
        kind = "wait" if first or (one.began is None and one.outcome == "waiting") else "backoff"
        begun = at(one.began if one.began is not None else one.ended)
        ended = cells if one.ended == end else at(one.ended)
        line = Text(f"   {one.name:>2} ", "dim").append(" " * at(one.since))
        before = max(0, begun - at(one.since))
        run = max(1, ended - begun) if one.began is not None else 0
        if before + run + at(one.since) > cells:
            before = max(0, cells - run - at(one.since))
        line.append(_MARKS[kind][ascii_only] * before, "delay" if kind == "backoff" else "wait")
        line.append(_MARKS["run"][ascii_only] * run, one.color)
        line.append(" " * max(0, cells + 6 - line.cell_len))
        lines.append(line.append_text(_words(one, kind)))
        lines[-1].no_wrap, lines[-1].overflow = True, "crop"
    axis = Text("      ", "dim")
    left, right = clock(start)[11:], clock(end)[11:]
    gap = max(1, cells - len(left) - len(right))
    whole = f"  {duration(length)} in all, UTC"
    axis.append(left + ("-" if ascii_only else "─") * gap + right + whole, "dim")
    if len(found) > len(shown):
        axis.append(f"; the last {MOST} of {len(found)}", "dim")
    return [axis, *lines]


def _words(one: Attempt, kind: str) -> Text:
    waited = (one.began or one.ended) - one.since
    word = "waited" if kind == "wait" else "held"
    if one.began is None and one.outcome in ("due", "waiting"):
        text = Text("  ").append(f"next: {one.outcome}", one.color)
        return text.append(f" {duration(max(0, waited))}", "dim")
    text = Text(f"  {word} {duration(max(0, waited)):>5}", "dim")
    if one.began is not None:
        text.append(f"  ran {duration(max(0, one.ended - one.began)):>5}", "dim")
    text.append("  ").append(safe(one.outcome, 40), one.color)
    if one.where:
        text.append(f"  {one.where}", "dim")
    return text
