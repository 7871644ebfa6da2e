"""The verdict: judges the ledger, the jobs in Redis and the blows that were struck."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hsejobs_cli.chaos.plan import OF_CONSUMERS, Blow

#: Seconds after its due time within which a job must begin, if workers run and no blow disrupts them.
LATE = 2.0
#: Seconds after the end of a run within which its outcome may not be in Redis yet.
UNWRITTEN = 1.0
#: A holder that was frozen for more than this part of a lease may have lost it: it renews every third.
MAY_EXPIRE = 0.6
#: The most ids shown of each kind.
SHOWN = 100


@dataclass(slots=True)
class InjectedBlow:
    """A blow that was struck. ``start`` and ``end`` are wall time in s.

    ``group``: the process group that was hit; ``pid``: the process, if only one was; ``next_group``: the
    group of the consumer that replaced it. ``skipped``: why the blow was not struck, or empty.
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
    """One run of a job, as its worker recorded it; ``end`` is None if it was never recorded."""

    job: str
    token: str
    begin: float
    pid: int
    group: int
    end: float | None = None


@dataclass(slots=True)
class Verdict:
    """Numbers and ids. ``repeated``: runs that were necessary because a blow ended the one before.

    ``late``: seconds by job. ``recovered`` and ``drained``: seconds from each blow's end until work
    continued, and until no due job waited any more; None if that was not observed.
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
        """Whether the promise was kept. Late jobs do not count: a busy machine has them too."""
        return not (self.lost or self.doubled or self.failed or self.died)


def judge(
    lines: Iterable[dict[str, Any]],
    completed: set[str],
    failed: set[str],
    injected: list[InjectedBlow],
    lease: float,
    died: int = 0,
) -> Verdict:
    """Judges a complete ledger, given the ids of the jobs that are completed and failed in Redis.

    ``lease`` in s; ``died``: number of consumers that ended without a blow.
    """
    accepted, runs, effects = _parse_ledger(lines)
    outages = [(one.start, one.end) for one in injected if one.blow.blow not in OF_CONSUMERS]
    found = Verdict(accepted=len(accepted), died=died)
    for job in sorted(accepted.keys() | runs.keys()):
        job_runs = runs.get(job, [])
        needless = 0
        for one, after in itertools.pairwise(job_runs):
            if excused(one, after, injected, outages, lease):
                found.repeated += 1
            else:
                needless += 1
        if needless or effects.get(job, 0) > 1:
            found.doubled.append(job)
        if job in failed:
            found.failed.append(job)
        elif job in completed and any(one.end is not None for one in job_runs):
            found.completed += 1
        elif job in accepted:
            found.lost.append(job)
    found.recovered = [_recovered(one, runs) for one in injected]
    found.drained = _drained(injected, accepted, runs)
    disruptions = _disruptions(injected, found, runs)
    for job, due in accepted.items():
        if job in runs and (late := _waited(due, runs[job][0].begin, disruptions)) > LATE:
            found.late[job] = round(late, 2)
    return found


def _parse_ledger(
    lines: Iterable[dict[str, Any]],
) -> tuple[dict[str, float], dict[str, list[Run]], dict[str, int]]:
    """Returns the due time of each accepted job, the runs of each job in order, and its effects."""
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
    for job_runs in runs.values():
        job_runs.sort(key=lambda one: one.begin)
    return accepted, runs, effects


def excused(
    one: Run,
    after: Run,
    injected: list[InjectedBlow],
    outages: list[tuple[float, float]],
    lease: float,
) -> bool:
    """Returns whether the job had to run again after *one*: a blow ended or froze its holder.

    A worker holds a job until its outcome is written: shortly after the job's end, or, if Redis was
    unreachable then, shortly after it is back.
    """
    held_until = float("inf") if one.end is None else one.end + UNWRITTEN
    for start, end in sorted(outages):
        if start <= held_until:
            held_until = max(held_until, end + UNWRITTEN)
    for blow in injected:
        if one.group != blow.group or blow.start > after.begin:
            continue
        hit = one.begin <= blow.end and blow.start <= held_until
        kind = blow.blow.blow
        if hit and (kind == "kill" or (kind == "kill-worker" and one.pid == blow.pid)):
            return True
        if hit and kind == "freeze" and blow.end - blow.start > MAY_EXPIRE * lease:
            return True
    return False


def _recovered(blow: InjectedBlow, runs: dict[str, list[Run]]) -> float | None:
    """Returns the seconds from a blow's end until work has recovered; None if it never did.

    That is, until the jobs that it interrupted have ended; for a blow to all consumers, until the next
    job begins.
    """
    if blow.skipped:
        return None
    if blow.blow.blow not in OF_CONSUMERS:
        began = [
            one.begin for job_runs in runs.values() for one in job_runs if one.begin >= blow.end
        ]
        return round(min(began) - blow.end, 3) if began else None
    last = blow.end
    for job_runs in runs.values():
        # A run that an earlier blow ended has been repeated since.
        before = [one for one in job_runs if one.begin <= blow.start]
        if not before or before[-1].group != blow.group:
            continue
        holder = before[-1]
        had_ended = holder.end is not None and holder.end <= blow.start
        if had_ended or (blow.pid and holder.pid != blow.pid):
            continue
        ends = [one.end for one in job_runs if one.end is not None and one.end >= blow.start]
        if not ends:
            return None
        last = max(last, min(ends))
    return round(last - blow.end, 3)


def _drained(
    injected: list[InjectedBlow], accepted: dict[str, float], runs: dict[str, list[Run]]
) -> list[float | None]:
    """Returns the seconds from each blow's end until no due job waited to begin."""
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
    for blow in injected:
        after = [max(start, blow.end) for start, end in empty if end >= blow.end]
        found.append(None if blow.skipped or not after else round(after[0] - blow.end, 3))
    return found


def _disruptions(
    injected: list[InjectedBlow], found: Verdict, runs: dict[str, list[Run]]
) -> list[tuple[float, float]]:
    """Returns the time spans in which late jobs are excused, merged and in order."""
    first: dict[int, float] = {}
    for one in (one for job_runs in runs.values() for one in job_runs):
        first[one.group] = min(one.begin, first.get(one.group, one.begin))
    spans = []
    for blow, after, drained in zip(injected, found.recovered, found.drained, strict=True):
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


def _waited(due: float, begin: float, disruptions: list[tuple[float, float]]) -> float:
    """Returns the seconds between due time and beginning that lie outside of these spans."""
    inside = sum(max(0.0, min(begin, end) - max(due, start)) for start, end in disruptions)
    return begin - due - inside
