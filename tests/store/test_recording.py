"""The history of a queue: what minutes count, and how they become its records, once each."""

from __future__ import annotations

import random
from typing import Any

import pytest
import redis

from hsejobs.model import State
from hsejobs.store import keys, totals
from hsejobs.store.history import OLDEST, QueueHistory, Range
from hsejobs.store.minutes import minute_of, pairs
from hsejobs.store.periods import RETENTION, By, Names, Period, minute_of_row, unpack
from hsejobs.store.recording import Recorder
from hsejobs.store.tenants import Tenants
from tests.store.test_acts import Store
from tests.support.waiting import redis_ms

BASE = "t:{q}:"


class Clock:
    """Minutes of the past, which end when a test says so: what was counted since then is theirs."""

    def __init__(self, store: Store, client: redis.Redis, minutes: int = 120) -> None:
        self.client = client
        self.real = redis_ms(store.redis) // 60_000
        self.start = self.now = self.real - minutes
        client.hset(BASE + "history", "m", self.now - 1)

    def end_minute(self) -> None:
        found: Any = self.client.keys(f"{BASE}m*:*")
        for key in found:
            kind, minute, *org = key.decode().removeprefix(BASE).split(":", 2)
            if int(minute) >= self.real:
                to = ":".join([BASE + kind, str(self.now), *org])
                if self.client.exists(to):
                    for field, value in self.client.hgetall(key).items():
                        self.client.hincrby(to, field, int(value))
                    self.client.delete(key)
                else:
                    self.client.rename(key, to)
        self.now += 1


def recorded(client: redis.Redis, step: int, start: int) -> Period | None:
    record = client.get(f"{BASE}h:{step}:{start}")
    flat: Any = client.hgetall(f"{BASE}hn:{start // keys.NAMES_MINUTES}")
    return unpack(record, Names(pairs(flat))) if isinstance(record, bytes) else None


@pytest.fixture
def store(redis_url: str, no_leaks: None) -> Store:
    return Store(redis_url)


@pytest.fixture
def recorder(store: Store) -> Recorder:
    return Recorder(store.redis, "t", "q", patience=1)


def test_a_minute_by_queue_task_error_and_organization(
    store: Store, recorder: Recorder, redis_client: redis.Redis
) -> None:
    clock = Clock(store, redis_client)
    assert recorder.sample(clock.now)
    assert not recorder.sample(clock.now)
    for number in range(5):
        store.add(f"j{number}", organization_id="one" if number else None, attempts=2)
    first, second, third, *rest = store.claim(5)
    store.done(first, us=3_000)
    store.fail(second, group="no answer after <n> s")
    store.fail(third, final=False, group="no answer after <n> s")
    store.work.release(rest)
    store.writer.remove("q", rest[0][0])
    clock.end_minute()
    recorder.sample(clock.now)
    clock.end_minute()
    assert recorder.run() <= 60

    found = recorded(redis_client, 1, clock.start)
    assert found is not None
    whole = found.whole
    assert (whole.added, whole.completed, whole.failed, whole.retried, whole.removed) == (
        5,
        1,
        1,
        1,
        1,
    )
    assert sum(whole.wait.values()) == 5
    assert sum(whole.run.values()) == 2
    assert whole.run_us == 3_010
    assert whole.sampled == (0, 0, 0)
    task = found.parts[By.TASK]["m.task"]
    assert (task.added, task.completed, task.failed, task.retried) == (5, 1, 1, 1)
    assert task.run == whole.run
    assert task.wait == whole.wait
    assert {name: (one.failed, one.retried) for name, one in found.parts[By.ERROR].items()} == {
        "error no answer after <n> s": (1, 1)
    }
    later = recorded(redis_client, 1, clock.start + 1)
    assert later is not None
    assert later.whole.sampled == (1, 0, 1)
    assert later.parts[By.ORG]["one"].sampled == (1, 0, 1)
    # What programs of other releases read.
    counted: Any = redis_client.hgetall(f"{BASE}m:{clock.start}")
    assert counted[b"ad"] == b"5"
    assert not [name for name in counted if b"|" in name]
    assert minute_of(counted).run == whole.run
    totals = redis_client.hgetall(BASE + "totals")
    assert (totals[b"ad"], totals[b"c"], totals[b"fc:error"], totals[b"rt"]) == (
        b"5",
        b"1",
        b"1",
        b"1",
    )
    assert 0 < redis_client.ttl(f"{BASE}m:{clock.start}") <= keys.MINUTE_TTL


@pytest.mark.parametrize("removed", [False, True])
def test_obliterate_loses_nothing_of_its_minute(
    store: Store, recorder: Recorder, redis_client: redis.Redis, removed: bool
) -> None:
    clock = Clock(store, redis_client)
    for number in range(4):
        store.add(f"j{number}", organization_id="one" if number else "two")
    store.done(store.claim(1)[0], us=3_000)
    if removed:
        store.writer.remove("q", "j3")
    store.writer.obliterate("q")
    clock.end_minute()
    store.work.sweep(3)
    recorder.run()
    period = recorded(redis_client, 1, clock.start)
    assert period is not None
    parts = period.parts[By.ORG]
    assert {org: (one.added, one.removed) for org, one in parts.items()} == {
        "one": (3, 3),
        "two": (1, 1),
    }
    assert (period.whole.added, period.whole.removed) == (4, 4)


def test_minutes_become_ten_and_hours_once_with_several_recorders(
    store: Store, recorder: Recorder, redis_client: redis.Redis
) -> None:
    clock = Clock(store, redis_client, minutes=150)
    others = [Recorder(store.redis, "t", "q", patience=1) for _ in range(2)]
    for number in range(100):
        recorder.sample(clock.now)
        store.add(f"j{number}")
        clock.end_minute()
    until = clock.start + 99
    cursor = clock.start - 1
    # All read the same minutes; then each writes what it made of them.
    while cursor < until:
        moved = [one._step(cursor, until) for one in (recorder, *others)]
        assert len(set(moved)) == 1
        cursor = moved[0]
    assert redis_client.hget(BASE + "totals", "ad") == b"100"
    for step in RETENTION:
        starts = range(clock.start - clock.start % step, until + 1, step)
        found = {at: recorded(redis_client, step, at) for at in starts}
        for at, period in found.items():
            inside = [m for m in range(at, at + step) if clock.start <= m <= until]
            if at + step > until + 1:
                assert period is None
                continue
            assert period is not None
            assert period.whole.added == len(inside)
            depth = inside[-1] - clock.start
            assert period.whole.sampled == period.whole.peak == (depth, 0, 0)
            key = f"{BASE}h:{step}:{at}"
            assert 0 < redis_client.ttl(key) <= RETENTION[step]


def test_a_recorder_that_was_away_for_hours_goes_on(
    store: Store, recorder: Recorder, redis_client: redis.Redis
) -> None:
    clock = Clock(store, redis_client, minutes=40 * 60)
    store.add("early")
    clock.end_minute()
    clock.now += 39 * 60
    store.add("late")
    clock.end_minute()
    while recorder.run() < 1:
        pass
    assert redis_client.hget(BASE + "totals", "ad") == b"2"
    hour = clock.start - clock.start % 60
    found = recorded(redis_client, 60, hour)
    assert found is not None
    assert found.whole.added == 1
    assert recorded(redis_client, 60, hour + 60) is None
    ten = clock.start + 1 + 39 * 60
    late = recorded(redis_client, 10, ten - ten % 10)
    assert late is not None
    assert late.whole.added == 1


def test_the_oldest_wait_is_sampled_and_periods_keep_the_longest(
    store: Store, recorder: Recorder, redis_client: redis.Redis
) -> None:
    clock = Clock(store, redis_client, minutes=150)
    clock.start += -clock.start % 10
    clock.now = clock.start
    redis_client.hset(BASE + "history", "m", clock.now - 1)
    for number in range(10):
        if number in (3, 5):
            store.add(f"j{number}", priority=number)
            ago = 90_500 if number == 3 else 4_000
            redis_client.hset(f"{BASE}j:j{number}", "ws", redis_ms(store.redis) - ago)
        if number == 8:
            store.writer.remove("q", "j3")
        recorder.sample(clock.now)
        if number == 9:
            # The sample of a release that did not take it.
            assert redis_client.hdel(f"{BASE}ms:{clock.now}", OLDEST) == 1
        clock.end_minute()
    raw = QueueHistory(store.redis, "t", "q").read(Range(clock.start, clock.now, 1))
    recorder._step(clock.start - 1, clock.now - 1)
    wanted = Range(clock.start, clock.now, 1)
    found = [period.whole.oldest for _, period in QueueHistory(store.redis, "t", "q").read(wanted)]
    assert found[:3] == [0, 0, 0]
    assert all(one is not None and 91_000 <= one <= 100_000 for one in found[3:8])
    assert found[8] is not None
    assert 4_000 <= found[8] <= 20_000
    assert found[9] is None
    # Whole seconds, rounded up.
    exact = [period.whole.oldest for _, period in raw]
    assert [one if one is None else -(-one // 1000) * 1000 for one in exact] == found
    ten = recorded(redis_client, 10, clock.start)
    assert ten is not None
    assert ten.whole.oldest == max(one or 0 for one in found)
    assert ten.whole.sampled == (1, 0, 0)
    store.writer.drain("q")


@pytest.mark.parametrize("samples", [[3, 1, 0], [3, 1, 0, 5, 1, 0]])
def test_a_record_of_a_release_without_the_oldest_wait(samples: list[int]) -> None:
    whole = minute_of_row([0, 1], By.TASK, [[], [], *samples])
    assert (whole.sampled, whole.peak) == ((3, 1, 0), tuple(samples[-3:]))
    assert whole.oldest is None
    assert minute_of_row([0, 1], By.TASK, [[], [], *samples, 91]).oldest == 91_000


def _random_act(rng: random.Random, store: Store, number: int) -> None:
    """One of an hour's acts, on whatever there is."""
    claims = store.claim(rng.randrange(1, 4)) if rng.random() < 0.6 else []
    for pair in claims:
        chance = rng.random()
        if chance < 0.4:
            store.done(pair)
        elif chance < 0.7:
            store.fail(pair, final=chance < 0.55)
        elif chance < 0.85:
            store.work.release([pair])
    org = rng.choice([None, "one", "two"])
    act = rng.randrange(9)
    if act < 4:
        for at in range(rng.randrange(1, 6)):
            delay = rng.choice([0, 0, 0, 60_000])
            store.add(f"j{number}-{at}", organization_id=org, delay=delay)
        return
    state = rng.choice([State.WAITING, State.DELAYED, State.FAILED, State.COMPLETED])
    found = store.reader.page("q", state, limit=5).jobs
    if act == 4 and state is State.FAILED:
        for job in found:
            store.writer.retry("q", job.id)
    elif act == 5 and found:
        removed = store.writer.remove("q", found[0].id)
        if rng.random() < 0.7:
            store.writer.restore(removed)
    elif act == 6:
        store.writer.clean("q", state, 0, limit=3)
    elif act == 7 and rng.random() < 0.3:
        store.writer.drain("q")
    elif act == 8 and rng.random() < 0.2:
        store.writer.obliterate("q", force=True)


@pytest.mark.parametrize("seed", [1, 2])
def test_sampled_depth_is_the_counted_one_at_every_minute(
    store: Store, recorder: Recorder, redis_client: redis.Redis, seed: int
) -> None:
    """After adds, retries, removals, restores, cleans, drains and obliterates."""
    rng = random.Random(seed)
    clock = Clock(store, redis_client, minutes=90)
    counted: dict[int, tuple[int, ...]] = {}
    added, before = 0, 0
    for number in range(60):
        recorder.sample(clock.now)
        counted[clock.now] = tuple(store.counts()[:3])
        for turn in range(6):
            _random_act(rng, store, 10 * number + turn)
        clock.end_minute()
        if number % 7 == 6:
            cursor = int(redis_client.hget(BASE + "history", "m") or 0)
            while cursor < clock.now - 1:
                cursor = recorder._step(cursor, clock.now - 1)
        [sums] = totals.read(store.redis, "t", ["q"])
        assert sums.counters.added >= added
        assert sum(sums.counters.wait.values()) >= before
        added, before = sums.counters.added, sum(sums.counters.wait.values())
    while recorder.run() < 1:
        pass
    last = clock.now - 1
    wanted = Range(clock.start, clock.now, 1)
    points = QueueHistory(store.redis, "t", "q").read(wanted)
    assert {at: period.whole.sampled for at, period in points} == counted
    assert sum(period.whole.added for _, period in points) == added > 0
    assert sum(period.whole.removed for _, period in points) > 0
    tens = QueueHistory(store.redis, "t", "q").read(
        Range(clock.start - clock.start % 10, last + 1, 10), By.ORG
    )
    assert sum(period.whole.added for _, period in tens) == added
    [sums] = totals.read(store.redis, "t", ["q"])
    assert sums.counters.added == added
    assert sum(sums.failed.values()) == sums.counters.failed
    if redis_client.exists(f"{BASE}waiting"):
        store.writer.obliterate("q", force=True)


def test_an_erased_organization_leaves_the_history(
    store: Store, recorder: Recorder, redis_client: redis.Redis
) -> None:
    clock = Clock(store, redis_client)
    for _ in range(20):
        store.add(f"j{clock.now}", organization_id="one")
        recorder.sample(clock.now + 1)
        clock.end_minute()
    while recorder.run() < 1:
        pass
    wanted = Range(clock.start, clock.now, 1)

    def read() -> list[str]:
        found = QueueHistory(store.redis, "t", "q").read(wanted, By.ORG)
        return [name for _, period in found for name in period.parts[By.ORG]]

    assert "one" in read()
    tenants = Tenants(store.redis, "t")
    assert sum(found.entries for found in tenants.walk("one")) > 0
    for state in State:
        store.writer.clean("q", state, 0, organization_id="one") if state != "active" else None
    tenants.forget_entries("q", "one")
    assert read() == []
    assert not [
        key
        for key in redis_client.hgetall(f"{BASE}hn:{clock.start // keys.NAMES_MINUTES}")
        if key == b"oone"
    ]
