"""Rate limits of tasks: no window of time holds more than the limit, and those that wait keep their order."""

from __future__ import annotations

import threading
import time

import pytest

from hsejobs.store import keys
from tests.store.test_acts import Store
from tests.support import wait_until
from tests.support.waiting import redis_ms

HOUR = 3_600_000_000
BASE = keys.base("t", "q")


@pytest.fixture
def store(redis_url: str) -> Store:
    return Store(redis_url)


def rate(store: Store, nonce: str, limit: int = 2, per_us: int = HOUR, job: str = "") -> int:
    return store.work.rate("r", limit, per_us, nonce, job)


def crowded(begins: list[tuple[float, float]], limit: int, per: float) -> list[float]:
    """The windows that surely hold too many: each begin lies between two times on one clock, in s."""
    begins = sorted(begins)
    spans = [
        max(late for _, late in begins[at : at + limit + 1]) - begins[at][0]
        for at in range(len(begins) - limit)
    ]
    return [span for span in spans if span < per]


def test_no_window_holds_more_with_many_threads(redis_url: str, store: Store) -> None:
    begins: list[tuple[float, float]] = []
    until = time.monotonic() + 2.5

    def ask(number: int) -> None:
        own, n = Store(redis_url), 0
        while time.monotonic() < until:
            n, asked = n + 1, time.monotonic()
            if not rate(own, f"{number}.{n}", 7, 250_000):
                begins.append((asked, time.monotonic()))
        own.redis.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert crowded(begins, 7, 0.25) == []
    # As many as fit into the time, give or take one window: the limit is used.
    assert len(begins) >= 7 * 8
    key = keys.of(BASE, "rate", "r")
    assert store.redis.command("ZCARD", key) <= 7
    wait_until(lambda: not store.redis.command("EXISTS", key), 5, "the key to expire")


def test_the_answer_is_when_the_first_leaves_the_window(store: Store) -> None:
    assert [rate(store, nonce) for nonce in "ab"] == [0, 0]
    assert HOUR - 5_000_000 < rate(store, "c") <= HOUR + 1
    assert rate(store, "d", limit=3) == 0


def test_a_call_that_is_sent_again_counts_once(store: Store) -> None:
    assert [rate(store, "a") for _ in range(3)] == [0, 0, 0]
    assert rate(store, "b") == 0
    assert rate(store, "c") > 0


def test_a_limit_of_nothing(store: Store) -> None:
    assert rate(store, "a", limit=0, per_us=1_000_000) == 1_000_000
    assert store.redis.command("EXISTS", keys.of(BASE, "line", "r")) == 0


def waiting_jobs(store: Store, names: str, **options: object) -> None:
    for name in names:
        store.add(name, **options)
    store.claim(len(names))


def test_jobs_that_wait_come_back_one_window_after_the_other(store: Store) -> None:
    waiting_jobs(store, "abcdef")
    assert [rate(store, n, job=n) for n in "ab"] == [0, 0]
    waits = [rate(store, n, job=n) for n in "cdef"]
    assert [round(wait / HOUR) for wait in waits] == [1, 1, 2, 2]
    assert [round(rate(store, n, job=n) / HOUR) for n in "fc"] == [2, 1], "each keeps its place"


def test_a_newcomer_does_not_take_the_slot_of_one_that_waits(store: Store) -> None:
    waiting_jobs(store, "ab")
    assert rate(store, "a", 1, 150_000, "a") == 0
    wait = rate(store, "b", 1, 150_000, "b")
    waiting_jobs(store, "c")
    time.sleep(wait / 1e6)
    assert rate(store, "program", 1, 150_000) > 0
    assert rate(store, "c", 1, 150_000, "c") > 0
    assert rate(store, "b2", 1, 150_000, "b") == 0


@pytest.mark.parametrize("how", ["cancelled", "removed", "late"])
def test_a_slot_is_not_kept_for_a_job_that_does_not_come(
    store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting_jobs(store, "abc")
    assert rate(store, "a", 1, 100_000, "a") == 0
    wait = rate(store, "b", 1, 100_000, "b")
    if how == "late":
        key = keys.of(BASE, "expected", "r")
        store.redis.command("ZADD", key, redis_ms(store.redis) * 1000, "b")
    else:
        store.redis.command("DEL", keys.of(BASE, "job", "b"))
    if how == "cancelled":
        store.redis.command("HSET", keys.of(BASE, "job", "b"), "st", "f")
    time.sleep(wait / 1e6)
    assert rate(store, "c", 1, 100_000, "c") == 0


def test_the_better_priority_is_first(store: Store) -> None:
    waiting_jobs(store, "abc")
    waiting_jobs(store, "d", priority=1)
    assert rate(store, "a", 1, job="a") == 0
    assert [round(rate(store, n, 1, job=n) / HOUR) for n in "bcdbc"] == [1, 2, 1, 2, 3]


def test_a_clock_that_goes_back_closes_a_rate_for_one_window_only(store: Store) -> None:
    future = (redis_ms(store.redis) + 86_400_000) * 1000
    store.redis.command("ZADD", keys.of(BASE, "rate", "r"), future, "a", future, "b")
    wait = rate(store, "c", 2, 200_000)
    assert 0 < wait <= 200_001
    time.sleep(wait / 1e6)
    assert rate(store, "d", 2, 200_000) == 0
