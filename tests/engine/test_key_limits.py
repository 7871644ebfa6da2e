"""Limits by key hold over the workers of a real consumer, and hold up no job of another key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis

from hsejobs import client
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.handle import Job
from hsejobs.model import State
from hsejobs.store.verify import RecordVerifier
from tests.engine import keyed_jobs
from tests.engine.conftest import Consumer
from tests.engine.keyed_jobs import call, hand_over, mail
from tests.support import wait_until

EVENTS = "hsejobs:{keyed}:events"
Start = Callable[..., Consumer]


@pytest.fixture
def start(redis_url: str, no_leaks: None, tmp_path: Path) -> Iterator[Start]:
    """Starts a consumer with four threads."""
    reset_runtime()
    keyed_jobs.huey._registered = None
    client._client = None
    running = []

    def begin(**env: Any) -> Consumer:
        place = "tests.engine.keyed_jobs.huey"
        one = Consumer("-w", "4", log=tmp_path / "consumer.log", place=place, **env)
        running.append(one)
        return one

    yield begin
    for one in running:
        one.kill_all()
    runtime().redis.close()
    reset_runtime()
    client._client = None


def changes(feed: redis.Redis) -> list[tuple[int, str, str]]:
    """All changes in order: when (ms), to what, the job's id."""
    found = []
    rows: Any = feed.xrange(EVENTS)
    for at, entry in rows:
        for kind, lines in entry.items():
            for line in lines.decode().split("\n"):
                found.append((int(at.split(b"-")[0]), kind.decode(), line.split("\t")[0]))
    return found


def most_active(feed: redis.Redis, jobs: list[Job[Any]]) -> int:
    """How many of the jobs were active at the same moment."""
    ids = {job.id for job in jobs}
    active: set[str] = set()
    most = 0
    for _, kind, job_id in changes(feed):
        if job_id in ids:
            (active.add if kind == "active" else active.discard)(job_id)
            most = max(most, len(active))
    return most


def overlap(jobs: list[Job[Any]]) -> int:
    """How many of the completed jobs ran at the same moment."""
    edges = []
    for job in jobs:
        record = job.refresh()
        assert record.status is State.COMPLETED, record
        edges += [(record.processed_at, 1), (record.finished_at, -1)]
    running = most = 0
    for _, step in sorted(edges, key=lambda edge: (edge[0] or 0, edge[1])):
        running += step
        most = max(most, running)
    return most


def sound() -> bool:
    return not RecordVerifier(runtime().redis, runtime().prefix).verify("keyed").faults


def test_a_limit_holds_and_holds_up_no_other_key(start: Start, redis_client: redis.Redis) -> None:
    keyed_jobs.huey.register()
    busy = call.add_many(
        [{"host": "busy", "seconds": 0.1} for _ in range(12)], organization_id="one"
    )
    theirs = call.add_many(
        [{"host": "busy", "seconds": 0.1} for _ in range(4)], organization_id="two"
    )
    free = call.add_many([{"seconds": 0.01} for _ in range(6)])
    start()
    wait_until(lambda: free[-1].refresh().status is State.COMPLETED, what="the other jobs")
    waiting = [job for job in busy if job.refresh().status is State.WAITING]
    assert len(waiting) > 4
    assert all(job.refresh().attempts_made == 0 for job in waiting)
    assert sound()
    assert {job.wait(30) for job in busy} == {"busy"}
    assert {job.wait(30) for job in theirs} == {"busy"}
    assert most_active(redis_client, busy) == 2
    assert most_active(redis_client, theirs) <= 2
    assert {job.refresh().attempts_made for job in busy} == {1}
    wait_until(lambda: not redis_client.keys("*:k[aw]:*"), what="the keys to be forgotten")
    assert sound()


def test_a_rate_holds_in_every_window(start: Start, redis_client: redis.Redis) -> None:
    keyed_jobs.huey.register()
    start()
    wait_until(lambda: runtime().reader.workers(["keyed"]), what="the consumer")
    paced = mail.add_many([{"to": "x"} for _ in range(12)])
    others = mail.add_many([{"to": f"y{n}"} for n in range(12)])
    assert {job.wait(30) for job in paced} == {"x"}
    ids = {job.id for job in paced}
    began = [at for at, kind, job_id in changes(redis_client) if kind == "active" and job_id in ids]
    assert len(began) == 12
    assert all(after - before >= 999 for before, after in zip(began, began[5:], strict=False))
    # It opens as soon as it may, and no other job waits for it.
    assert all(after - before < 1500 for before, after in pairwise(began))
    ended = [at for at, kind, job_id in changes(redis_client) if kind == "completed"]
    last_of_others = max(job.refresh().finished_at or 0 for job in others)
    assert last_of_others < began[5] < max(ended)
    assert sound()


def test_jobs_without_a_key_get_it_from_the_worker(start: Start, redis_client: redis.Redis) -> None:
    keyed_jobs.huey.register()
    start()
    wait_until(lambda: runtime().reader.workers(["keyed"]), what="the consumer")
    jobs = [client.add("keyed", {"host": "a", "seconds": 0.05}, task="call") for _ in range(10)]
    wrong = client.add("keyed", {"host": "raise"}, task="call")
    assert {job.wait(30) for job in jobs} == {"a"}
    assert overlap(jobs) <= 2
    assert {job.refresh().attempts_made for job in jobs} == {1}
    # One that was never parked gives its place back as well.
    assert client.add("keyed", {"host": "b"}, task="call").wait(30) == "b"
    assert not redis_client.exists(f"hsejobs:{{keyed}}:ka:{call.full_name}:b -")
    key: Any = redis_client.hget(f"hsejobs:{{keyed}}:j:{jobs[0].id}", "ky")
    assert key == b"a -"
    # A key function that fails loses no job.
    assert wrong.wait(30) == "raise"
    assert sound()


def test_a_follow_up_has_a_key(start: Start, redis_client: redis.Redis) -> None:
    start()
    first = hand_over.add({"host": "next"}, organization_id="one")
    found: Any = redis_client.hget(f"hsejobs:{{keyed}}:j:{first.wait(30)}", "ky")
    assert found == b"next one"


def test_a_killed_consumer_gives_its_slots_back(start: Start, redis_client: redis.Redis) -> None:
    keyed_jobs.huey.register()
    held = call.add_many([{"host": "a", "seconds": 60} for _ in range(2)])
    killed = start(QUEUE_LEASE_MS="1500")
    wait_until(
        lambda: all(job.refresh().status is State.ACTIVE for job in held), what="both to run"
    )
    more = call.add_many([{"host": "a"} for _ in range(3)], priority=1)
    # A worker looked at them: they are parked.
    wait_until(lambda: redis_client.zcard(keys_waits()) == 3, what="the others to be parked")
    killed.kill_all()
    start(QUEUE_LEASE_MS="1500")
    assert {job.wait(30) for job in more} == {"a"}


def keys_waits() -> str:
    return f"hsejobs:{{keyed}}:kw:{call.full_name}:a -"
