"""A history of weeks is read from the longest records that suffice, and is what its hours add up to."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
import redis

from hsejobs.control import history
from hsejobs.control.actors import Actor
from hsejobs.store import keys
from hsejobs.store.client import RedisClient
from hsejobs.store.history import QueueHistory, Range
from hsejobs.store.minutes import COUNTERS, Minute
from hsejobs.store.periods import MOST, By, Names, Period, book_of, pack, total
from hsejobs.store.recording import Recorder
from tests.support.waiting import redis_ms

BASE = keys.base("t", "q")
DAY, HOUR = 1_440, 60
#: Days of hours; a book of names begins among them.
DAYS = 12
NAMES = {By.TASK: 3, By.ERROR: 4, By.ORG: 5}


class Hours:
    """A queue with hours of history, and days and tens as recorders make them."""

    def __init__(self, client: RedisClient, rng: random.Random, days: int = DAYS) -> None:
        self.redis, self.now = client, redis_ms(client) // 60_000
        self.last = self.now - self.now % HOUR - 1
        self.books: dict[int, Names] = {}
        self.hours: dict[int, Period] = {}
        first = self.now - self.now % DAY - days * DAY
        for at in range(first, self.last, HOUR):
            if rng.random() < 0.9:
                self.hours[at] = _hour(rng)
                self.write(HOUR, at, self.hours[at])
        for at in range(first, self.now - self.now % DAY, DAY):
            self.write(DAY, at, total(self.inside(at, at + DAY)))
        self.flush()
        client.command("HSET", keys.of(BASE, "history"), "m", self.last)

    def write(self, step: int, at: int, period: Period) -> None:
        if not period.empty:
            names = self.books.setdefault(book_of(at), Names({}))
            self.redis.command("SET", f"{BASE}h:{step}:{at}", pack(period, names))

    def flush(self) -> None:
        """Writes the names."""
        for number, names in self.books.items():
            words: list[str | int] = ["", names.last]
            for name, at in names.fresh.items():
                words += (name, at)
            self.redis.command("HSET", keys.of(BASE, "names", str(number)), *words)

    def inside(self, first: int, end: int) -> list[Period]:
        return [one for at, one in sorted(self.hours.items()) if first <= at < end]


def _hour(rng: random.Random) -> Period:
    period = Period(_minute(rng, sampled=True))
    for by, count in NAMES.items():
        for name in rng.sample(range(count), rng.randrange(count)):
            period.parts[by][f"{by}-{name}"] = _minute(rng, sampled=by is By.ORG)
    return period


def _minute(rng: random.Random, *, sampled: bool) -> Minute:
    minute = Minute()
    for name in COUNTERS:
        setattr(minute, name, rng.randrange(50))
    minute.run_us, minute.wait_us = 1_000 * rng.randrange(100), 0
    # The last of an octave, as organizations have it.
    minute.run = {4 * bucket + 3: rng.randrange(1, 9) for bucket in rng.sample(range(20), 3)}
    minute.wait = {4 * bucket + 3: rng.randrange(1, 9) for bucket in rng.sample(range(20), 2)}
    if sampled:
        minute.sampled, minute.peak = (rng.randrange(9), 1, 2), (9, 9, rng.randrange(9))
    return minute


@pytest.fixture
def hours(redis_url: str) -> Hours:
    return Hours(RedisClient(redis_url), random.Random(5))


def added_up(periods: Iterable[Period], by: By | None) -> Any:
    found = Period()
    for one in periods:
        found += one
    return found.whole if by is None else found.parts[by]


@pytest.mark.parametrize("by", [None, *By])
@pytest.mark.parametrize("days", ["with days", "without days", "with some days"])
def test_any_span_is_what_its_hours_add_up_to(
    by: By | None, days: str, hours: Hours, redis_client: redis.Redis
) -> None:
    rng = random.Random(7)
    for key in sorted(redis_client.keys(f"{BASE}h:{DAY}:*")):
        if days == "without days" or (days == "with some days" and rng.random() < 0.5):
            redis_client.delete(key)
    places = sorted(rng.sample(range(min(hours.hours) // HOUR, hours.now // HOUR), 6))
    first, *edges, last = [place * HOUR for place in places]
    reader = QueueHistory(hours.redis, "t", "q")
    for wanted in (
        Range(first, last, HOUR),
        Range(first, last, HOUR).whole(),
        Range(first, last, HOUR, (first, *edges)),
        Range(first - first % DAY, last - last % DAY + DAY, DAY),
        Range(first - first % (6 * HOUR), last, 6 * HOUR),
    ):
        ends = [*wanted.starts()[1:], wanted.end]
        found = reader.read(wanted, by, whole=by is None)
        assert [at for at, _ in found] == list(wanted.starts())
        for (at, period), end in zip(found, ends, strict=True):
            read = period.whole if by is None else period.parts[by]
            assert read == added_up(hours.inside(at, end), by), (at, end, wanted)


@pytest.mark.parametrize("by", By)
def test_a_brief_history_and_one_part_are_those_of_the_whole(by: By, hours: Hours) -> None:
    reader = QueueHistory(hours.redis, "t", "q")
    wanted = Range(min(hours.hours), hours.last + 1, HOUR)
    whole = dict(reader.read(wanted, by))
    for at, period in reader.read(wanted, by, brief=True, whole=False):
        for name, minute in whole[at].parts[by].items():
            minute.run, minute.wait, minute.sampled, minute.peak = {}, {}, None, None
            assert period.parts[by][name] == minute
        assert period.parts[by].keys() == whole[at].parts[by].keys()
        assert period.whole == Minute()
    name = f"{by}-1"
    whole = dict(reader.read(wanted, by))
    for at, period in reader.read(wanted, by, only=name):
        parts = whole[at].parts[by]
        assert period.parts[by] == ({name: parts[name]} if name in parts else {})


def test_the_busiest_are_those_of_the_whole_time(redis_url: str) -> None:
    client, rng = RedisClient(redis_url), random.Random(3)
    hours = Hours(client, rng, days=0)
    hours.hours.clear()
    counts = Counter[str]()
    for number in range(4):
        at = hours.last + 1 - (4 - number) * HOUR
        period = hours.hours[at] = Period()
        for name in rng.sample(range(90), MOST):
            count = rng.randrange(1, 1_000_000)
            period.parts[By.ORG][f"o{name}"] = Minute(added=count)
            counts[f"o{name}"] += count
        hours.write(HOUR, at, period)
    hours.flush()
    wanted = Range(min(hours.hours), hours.last + 1, HOUR)
    most = {name for name, _ in counts.most_common(MOST)}
    for way in (wanted, wanted.whole()):
        read = QueueHistory(client, "t", "q").read(way, By.ORG, whole=False)
        found = Counter[str]()
        for _, period in read:
            found.update({name: one.added for name, one in period.parts[By.ORG].items()})
        assert found == {name: counts[name] for name in most}


def test_records_are_read_in_calls_of_bounded_size(
    hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    batch = hours.redis.batch

    def counting(calls: Sequence[Any], **options: Any) -> Any:
        sizes.extend(len(words) - 1 for _, words in calls if words[0] == "MGET")
        return batch(calls, **options)

    monkeypatch.setattr(hours.redis, "batch", counting)
    days = Range(hours.now - hours.now % DAY - DAYS * DAY, hours.now, HOUR)
    QueueHistory(hours.redis, "t", "q").read(days, By.ORG)
    assert len(sizes) > 1
    assert max(sizes) <= 250
    sizes.clear()
    QueueHistory(hours.redis, "t", "q").read(days.whole(), By.ORG)
    assert sum(sizes) < DAYS + 24 + 10 + 60 + 60


def test_the_sums_of_a_divided_history_are_those_of_its_points(hours: Hours) -> None:
    now = history.now(hours.redis, "t")
    for text in ("5d", "11d"):
        wanted = history.span(now, text)

        def read(wanted: Range, *, brief: bool) -> dict[str | None, Minute]:
            found = history.read(
                hours.redis, "t", ["q"], wanted, Actor("cli"), by="org", marks=False, brief=brief
            )
            sums: dict[str | None, Minute] = {}
            for series in found.series:
                total = sums.setdefault(series.name, Minute())
                for _, minute in series.points:
                    minute.run, minute.wait, minute.sampled, minute.peak = {}, {}, None, None
                    total += minute
            return sums

        assert read(wanted, brief=False) == read(wanted.whole(), brief=True) != {}


def test_the_steps_of_many_parts_are_longer_unless_given() -> None:
    now = 1_800_000_000_000
    assert history.span(now, "3h", divided=8).step == 1
    assert history.span(now, "24h", divided=6).step == 10
    assert history.span(now, "48h", divided=6).step == 60
    assert history.span(now, "30d", divided=1).step == 60
    assert history.span(now, "30d", divided=6).step == DAY
    assert history.span(now, "30d", divided=500).step == DAY
    assert history.span(now, "30d", step="1h", divided=6).step == 60
    assert history.span(now, "30d").step == 60


def test_a_day_is_recorded_once_it_is_over(hours: Hours, redis_client: redis.Redis) -> None:
    """Its last minutes come with the record of their hour and of the day."""
    midnight = hours.now - hours.now % DAY
    late = midnight - HOUR
    redis_client.delete(f"{BASE}h:{DAY}:{midnight - DAY}", f"{BASE}h:{HOUR}:{late}")
    tens = [_hour(random.Random(number)) for number in range(5)]
    for number, period in enumerate(tens):
        hours.write(10, late + 10 * number, period)
    hours.flush()
    redis_client.hset(keys.of(BASE, "history"), "m", midnight - 11)
    recorder = Recorder(hours.redis, "t", "q", patience=1)
    assert recorder._step(midnight - 11, midnight - 1) == midnight - 1
    [(_, day)] = QueueHistory(hours.redis, "t", "q").read(
        Range(midnight - DAY, midnight, DAY), By.ORG
    )
    hours.hours[late] = total(tens)
    assert day.whole == added_up(hours.inside(midnight - DAY, midnight), None)
    assert day.parts[By.ORG] == added_up(hours.inside(midnight - DAY, midnight), By.ORG)
    assert redis_client.exists(f"{BASE}h:{DAY}:{midnight - DAY}")
    assert 0 < redis_client.ttl(f"{BASE}h:{DAY}:{midnight - DAY}") <= 30 * 86_400


@pytest.mark.parametrize("by", [None, *By])
def test_a_document_in_pieces_is_the_whole_one(by: By | None, hours: Hours) -> None:
    wanted = history.span(history.now(hours.redis, "t"), "3d", step="1h")
    found = history.read(hours.redis, "t", ["q"], wanted, Actor("cli"), by=by)
    assert found.series
    assert json.loads(b"".join(found.pieces())) == found.public()
