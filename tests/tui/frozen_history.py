"""An hour of constant history: a queue that grows, and fails after a deploy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hsejobs.control.history import History, Series, parse_by, span
from hsejobs.store.audits import AuditEntry
from hsejobs.store.marks import Mark
from hsejobs.store.minutes import Minute, bucket_end_ms

MINUTE = 60_000
#: Organizations and the parts of the running time that each has.
USERS = {"org-007": 45, "org-009": 9, "org-028": 3} | {f"org-{n:03}": 1 for n in range(40, 60)}


def act_mark(at: int, act: str, who: str, queue: str, count: int = 1) -> Mark:
    """The mark of an act, as the history makes it of the audit log."""
    entry = AuditEntry(f"{at}", at, who, "tui", act, queue, count, (), None, None, None)
    return Mark(at, "act", act, who, queue, entry=entry)


def _minute(queue: str, ago: int) -> Minute:
    made = Minute(added=40 - ago % 7, completed=30 + ago % 5, run_us=60_000_000)
    made.run, made.wait = {60: 20, 70: 3}, {40: 9}
    waiting = {"email": max(0, 145_000 - ago * 2_000), "webhooks": 7, "data-exports": 12}.get(
        queue, 0
    )
    if queue == "email" and ago < 12:
        made.failed = 20 - ago
    made.sampled = made.peak = (waiting, 3, 2)
    if queue == "email":
        made.wait = {80 - ago // 4: 9}
    made.oldest = int(bucket_end_ms(max(made.wait)))
    return made


def history(queues: Sequence[str], now: int, *, marked: int | None = None, **given: Any) -> History:
    """The history at ``now``, in ms; ``marked``: the time before which the marks are, ``now`` by default."""
    wanted = span(now, given.get("start"), given.get("end"), given.get("step"))
    by = parse_by(given.get("by"))
    times = range(wanted.start * MINUTE, wanted.end * MINUTE, wanted.step * MINUTE)
    found: list[Series] = []
    for queue in queues:
        points = [(at, _minute(queue, max(0, (now - at) // MINUTE))) for at in times]
        if by is None:
            found.append(Series(queue, None, points))
        elif by.value == "error":
            failed = [(at, Minute(failed=one.failed)) for at, one in points if one.failed]
            found.append(Series(queue, "error KeyError: <text>", failed))
        else:
            parts = sum(USERS.values())
            for org, part in USERS.items():
                shares = [(at, Minute(run_us=one.run_us * part // parts)) for at, one in points]
                found.append(Series(queue, org, shares))
    then = now if marked is None else marked
    marks = [
        act_mark(then - 50 * MINUTE, "pause", "ann", "webhooks"),
        Mark(
            then - 31 * MINUTE,
            "alert",
            "failures: 41 % of jobs failed in 5 minutes",
            "hsejobs",
            "email",
        ),
        Mark(then - 24 * MINUTE, "alert", "failures ended: calm", "hsejobs", "email"),
        Mark(then - 13 * MINUTE, "deploy", "release 4f1c", "hsejobs"),
        act_mark(then - 4 * MINUTE, "retry", "bob", "email", 400),
    ]
    start, end = wanted.start * MINUTE, wanted.end * MINUTE
    shown = [one for one in marks if start <= one.at <= end]
    return History(start, end, wanted.step * MINUTE, by, found, shown)
