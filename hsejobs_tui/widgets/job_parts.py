"""The parts of a job as text: its facts, attempts, errors, history and log; and all of it as one card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hsejobs import codec
from hsejobs.control import why
from hsejobs.model import JobRecord, Relative, State
from hsejobs.wording import counted
from hsejobs_tui.core.attempts import attempts, slot_of
from hsejobs_tui.core.joblist import ran, stands_still, titled, waited, what
from hsejobs_tui.core.text import clock, duration, safe
from hsejobs_tui.core.view import LOOK, kind, timeline, when
from hsejobs_tui.widgets.bars import bars
from hsejobs_tui.widgets.trace import errors

Workers = Sequence[Mapping[str, Any]]
#: Names and values.
Facts = list[tuple[str, str]]
#: Width in cells from which facts stand in two columns, and in three.
TWO, THREE = 76, 150
#: Lines of a payload on a card.
PAYLOAD_LINES = 16


def version(job: JobRecord) -> object:
    """What the parts show of a job's record: unchanged, they need not be drawn again."""
    # A removed job's id may have been added again: version and creation time tell them apart.
    return (
        job.version,
        job.created_at,
        job.attempts_made,
        job.progress,
        job.progress_message,
        job.log_count,
        len(job.errors),
        job.finished_at,
        job.run_at,
        job.cancel is not None,
        job.superseded_by,
        job.why,
    )


def reason(job: JobRecord) -> list[tuple[str, Text]]:
    """What matters first, by name: why it is where it is, its error, what replaced it."""
    found = []
    if job.superseded_by:
        found.append(("superseded", Text(f"by {safe(job.superseded_by, 200)}", "bold warn")))
    if job.why is not None:
        found.append(("why", Text(safe(why.line(job.why), 500), "bold")))
    if job.cancel is not None:
        found.append(("cancel", Text(safe(_cancel(job.cancel), 700), "bold")))
    if job.waits_for:
        found.append(("waits", Text(safe(job.waits_for.removeprefix("waits "), 500), "bold")))
    elif job.failed_reason:
        text = safe(titled(kind(job), job.failed_reason), 500)
        found.append(("error", Text(text, "bold fail")))
    return found


def facts(job: JobRecord, now: int, workers: Workers = ()) -> Facts:
    """The facts of a job, by name; only those that it has."""
    place, still = slot_of(job.id, workers), stands_still(job, now)
    listed: list[tuple[str, object]] = [
        ("task", job.name),
        ("organization", job.organization_id),
        ("user", job.user_id),
        ("worker", place or None),
        ("attempts", f"{job.attempts_made} of {job.attempts}"),
        ("waited", None if waited(job, now) is None else duration(waited(job, now))),
        ("ran", None if ran(job, now) is None else duration(ran(job, now))),
        ("priority", job.priority),
        ("backoff", duration(job.backoff)),
        ("timeout", duration(job.timeout) if job.timeout else None),
        ("stalls", job.stalls or None),
        ("parent", _relative(job.parent, job)),
        ("root", _relative(job.root, job) if job.root != job.parent else None),
        ("request", job.request_id),
        ("added", clock(job.created_at)),
        ("due", clock(job.run_at) if job.run_at else None),
        ("ended", clock(job.finished_at) if job.finished_at else None),
        ("progress", f"{job.progress:.0f}% {job.progress_message or ''}" if job.progress else None),
        ("no progress", None if still is None else f"for {duration(still)}"),
    ]
    return [(name, safe(value, 200)) for name, value in listed if value is not None]


def _relative(one: Relative | None, job: JobRecord) -> str | None:
    """The id of a relative, with its queue if that is another one."""
    if one is None:
        return None
    return one.id if one.queue == job.queue else f"{one.queue} / {one.id}"


def _cancel(cancel: Mapping[str, Any]) -> str:
    by, reason = cancel["by"] or "an unknown user", cancel["reason"]
    return f"requested {clock(cancel['at'])} by {by}{f': {reason}' if reason else ''}"


def _divided(known: Facts, width: int) -> tuple[int, Facts, Facts]:
    """The columns that fit, the facts that are too long for one, and the others."""
    columns = 3 if width >= THREE else 2 if width >= TWO else 1
    room = width // columns - 16
    long = [one for one in known if columns > 1 and cell_len(one[1]) > room]
    return columns, long, [one for one in known if one not in long]


def head_size(first: Sequence[tuple[str, Text]], known: Facts, width: int) -> object:
    """What the height of `head` depends on."""
    columns, long, others = _divided(known, width)
    return first, width, long, others if columns == 1 else [name for name, _ in others]


def head(reasons: Sequence[tuple[str, Text]], known: Facts, width: int) -> Group:
    """What matters first, then the facts in as many columns as fit."""
    first = Table.grid(padding=(0, 1))
    for name, text in reasons:
        first.add_row(Text(f" {name:<12}", "dim"), text)
    columns, long, known = _divided(known, width)
    for name, value in long:
        first.add_row(Text(f" {name:<12}", "dim"), Text(value))
    rows = -(-len(known) // columns)
    table = Table.grid(padding=(0, 1), expand=columns > 1)
    for _ in range(columns):
        table.add_column(no_wrap=True, width=13)
        table.add_column(ratio=1, overflow="fold")
    for at in range(rows):
        cells: list[Text] = []
        for one in known[at::rows]:
            cells += [Text(f" {one[0]:<12}", "dim"), Text(one[1])]
        table.add_row(*cells)
    return Group(first, table)


def course(lines: Sequence[Text]) -> Group:
    """The attempts as bars on one time line."""
    return Group(Text(" Attempts", "bold"), *(Padding(one, 0) for one in lines))


def failures(job: JobRecord, *, whole: bool) -> Group:
    """The errors, newest first, with their tracebacks; nothing without errors."""
    if not job.errors:
        return Group()
    lines = [Padding(text, (0, 1, 0, left)) for left, text in errors(job.errors, whole=whole)]
    return Group(Text("\n Errors, newest first", "bold"), *lines)


def history(job: JobRecord) -> Group:
    """What happened to the job, with the times."""
    table = Table.grid(padding=(0, 2))
    for at, text in timeline(job):
        table.add_row(Text(f"   {at}", "dim"), Text(safe(text)))
    return Group(Text("\n Timeline (UTC)", "bold"), table)


#: What comes before and after a job in the list of its state.
_AROUND = {
    State.WAITING: "in line before and after it",
    State.ACTIVE: "running too",
    State.DELAYED: "due before and after it",
    State.COMPLETED: "completed after and before it",
    State.FAILED: "failed after and before it",
}


def neighbors(
    job: JobRecord, found: Sequence[JobRecord | None], now: int, *, ascii_only: bool
) -> Group:
    """The jobs around this one in its state; nothing if it is the only one."""
    known = [one for one in found if one is not None]
    if not any(one.id != job.id for one in known):
        return Group()
    title = Text().append("\n Around it", "bold").append(f"  {_AROUND[job.status]}", "dim")
    lines = [title]
    for one in known:
        glyph, letter, color = LOOK[one.status]
        line = Text(no_wrap=True, overflow="crop")
        line.append(" > " if one.id == job.id else "   ", "bold")
        line.append(f"{letter if ascii_only else glyph} ", color)
        line.append(f"{safe(one.id, 60):<20} ", "bold" if one.id == job.id else "")
        line.append(f"{safe(one.name.rpartition('.')[2], 20):<16} ", "dim")
        line.append(f"{safe(one.organization_id or '-', 20):<12} {when(one, now):>10}  ", "dim")
        lines.append(line.append(what(one)))
    return Group(*lines)


def log(job: JobRecord, lines: Sequence[str]) -> Group:
    """The last lines of the log."""
    if not lines:
        return Group(Text(" Log", "bold"), Text("   The job has written no lines.", "dim"))
    every = counted(job.log_count, "line")
    title = Text(f" Log, the last {len(lines):,} of {every}", "bold")
    return Group(title, Padding(Text("\n".join(map(safe, lines))), (0, 1, 0, 3)))


def preview(job: JobRecord) -> list[str]:
    """The first lines of the payload. Formats all of it, so call it in a thread."""
    if job.data is None:
        return []
    text = safe(codec.pretty(job.data), 4_000, lines=True).splitlines()
    return text[:PAYLOAD_LINES] + ["..."] * (len(text) > PAYLOAD_LINES)


def card(
    job: JobRecord,
    lines: Sequence[str],
    payload: Sequence[str],
    now: int,
    size: tuple[int, int],
    *,
    ascii_only: bool,
) -> Group:
    """A job in a pane of (columns, rows): what matters, its facts, attempts, payload and log."""
    width, height = size
    glyph, letter, color = LOOK[job.status]
    title = Text(f"{letter if ascii_only else glyph} {job.status}  ", f"bold {color}")
    parts: list[RenderableType] = [title.append(safe(job.id, 80), "bold")]
    parts.append(head(reason(job), facts(job, now), width))
    parts.append(course(bars(attempts(job, now), width, ascii_only=ascii_only)))
    if job.errors:
        parts.append(failures(job, whole=False))
    if payload:
        parts.append(Text("\n Payload", "bold"))
        parts.append(Padding(Text("\n".join(payload)), (0, 0, 0, 3)))
    parts.append(Text())
    parts.append(log(job, lines[-max(5, height // 3) :]))
    return Group(*parts)
