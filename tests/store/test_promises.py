"""Promises of the scripts; each test fails without its line of code."""

from __future__ import annotations

import json

import pytest
import redis

from hsejobs.errors import JobNotFound, RedisUnavailable
from hsejobs.model import ERRORS_KEPT, State
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.tenants import Tenants
from hsejobs.store.work import Done
from hsejobs.store.write import JobWriter, NewJob
from tests.store.test_acts import Store
from tests.support.server import Server


def new_job(job_id: str) -> NewJob:
    return NewJob(job_id, "m.task", b"{}", 3, 1, 0, 0, nonce="n")


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


def test_attempts_are_total_tries(store: Store) -> None:
    """Counted when a worker claims; after the last one the job has failed."""
    store.add("a", attempts=2, backoff=0)
    for attempt, letter in ((1, "d"), (2, "f")):
        (claim,) = store.work.step([], 1, f"t{attempt}", 30_000)[1]
        assert claim.attempt == attempt
        assert store.reader.job("q", "a").attempts_made == attempt
        assert store.fail((claim.id, claim.token), final=False) == letter


@pytest.mark.parametrize("how", ["postpone", "release", "stall"])
def test_what_is_given_back_uses_no_attempt(store: Store, how: str) -> None:
    store.add("a", attempts=5, backoff=0)
    store.fail(store.claim()[0], final=False)
    ((job, token),) = store.claim()
    assert store.reader.job("q", "a").attempts_made == 2
    if how == "postpone":
        assert store.work.postpone(job, token, 1_000)[0] == "d"
    elif how == "release":
        assert store.work.release([(job, token)]) == 1
    else:
        assert store.work.stall([(job, token)], 5) == ["waiting"]
    assert store.reader.job("q", "a").attempts_made == 1


def test_what_is_sent_again_is_done_once(store: Store) -> None:
    assert [store.add("a"), store.add("a")] == [True, True]
    assert not store.writer.add("q", new_job("a")._replace(nonce="another")).created
    ((job, token),) = store.claim()
    for _ in range(2):
        assert store.work.log(job, token, ["one", "two"], 0)
    assert store.work.log(job, token, ["two", "three"], 1)
    assert store.reader.logs("q", job) == (["one", "two", "three"], 3)


def test_a_stalled_job_is_not_claimed_with_those_before_it(store: Store) -> None:
    for name, priority in (("first", 1), ("stalled", 2), ("last", 3)):
        store.add(name, priority=priority)
    taken = dict(store.claim(3, lease=0))
    assert store.work.stall([("stalled", taken["stalled"])], 5) == ["waiting"]
    assert store.work.release([(name, taken[name]) for name in ("first", "last")]) == 2
    assert [job for job, _ in store.claim(3)] == ["first"]
    assert [job for job, _ in store.claim(3)] == ["stalled"]
    assert [job for job, _ in store.claim(3)] == ["last"]


def test_a_claim_that_leaves_jobs_wakes_the_next_worker(
    store: Store, redis_client: redis.Redis
) -> None:
    for name in "abc":
        store.add(name)
    # The bell is rung once for all three, and the worker that hears it takes one.
    assert redis_client.lpop("t:{q}:bell") == b"1"
    assert redis_client.llen("t:{q}:bell") == 0
    for left in (2, 1):
        assert len(store.claim(1)) == 1
        assert (left, redis_client.lpop("t:{q}:bell")) == (left, b"1")
    assert len(store.claim(1)) == 1
    assert redis_client.llen("t:{q}:bell") == 0


@pytest.mark.parametrize("how", ["complete", "fail", "postpone"])
def test_a_late_outcome_counts_while_no_other_worker_has_the_job(store: Store, how: str) -> None:
    store.add("a")
    ((job, token),) = store.claim(1, lease=0)
    if how == "complete":
        assert store.work.step([Done(job, token, 5, b"1")], 0, "none", 0)[0] == "c"
    elif how == "fail":
        assert store.fail((job, token)) == "f"
    else:
        assert store.work.postpone(job, token, 1000)[0] == "d"
    assert store.counts()[1] == 0


def test_an_outcome_that_comes_after_the_next_claim_does_not(store: Store) -> None:
    store.add("a")
    ((job, token),) = store.claim(1, lease=0)
    assert dict(store.work.sweep(5).stalled) == {"a": "waiting"}
    ((_, fresh),) = store.claim(1)
    assert fresh != token
    assert store.work.step([Done(job, token, 5, b"1")], 0, "none", 0)[0] == "r"
    assert store.fail((job, token)) == "r"
    assert not store.work.progress(job, token, 5, "late")
    assert not store.work.log(job, token, ["late"])
    record = store.reader.job("q", "a")
    assert (record.result, record.progress, record.log_count) == (None, 0, 0)
    assert not record.errors
    assert store.work.step([Done(job, fresh, 5, b"2")], 0, "none", 0)[0] == "c"


def test_an_add_that_no_replica_confirms_raises(redis_server: Server) -> None:
    client = RedisClient(redis_server.user_url, wait_replicas=1)
    with pytest.raises(RedisUnavailable, match="only 0 of 1 replicas confirmed the write"):
        JobWriter(client, "t").add("q", new_job("a"))
    # The primary has it: the same add again is the same job.
    assert JobReader(client, "t").status("q", "a") is State.WAITING
    client.close()


def test_a_server_that_evicts_loses_jobs(store: Store, redis_client: redis.Redis) -> None:
    """Why the policy matters: hsejobs cannot keep what Redis evicts."""
    for number in range(200):
        store.add(f"j{number}")
    used = redis_client.info("memory")["used_memory"]
    try:
        redis_client.config_set("maxmemory-policy", "allkeys-lru")
        redis_client.config_set("maxmemory", str(used))
        for number in range(2_000):
            redis_client.set(f"other{number}", "x" * 1_000)
        kept = redis_client.keys("t:{q}:j:*")
    finally:
        redis_client.config_set("maxmemory", "0")
        redis_client.config_set("maxmemory-policy", "noeviction")
        redis_client.flushall()
    assert len(kept) < 200


def test_a_tenant_acts_on_its_own_jobs_alone(store: Store) -> None:
    store.add("a", organization_id="two")
    store.fail(store.claim()[0])
    for act in (store.writer.retry, store.writer.promote, store.writer.remove):
        with pytest.raises(JobNotFound):
            act("q", "a", "one")
    removed = store.writer.remove("q", "a", "two")
    with pytest.raises(JobNotFound):
        store.writer.restore(removed, "one")
    store.writer.restore(removed, "two")
    assert Tenants(store.redis, "t").erase_jobs("t:{q}:", "one", ["a"]) == (0, 0)
    assert store.counts("two") == [0, 0, 0, 0, 1]


def test_a_released_job_keeps_its_place(store: Store) -> None:
    for name in ("first", "second", "third"):
        store.add(name)
    assert store.work.release(store.claim(1)) == 1
    assert [job for job, _ in store.claim(3)] == ["first", "second", "third"]


def test_a_paused_queue_is_not_claimed_from(store: Store) -> None:
    store.add("a")
    store.writer.pause("q")
    assert store.claim(5) == []
    store.writer.resume("q")
    assert [job for job, _ in store.claim(5)] == ["a"]
