"""Writes the demo's history in the form in which consumers record it: counters, records, samples."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence

from hsejobs.error_groups import normalized
from hsejobs.store import keys
from hsejobs.store.history import OLDEST
from hsejobs.store.minutes import BUCKETS_PER_OCTAVE, COUNTERS, Minute
from hsejobs.store.periods import NAMES_TTL, RETENTION, By, Names, Period, book_of, pack, total
from hsejobs_cli.demo.pipe import Pipe
from hsejobs_cli.demo.scene import ORGS, SPAN, Beat, Failing

#: How often times are in the bucket that many away from that of the median.
_SHAPE = {-5: 2, -4: 4, -3: 8, -2: 13, -1: 18, 0: 20, 1: 14, 2: 9, 3: 6, 4: 3, 5: 2, 7: 1}
#: The fields of the counters in a minute's hash.
_FIELDS = {
    "added": "ad",
    "completed": "c",
    "failed": "f",
    "retried": "rt",
    "run_us": "us",
    "wait_us": "wu",
}
#: Minutes for which an organization's own counters are kept.
_ORG_MINUTES = keys.ORG_MINUTE_TTL // 60


def divide(count: int, shares: Mapping[str, float], rng: random.Random) -> dict[str, int]:
    """``count`` divided by shares that add up to 1; what is left goes to anyone."""
    found = {name: int(count * share) for name, share in shares.items()}
    rest = count - sum(found.values())
    for name in rng.choices(list(shares), weights=list(shares.values()), k=rest):
        found[name] += 1
    return {name: number for name, number in found.items() if number}


def shares_of(beat: Beat) -> dict[str, float]:
    """The part of each organization in a minute: that of the named ones, and of all others the same."""
    named = beat.orgs
    others = [one for one in ORGS if one not in named]
    each = (1 - sum(named.values())) / len(others)
    return {**named, **dict.fromkeys(others, each)}


def group_of(kind: Failing) -> str:
    """By which the history counts the failures of a kind."""
    text = kind.text({"to": "a@example.com", "account": "org-001-01", "table": "contacts"})
    return f"{kind.code} {normalized(text)}"


def _bucket(ms: float) -> int:
    return int(BUCKETS_PER_OCTAVE * math.log2(max(0.0, ms * 1000) + 1))


def _histogram(count: int, ms: float, rng: random.Random) -> dict[int, int]:
    if not count:
        return {}
    middle = _bucket(ms)
    shape = {str(at): weight / 100 for at, weight in _SHAPE.items()}
    return {max(0, middle + int(at)): n for at, n in divide(count, shape, rng).items()}


def _counted(counts: Sequence[int], beat: Beat, rng: random.Random) -> Minute:
    """The counters of that many added, completed, failed and retried jobs."""
    added, completed, failed, retried = counts
    ended = completed + failed
    return Minute(
        added=added,
        completed=completed,
        failed=failed,
        retried=retried,
        run_us=int(ended * beat.run * 1000),
        wait_us=int(ended * beat.wait * 1000),
        run=_histogram(ended, beat.run, rng),
        wait=_histogram(ended, beat.wait, rng),
    )


def period_of(beat: Beat, tasks: Mapping[str, float], rng: random.Random) -> Period:
    """A minute of a queue as the history has it. ``tasks``: the part of each, by full name."""
    whole = (beat.added, beat.completed, beat.failed, beat.retried)
    period = Period(_counted(whole, beat, rng))
    # What failed is the first task's.
    main = next(iter(tasks))
    completed = divide(beat.completed, tasks, rng)
    for name, number in divide(beat.added, tasks, rng).items():
        own = (beat.failed, beat.retried) if name == main else (0, 0)
        counts = (number, completed.get(name, 0), *own)
        period.parts[By.TASK][name] = _counted(counts, beat, rng)
    for kind, (failed, retried) in beat.errors.items():
        period.parts[By.ERROR][group_of(kind)] = Minute(failed=failed, retried=retried)
    shares = shares_of(beat)
    parts = [divide(number, shares, rng) for number in whole]
    waiting = divide(beat.depth, shares, rng)
    for org in dict.fromkeys(name for part in (*parts, waiting) for name in part):
        ours = [part.get(org, 0) for part in parts]
        minute = period.parts[By.ORG][org] = _counted(ours, beat, rng)
        if waiting.get(org):
            minute.sampled = minute.peak = (waiting[org], 0, 0)
    period.whole.sampled = period.whole.peak = (beat.depth, beat.busy, 0)
    return period


def oldest_of(beats: Sequence[Beat]) -> int:
    """The ms for which the oldest of the jobs that wait in the last minute has waited: as many came since."""
    left, ms = float(beats[-1].depth), 0.0
    for beat in reversed(beats):
        if left <= 0:
            break
        part = min(1.0, left / beat.added) if beat.added else 1.0
        ms, left = ms + part * 60_000, left - beat.added
    return int(ms)


class Past:
    """The history of one queue. ``now``: the current minute, of which ``passed`` (0 to 1) is over."""

    def __init__(self, pipe: Pipe, base: str, now: int, passed: float) -> None:
        self.pipe, self.base, self.now, self.passed = pipe, base, now, passed
        self._names: dict[int, Names] = {}

    def _key(self, name: str, rest: object = "") -> str:
        return keys.of(self.base, name, str(rest))

    def write(self, beats: Iterable[Beat], tasks: Mapping[str, float], rng: random.Random) -> None:
        """Writes the minutes of a queue, the oldest first."""
        periods: dict[int, Period] = {}
        known: list[Beat] = []
        for beat in beats:
            at = self.now - beat.ago
            known.append(beat)
            if beat.ago:
                periods[at] = period_of(beat, tasks, rng)
                periods[at].whole.oldest = oldest_of(known)
                self._counters(at, periods[at])
            else:
                self._current(beat, tasks, rng)
                key = self._key("sample", self.now)
                self.pipe.add("HSET", key, OLDEST, oldest_of(known))
        for step in RETENTION:
            last = self.now - self.now % step
            first = self.now - SPAN
            for start in range(first + -first % step, last, step):
                found = [periods[at] for at in range(start, start + step) if at in periods]
                self._record(step, start, total(found))
        for number, book in self._names.items():
            words: list[str | int] = ["", book.last]
            for name, at in book.fresh.items():
                words += (name, at)
            self.pipe.add("HSET", self._key("names", number), *words)
            self.pipe.add("EXPIRE", self._key("names", number), NAMES_TTL)
        self.pipe.add("HSET", self._key("history"), "m", self.now - 1, "s", self.now)

    def _record(self, step: int, start: int, period: Period) -> None:
        book = self._names.setdefault(book_of(start), Names({}))
        key = self._key("period", f"{step}:{start}")
        self.pipe.add("SET", key, pack(period.busiest(), book), "EX", RETENTION[step])

    def _counters(self, at: int, period: Period) -> None:
        """The counters of a minute that is in the history; they are kept for the live figures."""
        key = self._key("minute", at)
        words = _words(period.whole)
        for name, minute in period.parts[By.ERROR].items():
            if minute.failed:
                words += (f"fc:{name.partition(' ')[0]}", minute.failed)
        if words:
            self.pipe.add("HSET", key, *words)
            self.pipe.add("EXPIRE", key, keys.MINUTE_TTL)
        for org, minute in period.parts[By.ORG].items():
            self.pipe.add("ZADD", self._key("orgs"), at, org)
            if at >= self.now - _ORG_MINUTES and (words := _words(minute)):
                self.pipe.add("HSET", f"{key}:{org}", *words)
                self.pipe.add("EXPIRE", f"{key}:{org}", keys.ORG_MINUTE_TTL)

    def _current(self, beat: Beat, tasks: Mapping[str, float], rng: random.Random) -> None:
        """The minute that is not over: its tasks' counters are not added up yet."""
        part = Beat(beat.ago, depth=beat.depth, wait=beat.wait, run=beat.run, orgs=beat.orgs)
        for name in ("added", "completed", "failed", "retried"):
            setattr(part, name, int(getattr(beat, name) * self.passed))
        for kind, (failed, retried) in beat.errors.items():
            part.errors[kind] = int(failed * self.passed), int(retried * self.passed)
        period = period_of(part, tasks, rng)
        self._counters(self.now, Period(Minute(), {**period.parts, By.TASK: {}}))
        key = self._key("minute", self.now)
        whole = period.whole
        plain = {"c": whole.completed, "f": whole.failed, "us": whole.run_us, "wu": whole.wait_us}
        words: list[str | int] = ["rt", whole.retried]
        for field, number in plain.items():
            words += (field, number)
        for task, minute in period.parts[By.TASK].items():
            own = {"ad": minute.added, "ft": minute.failed, "tt": minute.retried}
            own["fr"] = minute.failed
            own |= {f"r{at}": n for at, n in minute.run.items()}
            own |= {f"w{at}": n for at, n in minute.wait.items()}
            for field, number in own.items():
                words += (f"{field}|{task}", number)
        self.pipe.add("HSET", key, *words)
        self.pipe.add("EXPIRE", key, keys.RAW_TTL)
        groups = self._key("errorminute", self.now)
        for name, minute in period.parts[By.ERROR].items():
            self.pipe.add("HSET", groups, f"f{name}", minute.failed, f"r{name}", minute.retried)
        self.pipe.add("EXPIRE", groups, keys.RAW_TTL)
        sample = [f"{name}" for name in ("", *period.parts[By.ORG])]
        depths = [period.whole, *period.parts[By.ORG].values()]
        for org, minute in zip(sample, depths, strict=True):
            if minute.sampled is not None:
                text = " ".join(map(str, minute.sampled))
                self.pipe.add("HSET", self._key("sample", self.now), org, text)
        self.pipe.add("EXPIRE", self._key("sample", self.now), keys.ORG_MINUTE_TTL)


def _words(minute: Minute) -> list[str | int]:
    words: list[str | int] = []
    for name in COUNTERS:
        if name in _FIELDS and (number := getattr(minute, name)):
            words += (_FIELDS[name], number)
    for letter, histogram in (("r", minute.run), ("w", minute.wait)):
        for at, number in histogram.items():
            words += (f"{letter}{at}", number)
    return words
