"""Reads the history of queues: the stored periods, and the minutes that are not in them yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.errors import InvalidOption
from hsejobs.model import whole_number
from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.minutes import Minute, minute_of, pairs, tasks_of
from hsejobs.store.periods import (
    MOST,
    RETENTION,
    By,
    Names,
    Period,
    activity_of_row,
    book_of,
    minute_of_row,
    rows_of,
    total,
    unpack,
    whole_of,
)

#: Points of one series.
MOST_POINTS = 1_500
#: The field of a sample with the ms for which the oldest job had waited. No organization has that name.
OLDEST = b"\x01oldest"
#: The oldest minute that is not in the history and still has counters, in minutes.
OLDEST_RAW = keys.RAW_TTL // 60


@dataclass(frozen=True, slots=True)
class Range:
    """Whole minutes since the epoch: from ``start`` up to and without ``end``, in steps."""

    start: int
    end: int
    step: int

    def starts(self) -> range:
        """The minutes with which the steps begin."""
        return range(self.start, self.end, self.step)


def finest(age: int) -> int:
    """The shortest period, in minutes, whose records are kept for ``age`` minutes."""
    return next((step for step, kept in RETENTION.items() if age <= kept // 60), max(RETENTION))


class QueueHistory:
    """The history of one queue. All methods raise RedisUnavailable; none writes."""

    def __init__(
        self, client: RedisClient, prefix: str, queue: str, *, patience: float = 3.0
    ) -> None:
        self.redis, self.base, self.patience = client, keys.base(prefix, queue), patience
        self._names: dict[int, Names] = {}

    def read(
        self,
        wanted: Range,
        by: By | None = None,
        org: str | None = None,
        *,
        only: str | None = None,
        brief: bool = False,
    ) -> list[tuple[int, Period]]:
        """A period for each step, with the busiest parts ``by``; with ``org``, that one's part alone.

        ``only``: that part of them. ``brief``: the counters of the parts alone, without their times and
        samples and without the whole. Raises InvalidOption if no records of so short periods are kept
        for so long.
        """
        stats, cursor = self.redis.batch(
            [
                (scripts.STATS, (self.base, "", 0)),
                (None, ("HGET", keys.of(self.base, "history"), "m")),
            ],
            patience=self.patience,
        )
        now = int(stats[9]) // 60_000
        last = int(cursor) if cursor else now - keys.MINUTE_TTL // 60 - 1
        end = min(wanted.end, now + 1)
        records: list[tuple[int, bytes]] = []
        at = wanted.start
        for step in self._coarsest(wanted, now):
            # Only periods that are over and in the history as a whole have records.
            until = min(end, last + 1)
            until -= (until - at) % step
            starts = range(at, until, step)
            records += zip(starts, self._records(step, starts), strict=True)
            at = max(at, until)
        raw = range(max(at, last + 1, now - OLDEST_RAW), end)
        part, name = (by, only) if org is None else (By.ORG, org)
        read = self._unpacked([one for one in records if one[1]], part, name, brief)
        read += zip(raw, self.raw(raw, () if part is None else (part,), org), strict=True)
        return _in_steps(wanted, read)

    def _unpacked(
        self, records: Sequence[tuple[int, bytes]], by: By | None, only: str | None, brief: bool
    ) -> list[tuple[int, Period]]:
        """The periods with the parts of ``by`` that are the busiest of all of them, or that one."""
        if by is None:
            return [(at, Period(whole_of(record))) for at, record in records]
        names = self.names({book_of(at) for at, _ in records})
        rows = [rows_of(record, names[book_of(at)], by) for at, record in records]
        if only is not None:
            chosen = {only}
        else:
            ranks: Counter[str] = Counter()
            for found in rows:
                for name, row in found.items():
                    ranks[name] += activity_of_row(row, by)
            chosen = {name for name, _ in ranks.most_common(MOST)}
        read: list[tuple[int, Period]] = []
        for (at, record), found in zip(records, rows, strict=True):
            period = Period() if brief or only is not None else Period(whole_of(record))
            period.parts[by] = {
                name: minute_of_row(row, by, brief=brief)
                for name, row in found.items()
                if name in chosen
            }
            read.append((at, period))
        return read

    def _coarsest(self, wanted: Range, now: int) -> Iterable[int]:
        """The periods to read, the coarsest first: finer ones only for what is not over yet."""
        fits = [step for step in RETENTION if wanted.step % step == 0]
        kept = [step for step in fits if now - wanted.start <= RETENTION[step] // 60 + step]
        if not kept:
            shortest = finest(now - wanted.start)
            raise InvalidOption(
                "step",
                f"must be a multiple of {shortest} minutes for times this long ago",
            )
        return reversed([step for step in RETENTION if step <= kept[-1]])

    def _batch(self, calls: Sequence[Sequence[scripts.Arg]]) -> list[Any]:
        if not calls:
            return []
        return self.redis.batch([(None, words) for words in calls], patience=self.patience)

    def _key(self, name: str, rest: object = "") -> str:
        return keys.of(self.base, name, str(rest))

    def names(self, books: Iterable[int], *, again: bool = False) -> dict[int, Names]:
        """These books of names; ``again``: also those that were read before."""
        missing = sorted({book for book in books if again or book not in self._names})
        replies = self._batch([("HGETALL", self._key("names", book)) for book in missing])
        self._names.update(
            {book: Names(pairs(one)) for book, one in zip(missing, replies, strict=True)}
        )
        return self._names

    def _records(self, step: int, starts: Sequence[int]) -> list[bytes]:
        """The records of ``step`` minutes that begin then; empty where there is none."""
        if not starts:
            return []
        [found] = self._batch([("MGET", *(self._key("period", f"{step}:{at}") for at in starts))])
        return [one or b"" for one in found]

    def stored(self, step: int, starts: Sequence[int]) -> list[Period]:
        """The whole periods of ``step`` minutes that begin then; empty ones without a record."""
        names = self.names({book_of(at) for at in starts})
        records = zip(starts, self._records(step, starts), strict=True)
        return [unpack(record, names[book_of(at)]) for at, record in records]

    def raw(
        self, minutes: Sequence[int], only: Sequence[By] = tuple(By), org: str | None = None
    ) -> list[Period]:
        """The periods of minutes that are not in the history yet, from their counters."""
        calls: list[Sequence[scripts.Arg]] = []
        for at in minutes:
            calls += [
                ("HGETALL", self._key(name, at))
                for name in ("minute", "errorminute", "busiest", "sample")
            ]
        replies = [pairs(one) for one in self._batch(calls)]
        found: list[Period] = []
        asked: list[tuple[Period, int, str, bytes]] = []
        for index, at in enumerate(minutes):
            counters, errors, busiest, samples = replies[4 * index : 4 * index + 4]
            period = Period()
            whole_depth, oldest = samples.pop(b"", b""), samples.pop(OLDEST, b"")
            if org is None:
                period.whole = minute_of(counters)
                _set_depth(period.whole, whole_depth)
                period.whole.oldest = whole_number(oldest) if oldest else None
                period.parts[By.TASK] = tasks_of(counters)
                period.parts[By.ERROR] = _groups(errors)
            found.append(period)
            orgs = [one.decode() for one in (*busiest, *samples) if one]
            if org is not None:
                orgs = [org]
            elif By.ORG not in only:
                orgs = []
            asked += [
                (period, at, one, samples.get(one.encode(), b"")) for one in dict.fromkeys(orgs)
            ]
        counted = self._batch(
            [("HGETALL", self._key("minute", f"{at}:{o}")) for _, at, o, _ in asked]
        )
        for (period, _, name, depth), reply in zip(asked, counted, strict=True):
            minute = minute_of(pairs(reply))
            _set_depth(minute, depth)
            if minute != Minute():
                period.parts[By.ORG][name] = minute
        return found


def _in_steps(wanted: Range, read: Iterable[tuple[int, Period]]) -> list[tuple[int, Period]]:
    """The periods of each step, added up."""
    steps: dict[int, list[Period]] = {at: [] for at in wanted.starts()}
    for at, period in read:
        start = wanted.start + (at - wanted.start) // wanted.step * wanted.step
        if start in steps:
            steps[start].append(period)
    return [(at, found[0] if len(found) == 1 else total(found)) for at, found in steps.items()]


def _set_depth(minute: Minute, text: bytes) -> None:
    numbers = text.split()
    if len(numbers) == 3:
        waiting, active, delayed = map(int, numbers)
        minute.sampled = minute.peak = (waiting, active, delayed)


def _groups(flat: dict[bytes, bytes]) -> dict[str, Minute]:
    """The failures and retries of a minute by group: ``code`` and text, '' for those beyond the limit."""
    found: dict[str, Minute] = {}
    for name, value in flat.items():
        kind, group = name[:1], name[1:].decode("utf-8", "replace")
        if kind in (b"f", b"r"):
            minute = found.setdefault(group, Minute())
            if kind == b"f":
                minute.failed += int(value)
            else:
                minute.retried += int(value)
    return found
