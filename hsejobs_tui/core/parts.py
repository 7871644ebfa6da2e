"""The shares of a queue's errors, organizations and tasks, and the filters that select their jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from hsejobs.model import JobRecord
from hsejobs.store.history import Range, finest
from hsejobs.store.minutes import Minute
from hsejobs_tui.core.joblist import titled
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.steady import Places, Rank
from hsejobs_tui.core.view import kind, kind_of

Kind = Literal["error", "org", "task"]
KINDS: tuple[Kind, ...] = ("error", "org", "task")
#: Shares kept of each kind.
MOST = 5
#: The placeholders of a normalized error.
_HOLES = re.compile(r"<(?:address|url|id|hex|text|n)>")
#: Characters that end the literal part of an error, as a filter quotes its values.
_UNQUOTABLE = re.compile(r'["\x00-\x1f]')


@dataclass(frozen=True, slots=True)
class Share:
    """One error, organization or task. ``part``: of all in the window, 0 to 1; ``where``: its filter.

    ``count``: of an error, the jobs that failed permanently; else those added, or that ended if none
    was. The same share of a later read is equal.
    """

    kind: Kind
    label: str = field(compare=False)
    count: int = field(compare=False)
    part: float = field(compare=False)
    where: str


@dataclass(frozen=True, slots=True)
class Past:
    """A queue in a window of time: its counters by step, and its shares by kind. ``step`` in ms."""

    start: int
    end: int
    step: int
    minutes: Sequence[Minute]
    shares: dict[Kind, list[Share]]


def read(source: LiveSource, queue: str, start: int, end: int, now: int, within: str = "") -> Past:
    """The past of a queue, from ``start`` to ``end`` in ms. Blocks. Raises RedisUnavailable.

    ``within``: the filter of that time, for the jobs that failed. Its shares are in no order, see `arrange`.
    A session of one organization sees its own counters, and no shares.
    """
    first = start // 60_000
    step = max(1, finest(max(0, now // 60_000 - first)))
    wanted = Range(first // step * step, -(-end // 60_000 // step) * step, step)
    whole = source.past([queue], wanted)
    minutes = [minute for _, minute in whole[0].points] if whole else []
    shares: dict[Kind, list[Share]] = {}
    if source.org is None:
        for by in KINDS:
            shares[by] = _shares(source, queue, wanted, by, within)
    return Past(start, end, step * 60_000, minutes, shares)


def arrange(past: Past, places: Mapping[Kind, Places[str]], about: object) -> None:
    """Puts the shares in the order that follows from the one shown, and keeps the first of each kind."""
    for by, shares in past.shares.items():
        past.shares[by] = places[by].order(shares, lambda one: one.where, _rank, about)[:MOST]


def _rank(one: Share) -> Rank:
    return Rank((), (float(one.count),), (one.where,))


def _shares(source: LiveSource, queue: str, wanted: Range, by: Kind, within: str) -> list[Share]:
    counts: dict[str, int] = {}
    for one in source.past([queue], wanted.whole(), by):
        total = sum(_count(minute, by) for _, minute in one.points)
        if one.name and total:
            counts[one.name] = counts.get(one.name, 0) + total
    whole = sum(counts.values())
    found = [_share(by, name, count, count / whole) for name, count in counts.items()]
    if by == "error" and within:
        # The list shows the jobs that the figure counts, not all that ever failed with the error.
        found = [replace(one, where=f"{one.where} {within}".strip()) for one in found]
    return found


def _count(minute: Minute, by: Kind) -> int:
    # Of errors not the attempts: the list that is limited to a share is one of jobs.
    return minute.failed if by == "error" else minute.added or minute.ended


def _share(by: Kind, name: str, count: int, part: float) -> Share:
    if by == "error":
        code, _, text = name.partition(" ")
        word = kind_of({"code": code, "error": text})
        label = titled(word, text) or word
        return Share(by, label, count, part, of_error(code, text))
    if by == "org":
        return Share(by, name, count, part, f"org={quoted(name)}")
    return Share(by, name.rpartition(".")[2], count, part, f"name={quoted(name)}")


def quoted(value: str) -> str:
    """The value as a filter takes it; a quotation mark in it cannot be written and is left out."""
    plain = _UNQUOTABLE.sub(" ", value)
    return f'"{plain}"' if re.search(r"\s|=|~", plain) or not plain else plain


def of_error(code: str, text: str) -> str:
    """The filter of a group of errors: its code, and the text between the parts that differ."""
    pieces = [piece for hole in _HOLES.split(text) for piece in _UNQUOTABLE.split(hole)]
    literal = [piece.strip() for piece in pieces if len(piece.strip()) > 1]
    words = [f"code={quoted(code)}"] if code else []
    return " ".join([*words, *(f'error~"{piece}"' for piece in literal[:6])])


def of_job(by: Kind, job: JobRecord) -> Share | None:
    """The share that a job itself belongs to, for a session without a history; None if it has none."""
    from hsejobs.error_groups import normalized

    if by == "error":
        if not job.failed_reason:
            return None
        text = normalized(job.failed_reason)
        return Share(by, titled(kind(job), text), 0, 0, of_error(job.code or "", text))
    name = job.organization_id if by == "org" else job.name
    return _share(by, name, 0, 0) if name else None
