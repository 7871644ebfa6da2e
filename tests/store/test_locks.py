"""Locks of tasks in Redis: who gets one, and when it is not kept."""

from __future__ import annotations

import pytest

from hsejobs.model import State
from hsejobs.store import keys
from tests.store.test_acts import Store
from tests.support import wait_until
from tests.support.waiting import redis_ms


@pytest.fixture
def store(redis_url: str, no_leaks: None) -> Store:
    return Store(redis_url)


def test_a_job_that_waited_for_a_lock_and_was_restored_tries_again(store: Store) -> None:
    for job in ("holder", "waiter"):
        store.add(job)
    holder, waiter = store.claim(2)
    assert store.work.lock("l", *holder)
    assert store.work.await_lock(*waiter, "l") == "d"
    store.writer.restore(store.writer.remove("q", "waiter"))
    (again,) = store.claim(1)
    assert again[0] == "waiter"
    assert store.work.lock("l", *again) is False
    assert store.work.await_lock(*again, "l") == "d"
    assert store.work.unlock("l", *holder)
    (again,) = store.claim(1)
    assert store.work.lock("l", *again) is True


def test_a_lock_is_not_kept_for_a_job_of_a_paused_queue(store: Store) -> None:
    for job in ("holder", "waiter"):
        store.add(job)
    holder, waiter = store.claim(2)
    assert store.work.lock("l", *holder)
    assert store.work.await_lock(*waiter, "l") == "d"
    assert store.work.unlock("l", *holder)
    # Outside a job.
    assert store.work.lock("l") is False
    store.writer.pause("q")
    assert store.work.lock("l", ttl_ms=60_000) is True
    store.writer.resume("q")
    (waiter,) = store.claim(1)
    assert store.work.lock("l", *waiter) is False


def test_a_lock_that_expired_goes_to_the_first_that_tries(store: Store) -> None:
    """The first of those that wait is due soon, the others are not."""
    for job in ("holder", "first", "second"):
        store.add(job)
    holder, first, second = store.claim(3)
    assert store.work.lock("l", *holder, 1)
    wait_until(lambda: not store.redis.command("EXISTS", "t:{q}:kv:l"), what="the expiry")
    assert store.work.lock("l", *second)
    assert store.work.await_lock(*first, "l") == "d"
    store.redis.command("DEL", "t:{q}:kv:l")
    due = store.reader.job("q", "first").run_at or 0
    assert due - redis_ms(store.redis) <= keys.LOCK_FIRST_MS
    # A later job does not overtake it.
    store.add("third")
    (third,) = store.claim(1)
    assert store.work.lock("l", *third) is False
    assert store.reader.status("q", "first") is State.WAITING
