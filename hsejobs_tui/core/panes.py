"""The panes below the queues: what to do, who uses the workers, and what changed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from hsejobs.control.act_words import Words, acts_together
from hsejobs.wording import counted
from hsejobs_tui.core.alerts import HOLDS, STYLES, Alert
from hsejobs_tui.core.causes import Burst, Causes, Filler
from hsejobs_tui.core.charts import Line, bar, line_chart, moment_text, percent, time_axis
from hsejobs_tui.core.overview import MARKS, Figure, QueueView
from hsejobs_tui.core.past import Past
from hsejobs_tui.core.text import duration, fitted, one_line, safe

if TYPE_CHECKING:
    from hsejobs.store.marks import Mark

#: Marks of what changed, and in ASCII.
_SIGNS = {"deploy": ("▲", "^", "note"), "act": ("•", "*", ""), "alert": ("!", "!", "warn")}

#: The width from which there are three charts.
THREE_CHARTS = 160
#: Organizations that are listed on their own.
MOST_USERS = 16


#: A title, its lines, and the width of both.
Block = tuple[str, Sequence[Line], int]


class Advice(NamedTuple):
    """A queue in trouble: what is wrong, why, and what to do."""

    level: str
    what: str
    why: str
    todo: str
    #: Its further alerts.
    also: str = ""

    @property
    def mark(self) -> str:
        return MARKS.get(self.level, "-")

    @property
    def style(self) -> str:
        return STYLES.get(self.level, "")


def advice(
    found: Sequence[Alert],
    views: Sequence[QueueView],
    causes: Causes,
    *,
    live: bool,
    may_pause: bool = True,
) -> list[Advice]:
    """One for each queue with an alert or held jobs, in the order of their trouble.

    ``live``: the window ends now, so that the errors in it are causes of the alerts.
    """
    order = {one.name: place for place, one in enumerate(views)}
    by_name = {one.name: one for one in views}
    # Alerts about Redis itself come first: they concern all queues.
    ranked = sorted(
        found, key=lambda one: (list(STYLES).index(one.level), order.get(one.queue, -1))
    )
    made: dict[str, Advice] = {}
    for one in ranked:
        view, what = by_name.get(one.queue), one.what
        if one.rule == "paused" and view is not None and view.paused:
            what = one.what.replace("paused", view.paused, 1)
        first = made.get(one.queue)
        if first is None:
            why = "; ".join(_why(one, causes, live=live))
            todo = safe(one.todo) if one.rule not in HOLDS or may_pause else ""
            made[one.queue] = Advice(one.level, safe(f"{one.queue}: {what}"), why, todo)
        else:
            told = safe(what if one.cause in ("", first.why) else f"{what}: {one.cause}")
            also = f"{first.also}; {told}" if first.also else told
            made[one.queue] = first._replace(also=also)
    for view in views:
        if view.name not in made and (odd := _odd(view.name, causes)):
            # A job that cost its workers has failed by now, or waits; what runs too long is still there.
            where = "see the workers (3)" if view.name in causes.slow else "see the failures (2)"
            made[view.name] = Advice("note", safe(f"{view.name}: {odd}"), "", where)
        if view.held and view.level not in MARKS:
            why, what = _hosts(causes, view.name), safe(f"{view.name}: {view.held}")
            made.setdefault(view.name, Advice("note", what, why, "see the circuits (6)"))
    return list(made.values())


def _hosts(causes: Causes, queue: str) -> str:
    """The servers whose circuits hold jobs of the queue, as far as the session may see them."""
    known = {one.name: one.host for one in causes.circuits}
    # Organizations have circuits of their own for the same host.
    names = list(dict.fromkeys(known[one] for one in causes.held[queue].circuits if one in known))
    return safe(
        ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else ""), 120
    )


def _odd(queue: str, causes: Causes) -> str:
    """What is odd about the running jobs of a queue, long before anything has waited for long."""
    found = []
    if (slow := causes.slow.get(queue)) is not None:
        jobs = f"{slow.jobs} jobs run" if slow.jobs > 1 else "a job runs"
        found.append(
            f"{jobs} for {duration(slow.longest)}, nearly all within {duration(slow.usual)}"
        )
    if lost := causes.lost.get(queue):
        found.append(f"jobs lost their worker {lost} times in 5 minutes")
    return "; ".join(found)


def _why(alert: Alert, causes: Causes, *, live: bool) -> list[str]:
    queue, found = alert.queue, [safe(alert.cause)] if alert.cause else []
    if live and (burst := causes.bursts.get(queue)) is not None and burst.recent:
        found.append(_burst(burst))
    if (filler := causes.fillers.get(queue)) is not None:
        found.append(_filler(filler))
    if (held := causes.held.get(queue)) is not None and held.jobs:
        found.append(f"{held.jobs} held by the circuit of {_hosts(causes, queue)}")
    if odd := _odd(queue, causes):
        found.append(odd)
    return found


def _burst(one: Burst) -> str:
    code, _, text = one.error.partition(" ")
    error = text if code == "error" and text else f"{code} {text}".strip()
    since = f"since {moment_text(one.since)} " if one.since is not None else ""
    new = f", new after {safe(one.deploy.text, 40)}" if one.deploy is not None else ""
    return f"{since}{one_line(error, 90)}, {counted(one.failures, 'failure')}{new}"


def _filler(one: Filler) -> str:
    task = safe(".".join(one.task.split(".")[-2:]), 40)
    if one.organization is not None:
        return f"{one.jobs} of {one.slots} slots run {safe(one.organization, 40)}: {task}"
    return f"all {one.slots} slots are busy: {one.jobs} run {task}"


def advice_lines(
    found: Sequence[Advice], width: int, rows: int, *, keys: Sequence[str] = ()
) -> list[Line]:
    """At most ``rows`` lines: all in full if they fit, else what and why in one line each."""
    if not found:
        return [[(" No alerts.", "ok")]][:rows]
    whole = [line for one in found for line in _in_full(one, width)]
    if len(whole) + bool(keys) <= rows:
        return [*whole, *([_keys(keys, width)] if keys else [])]
    lines: list[Line] = []
    for place, one in enumerate(found):
        left = rows - len(lines)
        after = len(found) - place - 1
        # The worst are in full as long as each of the others has a line.
        full = _in_full(one, width)
        if len(full) + min(after, 2) + bool(after > 2) <= left:
            lines += full
        elif left > 1 or not after:
            lines.append(_in_one(one))
        if len(lines) >= rows - 1 and after:
            lines.append([(f" and {after} more: 5", "dim")])
            break
    return lines[:rows]


def _keys(keys: Sequence[str], width: int) -> Line:
    """As many of the keys as fit."""
    text = ""
    for one in keys:
        if len(text) + len(one) + 3 < width:
            text += f"   {one}" if text else f" {one}"
    return [(text, "dim")]


def _in_full(one: Advice, width: int) -> list[Line]:
    room = max(12, width - 5)
    lines: list[Line] = []
    # What and what to do share a line if they fit.
    if not one.why + one.also and len(one.what) + len(one.todo) + 2 <= room:
        text = f"{one.what}; " if one.todo else one.what
        return [[(f" {one.mark:<2} ", one.style), (text, one.style), (one.todo, "")]]
    for n, text in enumerate(textwrap.wrap(one.what, room)):
        lines.append([(f" {one.mark if not n else '':<2} ", one.style), (text, one.style)])
    also = f"also: {one.also}" if one.also else ""
    rest = "; ".join(text for text in (one.why, one.todo, also) if text)
    return [*lines, *([("    ", ""), (text, "")] for text in textwrap.wrap(rest, room))]


def _in_one(one: Advice) -> Line:
    why = f": {one.why}" if one.why else f"; {one.todo}" if one.todo else ""
    return [(f" {one.mark:<2} ", one.style), (one.what, one.style), (why, "")]


def user_lines(
    users: Sequence[tuple[str, float]], width: int, rows: int, *, ascii_only: bool
) -> list[Line]:
    """Organizations with their share of the running time; those that do not fit in one line."""
    if not users:
        return [[(" nothing ran", "dim")]][:rows]
    rows = min(rows, MOST_USERS)
    shown = users if len(users) <= rows else users[: max(0, rows - 1)]
    names = max(4, min(width - 14, max((len(safe(name, 60)) for name, _ in shown), default=4)))
    lines: list[Line] = []
    top = max((share for _, share in users), default=1) or 1
    for name, share in shown:
        cells = max(1, width - names - 8)
        text = safe(name, names)[:names]
        lines.append(
            [
                (f" {text:<{names}} ", ""),
                (f"{percent(share):>5} ", "bold warn" if share >= 0.4 else ""),
                (bar(share, top, cells, ascii_only=ascii_only), "chart run"),
            ]
        )
    if len(shown) < len(users):
        rest = sum(share for _, share in users[len(shown) :])
        more = f"{len(users) - len(shown)} more"
        lines.append([(f" {more:<{names}} {percent(rest):>5}", "dim")])
    return lines


def change_lines(
    past: Past, bursts: dict[str, Burst], width: int, rows: int, *, ascii_only: bool
) -> list[Line]:
    """What changed in the window, newest first: deploys, acts, alerts, and errors that began.

    An act of a person is one line, on however many queues it was; it is shortened to ``width`` where it
    has names, so that what was done is never what is cut off.
    """
    span = past.end - past.start
    room = width - len(moment_text(past.start, span)) - 4
    entries = [
        (one.at, *_change(one, act, room, ascii_only=ascii_only))
        for one, act in acts_together(past.marks)
    ]
    for queue, one in bursts.items():
        if one.since is not None:
            name = one.error.partition(" ")[2] or one.error
            text = f"{queue}: {one_line(name, 40)} began, {one.failures:,} so far"
            entries.append((one.since, "x" if ascii_only else "✗", "fail", safe(text)))
    if not entries:
        return [[(" nothing", "dim")]][:rows]
    entries.sort(key=lambda one: -one[0])
    return [
        [(f" {moment_text(at, span)} ", "dim"), (f"{sign} ", style), (text, style)]
        for at, sign, style, text in entries[:rows]
    ]


def _change(one: Mark, act: Words | None, room: int, *, ascii_only: bool) -> tuple[str, str, str]:
    sign, plain, style = _SIGNS.get(one.kind, ("-", "-", ""))
    if act is not None:
        return (
            plain if ascii_only else sign,
            style,
            fitted(act.parts(), room, ascii_only=ascii_only),
        )
    about = f"{one.queue}: " if one.queue else ""
    if one.kind == "alert":
        rule, _, rest = one.text.partition(": ")
        if rule.endswith(" ended"):
            return ("+" if ascii_only else "✓"), "ok", safe(f"{about}{rule}")
        return plain if ascii_only else sign, style, safe(f"{about}{rest or rule}")
    return plain if ascii_only else sign, style, safe(f"{about}{one.text}")


def chart_lines(
    found: Sequence[Figure], past: Past, width: int, rows: int, *, ascii_only: bool
) -> list[Line]:
    """What came, what failed and what waited, all queues together, each with its own scale."""
    figures = {one.label: one for one in found}
    shown = [("failed share", "failed", "fail"), ("jobs waiting", "wait", "wait")]
    if width >= THREE_CHARTS:
        shown.insert(0, ("jobs added per minute", "in", "run"))
    deploys = [(one.at, "^" if ascii_only else "▲") for one in past.marks if one.kind == "deploy"]
    blocks: list[Block] = []
    for title, label, style in shown:
        wide, one = width // len(shown), figures[label]
        room = wide - 12
        drawn = line_chart(
            [(one.values, f"chart {style}")], room, rows - 2, scale=one.scale, ascii_only=ascii_only
        )
        indent = len(drawn[0][0][0]) + 1
        axis = time_axis(past.start, past.end, room, deploys, ascii_only=ascii_only)
        lines = [[(" ", ""), *line] for line in drawn]
        blocks.append((title, [*lines, [(" " * indent, ""), (axis, "dim")]], wide))
    return side_by_side(blocks, rows - 1, ascii_only=ascii_only)


def widths(width: int, count: int) -> list[int]:
    """The widths of the panes: the most for what to do."""
    if count == 1:
        return [width]
    if count == 2:
        return [width - width // 2, width // 2]
    rest = width - width * 2 // 5
    return [width * 2 // 5, rest * 2 // 5, rest - rest * 2 // 5]


def side_by_side(blocks: Sequence[Block], rows: int, *, ascii_only: bool) -> list[Line]:
    """Blocks beside each other: a line of titles, and ``rows`` lines."""
    rule = "-" if ascii_only else "─"
    head: Line = []
    for title, _, width in blocks:
        text = f" {rule * 2} {title} "
        head.append(
            (text[:width] + rule * (width - len(text) - 1) + " " * (width > len(text)), "dim")
        )
    lines = [head]
    for row in range(rows):
        line: Line = []
        for _, block, width in blocks:
            line += cut(block[row] if row < len(block) else [], width, ascii_only=ascii_only)
        lines.append(line)
    return lines


def cut(line: Line, width: int, *, ascii_only: bool) -> Line:
    """The line, exactly ``width`` characters wide; the last cell stays free."""
    found: Line = []
    left = width - 1
    for text, style in line:
        if len(text) > left:
            if left > 0:
                found.append((text[: left - 1] + (text[left - 1] if ascii_only else "…"), style))
            left = 0
            break
        found.append((text, style))
        left -= len(text)
    return [*found, (" " * (left + 1), "")]
