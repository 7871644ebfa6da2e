"""The verdict: what follows from the ledger, from Redis and from the blows that fell."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hsejobs_cli.chaos.plan import OF_CONSUMERS, Blow

#: Seconds after its due time in which a job must begin while somebody works and nothing is hurt.
LATE = 2.0
#: Seconds after its end in which a job's outcome may still be on its way to Redis.
UNWRITTEN = 1.0
#: A holder that was frozen for more than this part of a lease may have lost it: it renews at thirds.
MAY_EXPIRE = 0.6
#: Ids shown of each kind.
SHOWN = 100


@dataclass(slots=True)
class Struck:
    """A blow that fell. ``start`` and ``end`` are wall time in s.

    ``group``: the process group that was hit, ``pid`` the one process; ``next_group`` that of the
    consumer in its place. ``skipped``: why it did not fall.
    """

    blow: Blow
    start: float
    end: float = 0.0
    group: int = 0
    pid: int = 0
    next_group: int = 0
    skipped: str = ""


@dataclass(slots=True)
class Run:
    """One run of a job as its worker wrote it down; ``end`` is None when it never came to it."""

    job: str
    token: str
    begin: float
    pid: int
    group: int
    end: float | None = None


@dataclass(slots=True)
class Verdict:
    """Numbers and ids. ``repeated``: runs that had to be done again, as a blow ended the one before.

    ``late``: seconds by job. ``recovered`` and ``drained``: seconds from each blow's end until work
    went on, and until nothing that was due waited any more; None when that was not seen.
    """

    accepted: int = 0
    completed: int = 0
    repeated: int = 0
    failed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=dict)
    recovered: list[float | None] = field(default_factory=list)
    drained: list[float | None] = field(default_factory=list)
    died: int = 0

    @property
    def ok(self) -> bool:
        """Whether the promise was kept: lateness is told, but a busy machine is late too."""
        return not (self.lost or self.doubled or self.failed or self.died)


def judge(
    lines: Iterable[dict[str, Any]],
    completed: set[str],
    failed: set[str],
    struck: list[Struck],
    lease: float,
    died: int = 0,
) -> Verdict:
    """The verdict on a whole ledger, given the ids that Redis has as completed and as failed.

    ``lease`` in s; ``died``: consumers that ended without a blow.
    """
    accepted, runs, effects = _taken_apart(lines)
    outages = [(one.start, one.end) for one in struck if one.blow.blow not in OF_CONSUMERS]
    found = Verdict(accepted=len(accepted), died=died)
    for job in sorted(accepted.keys() | runs.keys()):
        mine = runs.get(job, [])
        needless = 0
        for one, after in itertools.pairwise(mine):
            if excused(one, after, struck, outages, lease):
                found.repeated += 1
            else:
                needless += 1
        if needless or effects.get(job, 0) > 1:
            found.doubled.append(job)
        if job in failed:
            found.failed.append(job)
        elif job in completed and any(one.end is not None for one in mine):
            found.completed += 1
        elif job in accepted:
            found.lost.append(job)
    found.recovered = [_recovered(one, runs) for one in struck]
    found.drained = _drained(struck, accepted, runs)
    trouble = _trouble(struck, found, runs)
    for job, due in accepted.items():
        if job in runs and (late := _waited(due, runs[job][0].begin, trouble)) > LATE:
            found.late[job] = round(late, 2)
    return found


def _taken_apart(
    lines: Iterable[dict[str, Any]],
) -> tuple[dict[str, float], dict[str, list[Run]], dict[str, int]]:
    """When each accepted job was due, its runs in the order of their beginnings, its effects."""
    accepted: dict[str, float] = {}
    runs: dict[str, list[Run]] = {}
    effects: dict[str, int] = {}
    by_token: dict[tuple[str, str], list[Run]] = {}
    for line in lines:
        job = line["job"]
        if line["what"] == "accepted":
            accepted[job] = line["due"]
        elif line["what"] == "effect":
            effects[job] = effects.get(job, 0) + 1
        elif line["what"] == "begin":
            one = Run(job, line["run"], line["t"], line["pid"], line["group"])
            runs.setdefault(job, []).append(one)
            by_token.setdefault((job, one.token), []).append(one)
        else:
            by_token[job, line["run"]][-1].end = line["t"]
    for mine in runs.values():
        mine.sort(key=lambda one: one.begin)
    return accepted, runs, effects


def excused(
    one: Run, after: Run, struck: list[Struck], outages: list[tuple[float, float]], lease: float
) -> bool:
    """Whether the job had to be run again after *one*: a blow ended or froze its holder.

    A holder holds a job until its outcome is written: a moment after the job's end, or, when Redis
    was away by then, a moment after that.
    """
    held = float("inf") if one.end is None else one.end + UNWRITTEN
    for start, end in sorted(outages):
        if start <= held:
            held = max(held, end + UNWRITTEN)
    for blow in struck:
        if one.group != blow.group or blow.start > after.begin:
            continue
        hit = one.begin <= blow.end and blow.start <= held
        kind = blow.blow.blow
        if hit and (kind == "kill" or (kind == "kill-worker" and one.pid == blow.pid)):
            return True
        if hit and kind == "freeze" and blow.end - blow.start > MAY_EXPIRE * lease:
            return True
    return False


def _recovered(blow: Struck, runs: dict[str, list[Run]]) -> float | None:
    """Seconds from a blow's end until all is as before.

    That is, until the jobs that it interrupted have ended; of a blow that hit everybody, until a
    job begins.
    """
    if blow.skipped:
        return None
    if blow.blow.blow not in OF_CONSUMERS:
        began = [one.begin for mine in runs.values() for one in mine if one.begin >= blow.end]
        return round(min(began) - blow.end, 3) if began else None
    last = blow.end
    for mine in runs.values():
        # One that an earlier blow ended has been run again since.
        before = [one for one in mine if one.begin <= blow.start]
        if not before or before[-1].group != blow.group:
            continue
        held = before[-1]
        over = held.end is not None and held.end <= blow.start
        if over or (blow.pid and held.pid != blow.pid):
            continue
        ends = [one.end for one in mine if one.end is not None and one.end >= blow.start]
        if not ends:
            return None
        last = max(last, min(ends))
    return round(last - blow.end, 3)


def _drained(
    struck: list[Struck], accepted: dict[str, float], runs: dict[str, list[Run]]
) -> list[float | None]:
    """Seconds from each blow's end until no job was due that had not begun."""
    changes: list[tuple[float, int]] = []
    for job, due in accepted.items():
        if job in runs and runs[job][0].begin > due:
            changes += [(due, 1), (runs[job][0].begin, -1)]
    waiting, empty = 0, [(0.0, 0.0)]
    for when, change in sorted(changes):
        if not waiting:
            empty[-1] = (empty[-1][0], when)
        waiting += change
        if not waiting:
            empty.append((when, float("inf")))
    found: list[float | None] = []
    for blow in struck:
        after = [max(start, blow.end) for start, end in empty if end >= blow.end]
        found.append(None if blow.skipped or not after else round(after[0] - blow.end, 3))
    return found


def _trouble(
    struck: list[Struck], found: Verdict, runs: dict[str, list[Run]]
) -> list[tuple[float, float]]:
    """The times in which lateness has a reason, apart from each other and in order."""
    first: dict[int, float] = {}
    for one in (one for mine in runs.values() for one in mine):
        first[one.group] = min(one.begin, first.get(one.group, one.begin))
    spans = []
    for blow, after, drained in zip(struck, found.recovered, found.drained, strict=True):
        if not blow.skipped:
            until = blow.end + max(after or 0.0, drained or 0.0)
            spans.append((blow.start, max(until, first.get(blow.next_group, until))))
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _waited(due: float, begin: float, trouble: list[tuple[float, float]]) -> float:
    """Seconds between the two that lie in no trouble."""
    inside = sum(max(0.0, min(begin, end) - max(due, start)) for start, end in trouble)
    return begin - due - inside
