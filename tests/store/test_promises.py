"""Promises of the scripts, each seen to fail when its line is taken out."""

from __future__ import annotations

import json

import pytest
import redis

from hsejobs.model import ERRORS_KEPT
from tests.store.test_acts import Store


@pytest.fixture
def store(redis_url: str, no_leaks: None) -> Store:
    return Store(redis_url)


def test_the_newest_25_errors_are_kept(store: Store) -> None:
    assert ERRORS_KEPT == 25
    store.add("a", attempts=100, backoff=0)
    for attempt in range(1, 31):
        (pair,) = store.claim()
        told = json.dumps({"attempt": attempt, "error": "no"}).encode()
        store.work.fail(*pair, code="error", error=told, run_us=10, final=False, delay_ms=None)
    job = store.reader.job("q", "a")
    assert [error["attempt"] for error in job.errors] == list(range(6, 31))


def test_a_claim_that_leaves_jobs_wakes_the_next_worker(
    store: Store, redis_client: redis.Redis
) -> None:
    for name in "abc":
        store.add(name)
    # The bell is rung once for all three, and whoever hears it takes one.
    assert redis_client.lpop("t:{q}:bell") == b"1"
    assert redis_client.llen("t:{q}:bell") == 0
    for left in (2, 1):
        assert len(store.claim(1)) == 1
        assert (left, redis_client.lpop("t:{q}:bell")) == (left, b"1")
    assert len(store.claim(1)) == 1
    assert redis_client.llen("t:{q}:bell") == 0
