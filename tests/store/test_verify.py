"""Jobs that are in the wrong state are found and repaired; running workers cause no findings."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from hsejobs.errors import JobNotFound
from hsejobs.model import State
from hsejobs.store.verify import FAULTS, RecordVerifier
from hsejobs.store.work import Done
from tests.store.test_acts import Store
from tests.support.cluster import Cluster
from tests.support.leaks import find_leaks


@pytest.fixture
def store(redis_url: str) -> Iterator[Store]:
    store = Store(redis_url)
    yield store
    store.redis.close()


def fill(store: Store) -> None:
    """A job in each state, of an organization: w, a (leased), d, c and f."""
    for job_id in "cfa":
        store.add(job_id, organization_id="o1")
    (done, failed, _) = store.claim(3)
    store.work.step([Done(*done, 10, b"1")], 0, "t", 0)
    store.fail(failed)
    store.add("w", organization_id="o1")
    store.add("d", organization_id="o1", delay=3_600_000)


def codes(store: Store, *, repair: bool = False) -> set[tuple[str, str, bool]]:
    report = RecordVerifier(store.redis, "t").verify("q", repair=repair)
    assert report.left == sum(not fault.repaired for fault in report.faults)
    return {(fault.job_id, fault.code, fault.repaired) for fault in report.faults}


#: What breaks it, what is then found, and the counts (w, a, d, c, f) after the repair.
BREAKS: list[tuple[str, set[tuple[str, str]], list[int]]] = [
    # Seen in production: attempt 443 of a job without a backoff.
    (
        "ZREM {q}:delayed d; ZREM {q}:o:delayed:o1 d; HSET {q}:j:d ra -nan am 443 ax 1000 bo 0",
        {("d", "no_index"), ("d", "bad_number")},
        [1, 1, 1, 1, 1],
    ),
    ("ZREM {q}:waiting w", {("w", "no_index"), ("w", "organization_index")}, [1, 1, 1, 1, 1]),
    ("ZREM {q}:active a; ZREM {q}:o:active:o1 a", {("a", "no_index")}, [2, 0, 1, 1, 1]),
    (
        "ZREM {q}:waiting w; ZADD {q}:completed 5 w",
        {("w", "wrong_index"), ("w", "organization_index")},
        [1, 1, 1, 1, 1],
    ),
    ("ZADD {q}:failed 5 c; ZADD {q}:waiting 5 c", {("c", "two_indexes")}, [1, 1, 1, 1, 1]),
    ("ZADD {q}:o:failed:o1 5 c", {("c", "organization_index")}, [1, 1, 1, 1, 1]),
    ("ZADD {q}:o:failed:o2 5 c", {("c", "organization_index")}, [1, 1, 1, 1, 1]),
    ("ZREM {q}:o:failed:o1 f", {("f", "organization_index")}, [1, 1, 1, 1, 1]),
    ("HDEL {q}:j:f st", {("f", "no_state"), ("f", "organization_index")}, [1, 1, 1, 1, 1]),
    (
        "HSET {q}:j:w st nonsense; ZREM {q}:waiting w; ZREM {q}:o:waiting:o1 w",
        {("w", "no_state")},
        [0, 1, 1, 1, 2],
    ),
    (
        "HSET {q}:j:f am nan ax -1 p 77 sl 1e999 ft never pg inf lc x",
        {("f", "bad_number")},
        [1, 1, 1, 1, 1],
    ),
    ("HDEL {q}:j:w am ax bo to ct p sc", {("w", "bad_number")}, [1, 1, 1, 1, 1]),
    ("ZADD {q}:delayed inf d; ZADD {q}:o:delayed:o1 inf d", {("d", "bad_score")}, [1, 1, 1, 1, 1]),
    ("ZADD {q}:waiting 3 w; ZADD {q}:o:waiting:o1 3 w", {("w", "bad_score")}, [1, 1, 1, 1, 1]),
    ("ZADD {q}:failed -inf f; ZADD {q}:o:failed:o1 -inf f", {("f", "bad_score")}, [1, 1, 1, 1, 1]),
    ("ZADD {q}:waiting 5 ghost", {("ghost", "no_record")}, [1, 1, 1, 1, 1]),
    ("ZADD {q}:o:failed:o9 5 ghost", {("ghost", "no_record")}, [1, 1, 1, 1, 1]),
    ("DEL {q}:j:c", {("c", "no_record"), ("c", "orphan")}, [1, 1, 1, 0, 1]),
    ("SET {q}:e:ghost 1", {("ghost", "orphan")}, [1, 1, 1, 1, 1]),
    (
        "ZADD {q}:kids:q/c 5 ghost; ZADD {q}:kids:q/c 5 w",
        {("ghost", "no_child"), ("w", "no_child")},
        [1, 1, 1, 1, 1],
    ),
]


@pytest.mark.parametrize(("breaks", "want", "counts"), BREAKS, ids=[one[0] for one in BREAKS])
def test_a_broken_queue_is_repaired(
    store: Store,
    redis_client: redis.Redis,
    breaks: str,
    want: set[tuple[str, str]],
    counts: list[int],
) -> None:
    fill(store)
    assert codes(store) == set()
    for command in breaks.replace("{q}", "t:{q}").split("; "):
        store.redis.command(*command.split())
    # A record that is gone leaves its organization's index too; which one, only a walk there tells.
    assert codes(store) == {(job_id, code, False) for job_id, code in want}
    assert codes(store) == {(job_id, code, False) for job_id, code in want}
    assert codes(store, repair=True) == {(job_id, code, True) for job_id, code in want}
    assert codes(store) == set()
    assert store.counts() == counts
    assert store.counts("o1") == counts
    assert find_leaks(redis_client, "t") == []
    for state in State:
        for job in store.reader.page("q", state).jobs:
            assert str(job.status) == state


def test_a_job_with_a_live_lease_is_left_alone(store: Store) -> None:
    fill(store)
    store.redis.command("HSET", "t:{q}:j:a", "ax", "nan")
    store.redis.command("ZADD", "t:{q}:waiting", 5, "a")
    before = store.redis.command("HGETALL", "t:{q}:j:a")
    want = {("a", "bad_number", False), ("a", "two_indexes", False)}
    assert codes(store) == want
    assert codes(store, repair=True) == want
    assert store.redis.command("HGETALL", "t:{q}:j:a") == before


def test_what_no_repair_can_read_is_reported(store: Store) -> None:
    store.redis.command("SET", "t:{q}:j:other", "no hash")
    store.redis.command("ZADD", "t:{q}:waiting", 5, "other")
    assert codes(store, repair=True) == {
        ("other", "unreadable", False),
        ("other", "no_record", True),
    }
    assert codes(store) == {("other", "unreadable", False)}
    assert store.counts() == [0, 0, 0, 0, 0]


def test_live_workers_are_not_a_fault(store: Store, redis_url: str) -> None:
    """Four workers that claim, finish, fail, postpone and release, beside walk after walk."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        mine = Store(redis_url)
        try:
            for turn in range(1_000_000):
                if stop.is_set():
                    break
                mine.add(f"{number}-{turn}", organization_id=f"o{turn % 3}", delay=turn % 2)
                mine._claims = number * 10_000_000 + turn
                for at, (job_id, token) in enumerate(mine.claim(3)):
                    if at == 0:
                        mine.fail((job_id, token), final=turn % 2 == 0)
                    elif at == 1:
                        mine.work.release([(job_id, token)])
                    else:
                        mine.work.step([Done(job_id, token, 5, b"1")], 0, "t", 0)
                if turn % 10 == 0:
                    mine.work.sweep(3)
                    mine.writer.clean("q", State.FAILED, 0, limit=20)
        except BaseException as error:
            errors.append(error)
        finally:
            mine.redis.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        # Repairs too: one of a job that is well would be a fault of the next walk.
        walks = [codes(store, repair=turn % 2 == 1) for turn in range(20)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert walks == [set()] * 20
    assert codes(store) == set()


def test_a_cluster_is_walked_too(cluster: Cluster) -> None:
    store = Store(cluster.url)
    fill(store)
    store.redis.command("ZREM", "t:{q}:waiting", "w")
    store.redis.command("ZREM", "t:{q}:o:waiting:o1", "w")
    assert codes(store, repair=True) == {("w", "no_index", True)}
    assert store.counts() == [1, 1, 1, 1, 1]


def test_a_broken_job_can_be_seen_retried_and_removed_without_a_repair(store: Store) -> None:
    fill(store)
    for breaks in ("am -nan ra inf ft x pt - ct - pg nan", "st ?", "ax x bo x to x p x sl x"):
        words = breaks.split()
        store.redis.command("HSET", "t:{q}:j:f", *words)
        assert store.reader.job("q", "f").id == "f"
        assert [job.id for job in store.reader.page("q", State.FAILED).jobs] == ["f"]
    store.writer.retry("q", "f")
    assert store.counts()[4] == 0
    claims = store.claim(5)
    assert [job_id for job_id, _ in claims] == ["w", "f"]
    for pair in claims:
        assert store.fail(pair) == "f"
    store.redis.command("HSET", "t:{q}:j:f", "st", "", "am", "x")
    removed = store.writer.remove("q", "f")
    with pytest.raises(JobNotFound):
        store.reader.job("q", "f")
    store.writer.restore(removed)
    assert store.reader.status("q", "f") is None or store.reader.job("q", "f").status == "failed"
    assert codes(store, repair=True) == {
        ("f", "no_state", True),
        ("f", "bad_number", True),
        ("f", "organization_index", True),
    }


def test_every_fault_is_reported_and_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    broken = {code for _, want, _ in BREAKS for _, code in want}
    assert broken | {"unreadable"} == FAULTS.keys()
    assert [code for code in FAULTS if f"| `{code}` |" not in page] == []


def test_a_removal_leaves_no_entry_where_the_job_stood_by_mistake(
    store: Store, redis_client: redis.Redis
) -> None:
    """Seen by test_broken_records.py: a record that says waiting, and stands among the active."""
    store.add("a", organization_id="o1")
    store.claim()
    store.redis.command("HSET", "t:{q}:j:a", "st", "w")
    store.writer.remove("q", "a")
    assert codes(store) == set()
    assert find_leaks(redis_client, "t") == []
