"""Reads the history of queues: the stored periods, and the minutes that are not in them yet."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
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
    Row,
    activities,
    book_of,
    minute_of_row,
    rest_of,
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
#: Records that are read at once.
_AT_ONCE = 250
_DAY = max(RETENTION)


@dataclass(frozen=True, slots=True)
class Range:
    """Whole minutes since the epoch: from ``start`` up to and without ``end``, in steps.

    ``edges``: where its steps begin, multiples of ``step``, if they are not all of its length.
    """

    start: int
    end: int
    step: int
    edges: tuple[int, ...] = ()

    def starts(self) -> Sequence[int]:
        """The minutes with which the steps begin."""
        return self.edges or range(self.start, self.end, self.step)

    def whole(self) -> Range:
        """The same minutes as one step."""
        return replace(self, edges=(self.start,))


def finest(age: int) -> int:
    """The shortest period, in minutes, whose records are kept for ``age`` minutes."""
    return next((step for step, kept in RETENTION.items() if age <= kept // 60), 60)


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
        whole: bool = True,
    ) -> list[tuple[int, Period]]:
        """A period for each step, with the busiest parts ``by``; with ``org``, that one's part alone.

        ``only``: that part of them. ``brief``: the counters of the parts alone, without their times and
        samples. ``whole``: with the queue's own counters, also if it is divided. Raises InvalidOption if
        no records of so short periods are kept for so long.
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
        places = list(_cover(wanted, _longest(wanted, now), min(end, last + 1)))
        records = self._records_or_hours(places)
        at = places[-1][1] + places[-1][0] if places else wanted.start
        raw = range(max(at, last + 1, now - OLDEST_RAW), end)
        part, name = (by, only) if org is None else (By.ORG, org)
        if part is None:
            read = [(at, Period(whole_of(record))) for at, record in records]
        else:
            read = self._divided(records, part, name, brief, whole and name is None)
        read += zip(raw, self.raw(raw, () if part is None else (part,), org), strict=True)
        return _in_steps(wanted, read)

    def _divided(
        self,
        records: Sequence[tuple[int, bytes]],
        by: By,
        only: str | None,
        brief: bool,
        whole: bool,
    ) -> list[tuple[int, Period]]:
        """The periods with the parts of ``by`` that are the busiest of all of them, or that one."""
        names = self.names({book_of(at) for at, _ in records})
        read = [(at, record, rows_of(record, by)) for at, record in records]
        chosen = _chosen(names, ((at, rows) for at, _, rows in read), by, only)
        periods: list[tuple[int, Period]] = []
        for at, record, rows in read:
            period, named = Period(), chosen[book_of(at)]
            if whole:
                period.whole = whole_of(record)
            rest: Sequence[Row | None] = [None] * len(rows)
            if not brief and any(row[0] in named for row in rows):
                rest = rest_of(record, by, len(rows))
            period.parts[by] = {
                named[row[0]]: minute_of_row(row, by, more)
                for row, more in zip(rows, rest, strict=True)
                if row[0] in named
            }
            periods.append((at, period))
        return periods

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

    def _records_or_hours(self, places: Sequence[tuple[int, int]]) -> list[tuple[int, bytes]]:
        """The records of these periods, each ``(minutes, start)``, in order; of a day without one, its hours.

        A release that knew no records of days may have made those of its hours.
        """
        found = dict(zip(places, self._records(places), strict=True))
        days = [at for step, at in places if step == _DAY and not found[step, at]]
        hours = [(60, at) for day in days for at in range(day, day + _DAY, 60)]
        found |= dict(zip(hours, self._records(hours), strict=True))
        read = [(at, record) for (_, at), record in found.items() if record]
        return sorted(read, key=itemgetter(0)) if hours else read

    def _records(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """The records of these periods, each ``(minutes, start)``; empty where there is none."""
        names = [self._key("period", f"{step}:{at}") for step, at in places]
        found: list[bytes] = []
        for first in range(0, len(names), _AT_ONCE):
            [part] = self._batch([("MGET", *names[first : first + _AT_ONCE])])
            found += [one or b"" for one in part]
        return found

    def stored(self, step: int, starts: Sequence[int]) -> list[Period]:
        """The whole periods of ``step`` minutes that begin then; empty ones without a record."""
        names = self.names({book_of(at) for at in starts})
        records = zip(starts, self._records([(step, at) for at in starts]), strict=True)
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


def _longest(wanted: Range, now: int) -> int:
    """The longest period to read. Raises InvalidOption."""
    fits = [step for step in RETENTION if wanted.step % step == 0]
    kept = [step for step in fits if now - wanted.start <= RETENTION[step] // 60 + step]
    if not kept:
        shortest = finest(now - wanted.start)
        raise InvalidOption(
            "step",
            f"must be a multiple of {shortest} minutes for times this long ago",
        )
    # Longer periods are kept for longer, and steps of other lengths may contain them.
    return _DAY if wanted.edges else kept[-1]


def _cover(wanted: Range, longest: int, until: int) -> Iterator[tuple[int, int]]:
    """The periods to read, each ``(minutes, start)``, in order: of each step the longest that it contains.

    ``until``: only periods that are over and in the history as a whole have records.
    """
    lengths = [step for step in reversed(RETENTION) if step <= longest]
    starts = wanted.starts()
    for at, end in zip(starts, [*starts[1:], wanted.end], strict=True):
        end = min(end, until)
        while at < end:
            step = next((one for one in lengths if at % one == 0 and at + one <= end), 0)
            if not step:
                return
            yield step, at
            at += step


def _chosen(
    names: Mapping[int, Names],
    read: Iterable[tuple[int, Sequence[Row]]],
    by: By,
    only: str | None,
) -> dict[int, dict[int, str]]:
    """By book, the names by their numbers: of the parts that are the busiest of all, or of that one."""
    named = {book: of.named(by) for book, of in names.items()}
    if only is None:
        counted: dict[int, Counter[int]] = {book: Counter() for book in names}
        for at, rows in read:
            counted[book_of(at)].update(activities(rows, by))
        ranks: Counter[str] = Counter()
        for book, found in counted.items():
            for number, us in found.items():
                if number in named[book]:
                    ranks[named[book][number]] += us
        chosen = {name for name, _ in ranks.most_common(MOST)}
    else:
        chosen = {only}
    return {
        book: {number: name for number, name in found.items() if name in chosen}
        for book, found in named.items()
    }


def _in_steps(wanted: Range, read: Iterable[tuple[int, Period]]) -> list[tuple[int, Period]]:
    """The periods of each step, added up."""
    starts = wanted.starts()
    steps: list[list[Period]] = [[] for _ in starts]
    for at, period in read:
        if wanted.start <= at < wanted.end:
            steps[bisect_right(starts, at) - 1].append(period)
    return [
        (at, found[0] if len(found) == 1 else total(found))
        for at, found in zip(starts, steps, strict=True)
    ]


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
