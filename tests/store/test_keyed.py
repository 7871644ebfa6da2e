"""Limits by key in Redis: who is parked, what gets a job its place back, and what acts do to a parked job."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from hsejobs.model import State
from hsejobs.store import keys, scripts
from hsejobs.store.shares import Shares
from hsejobs.store.tenants import Tenants
from hsejobs.store.verify import RecordVerifier
from hsejobs.store.work import Done
from hsejobs.store.write import Cancel, NewJob
from tests.store.test_acts import Store
from tests.support import wait_until
from tests.support.waiting import redis_ms

HOUR = 3_600_000
BEHIND = 6 * keys.PRIORITY_SPAN
Pair = tuple[str, str]


class Keyed(Store):
    """A queue whose task has limits by key."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        super().__init__(url)
        self.client = client
        self.rules(**{"k:m.task": "2 - -"})

    def rules(self, **fields: str) -> None:
        words = [word for pair in fields.items() for word in pair]
        self.redis.run(scripts.RULES, self.work.base, words)

    def add_all(self, names: str, key: str = "k", **options: object) -> None:
        for name in names.split():
            assert self.add(name, key=key, **options)

    def names(self, n: int = 9) -> list[str]:
        """The ids of the jobs that a claim gets; they stay active."""
        return [job for job, _ in self.claim(n)]

    def all_names(self, n: int) -> list[str]:
        """The ids of the jobs that a worker gets until no claim rings for another one."""
        found = self.names(n)
        while self.client.delete("t:{q}:bell"):
            found += self.names(n)
        return found

    def parked(self) -> list[str]:
        found: list[bytes] = self.client.zrangebyscore("t:{q}:waiting", BEHIND, "+inf")  # type: ignore[assignment]
        return [one.decode() for one in found]

    def sound(self) -> bool:
        return not RecordVerifier(self.redis, "t").verify("q").faults


@pytest.fixture
def store(redis_url: str, redis_client: redis.Redis, no_leaks: None) -> Keyed:
    return Keyed(redis_url, redis_client)


def end(store: Keyed, pair: Pair) -> None:
    store.work.step([Done(*pair, 5, b"1")], 0, "none", 0)


ENDS: dict[str, Callable[[Keyed, Pair], object]] = {
    "complete": end,
    "fail": lambda store, pair: store.fail(pair),
    "retry later": lambda store, pair: store.fail(pair, final=False),
    "postpone": lambda store, pair: store.work.postpone(*pair, HOUR),
    "stall for the last time": lambda store, pair: store.work.stall([pair], 0),
    "wait for a lock": lambda store, pair: (
        store.work.lock("l"),
        store.work.await_lock(*pair, "l"),
        store.writer.remove("q", pair[0]),
        store.work.unlock("l"),
    ),
    "cancel": lambda store, pair: (
        store.writer.cancel_many("q", [pair[0]], Cancel("ann")),
        store.work.step([Done(*pair, 5, b"1")], 0, "none", 0),
    ),
    "obliterate": lambda store, pair: store.redis.run(
        scripts.OBLITERATE, store.work.base, ("a", 1, 1, 0, "", 1, 0, "")
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_job_that_stops_running_makes_room_for_the_next(store: Keyed, how: str) -> None:
    store.add_all("a b c d")
    store.add("free")
    one, two, free = store.claim(9)
    assert [one[0], two[0], free[0]] == ["a", "b", "free"]
    assert store.parked() == ["c", "d"]
    assert store.counts() == [2, 3, 0, 0, 0]
    assert store.sound()
    # The one that obliterate takes is the newest active job.
    ENDS[how](store, free if how == "obliterate" else one)
    if how == "obliterate":
        ENDS[how](store, two)
    assert store.parked() == ["d"]
    assert store.names() == ["c"]
    assert store.names() == []
    assert store.sound()
    store.writer.obliterate("q", force=True)
    assert store.client.keys("t:{q}:k[aw]:*") == []


@pytest.mark.parametrize("how", ["release", "stall"])
def test_one_that_goes_back_is_first_again(store: Keyed, how: str) -> None:
    store.add_all("a b c")
    one, _ = store.claim(9)
    if how == "release":
        store.work.release([one])
    else:
        assert store.work.stall([one], 5) == ["waiting"]
    # One that stalled is claimed alone.
    assert store.names() + store.names() == ["a"]
    assert store.parked() == ["c"]
    assert store.sound()


def test_a_key_of_one_organization_holds_up_no_one_else(store: Keyed) -> None:
    store.add_all(" ".join(f"a{n}" for n in range(300)), key="busy", organization_id="one")
    store.add_all("b0 b1 b2", key="other", organization_id="one")
    store.add_all("c0 c1", key="busy2", organization_id="two")
    found = store.all_names(4)
    assert sorted(found) == ["a0", "a1", "b0", "b1", "c0", "c1"]
    assert len(store.parked()) == 299
    assert store.counts("one") == [299, 4, 0, 0, 0]
    assert store.sound()


def test_more_parked_jobs_than_one_claim_looks_at(store: Keyed) -> None:
    store.add_all(" ".join(f"a{n}" for n in range(450)), key="busy")
    store.add("free")
    assert store.all_names(1) == ["a0", "a1", "free"]
    assert len(store.parked()) == 448


def test_a_rate(store: Keyed) -> None:
    store.rules(**{"k:m.task": "- 2 400"})
    store.add_all("a b c d")
    store.add_all("other", key="other")
    # Those with a rate are claimed one by one.
    assert [store.names(), store.names(), store.names()] == [["a"], ["b"], ["other"]]
    assert store.parked() == ["c", "d"]
    due = store.work.sweep(3).next_due
    assert due is not None
    assert due <= 400
    assert store.names() == []
    wait_until(lambda: store.work.sweep(3) and len(store.parked()) == 0, what="the rate to open")
    assert [store.names(), store.names(), store.names()] == [["c"], ["d"], []]


def test_a_job_that_ended_without_a_word_does_not_keep_its_slot(store: Keyed) -> None:
    """A release that knows no keys has written its end."""
    store.add_all("a b c")
    one, _ = store.claim(9)
    assert store.parked() == ["c"]
    store.client.hset("t:{q}:j:a", "st", "c")
    store.client.zadd("t:{q}:ka:m.task:k", {"a": 1})
    store.client.zadd("t:{q}:turns:keys", {"m.task:k": 1})
    store.work.sweep(3)
    assert store.names() == ["c"]
    store.client.hset("t:{q}:j:a", "st", "a")
    assert one[0] == "a"


@pytest.mark.parametrize(("rule", "left"), [("", 0), ("4 - -", 1), ("1 - -", 3)])
def test_new_limits_hold_for_parked_jobs(store: Keyed, rule: str, left: int) -> None:
    store.add_all("a b c d e")
    store.claim(9)
    assert store.parked() == ["c", "d", "e"]
    store.rules(**({"k:m.task": rule} if rule else {}))
    store.work.sweep(3)
    assert len(store.parked()) == left
    assert len(store.names()) == 3 - left


def test_a_former_name_counts_as_the_task(store: Keyed) -> None:
    store.rules(**{"k:m.new": "2 - -", "k:m.task": ">m.new"})
    store.add_all("a b c")
    one, _ = store.claim(9)
    assert store.client.zcard("t:{q}:ka:m.new:k") == 2
    end(store, one)
    assert store.names() == ["c"]


# -- acts


def test_a_parked_job_is_cancelled_removed_and_restored(store: Keyed) -> None:
    store.add_all("before")
    place = store.reader.job("q", "before").version
    store.add_all("a", priority=1)
    store.add_all("b", priority=1)
    store.claim(9)
    store.add_all("gone", organization_id="one")
    assert store.names() == []
    assert store.parked() == ["before", "gone"]
    # It has not left its state, for a person who saw it before it was parked.
    assert store.reader.job("q", "before").version == place
    removed = store.writer.remove("q", "before", seen=place)
    assert store.client.zrange("t:{q}:kw:m.task:k", 0, -1) == [b"gone"]
    store.writer.restore(removed)
    assert store.reader.job("q", "before").version == place
    assert store.parked() == ["gone"]
    assert store.names() == []
    assert store.parked() == ["before", "gone"]
    assert store.sound()
    assert not store.writer.cancel_many("q", [("before", place)], Cancel("ann"))
    assert store.reader.status("q", "before") is State.FAILED
    assert Tenants(store.redis, "t").erase_jobs("t:{q}:", "one", ["gone"])
    assert store.client.keys("t:{q}:kw:*") == []
    store.writer.retry("q", "before")
    assert store.names() == []
    assert store.parked() == ["before"]
    assert store.writer.clean("q", State.WAITING, 0) == 1
    assert store.sound()


def test_a_promoted_job_waits_for_its_key(store: Keyed) -> None:
    store.add_all("a b")
    store.add_all("later", delay=HOUR)
    one, _ = store.claim(9)
    store.writer.promote("q", "later")
    assert store.names() == []
    assert store.parked() == ["later"]
    end(store, one)
    assert store.names() == ["later"]


def test_a_parked_job_that_no_key_has_is_repaired(store: Keyed) -> None:
    store.add_all("a b c")
    store.claim(9)
    store.client.delete("t:{q}:kw:m.task:k")
    verifier = RecordVerifier(store.redis, "t")
    assert [fault.code for fault in verifier.verify("q").faults] == ["bad_score"]
    verifier.verify("q", repair=True)
    assert store.sound()
    assert store.parked() == []
    assert store.names() == []
    assert store.parked() == ["c"]


# -- jobs that were added without their key


def test_a_worker_gives_a_job_its_key(store: Keyed) -> None:
    for name in "abc":
        store.add(name, organization_id="one")
    one, two, three = store.claim(9)
    assert [store.work.key(*pair, "k") for pair in (one, two, three)] == [True, True, False]
    # Sent again after a lost reply.
    assert [store.work.key(*pair, "k") for pair in (one, two, three)] == [True, True, None]
    assert store.parked() == ["c"]
    assert store.counts("one") == [1, 2, 0, 0, 0]
    assert store.reader.job("q", "c").attempts_made == 0
    assert store.sound()
    end(store, two)
    assert store.names() == ["c"]
    assert store.client.zcard("t:{q}:ka:m.task:k") == 2


def test_a_task_that_is_renamed_takes_its_parked_jobs_along(store: Keyed) -> None:
    store.rules(**{"k:m.task": "1 - -"})
    store.add_all("a b c")
    held = store.claim(1)
    assert store.names() == []
    assert store.parked() == ["b", "c"]
    store.rules(**{"k:m.new": "1 - -", "k:m.task": ">m.new"})
    end(store, held[0])
    assert store.names() == ["b"]
    store.work.sweep(3)
    # Both names count in one limit.
    store.writer.add("q", NewJob("d", "m.new", b"{}", 3, 1, 0, 0, key="k"))
    assert store.names() == []
    assert (store.parked(), store.sound()) == (["c", "d"], True)
    assert store.client.zrange("t:{q}:turns:keys", 0, -1) == [b"m.new:k"]


def test_an_end_leaves_no_slot_idle(store: Keyed) -> None:
    """It wakes one job; those for which a rate has opened meanwhile are woken by the next sweep."""
    store.rules(**{"k:m.task": "4 2 50"})
    store.add_all("a b c d e f g")
    pairs = [store.claim(1)[0] for _ in range(2)]
    assert store.names() == []
    ms = redis_ms(store.redis)
    wait_until(lambda: redis_ms(store.redis) > ms + 60, what="the rate to open")
    end(store, pairs[0])
    swept = store.work.sweep(3)
    assert [len(store.names()), len(store.names())] == [1, 1]
    assert swept.next_due is None or swept.next_due <= 60


@pytest.mark.parametrize("act", ["remove", "cancel"])
def test_the_slot_of_a_job_that_leaves_before_it_starts_is_the_next_ones(
    store: Keyed, act: str
) -> None:
    store.rules(**{"k:m.task": "1 - -"})
    store.add_all("a b c")
    held = store.claim(1)
    assert store.names() == []
    end(store, held[0])
    assert store.parked() == ["c"]
    if act == "remove":
        store.writer.remove("q", "b")
    else:
        store.writer.cancel_many("q", ["b"], Cancel("ann"))
    assert store.names() == ["c"]


def at_the_limit(store: Keyed, before: int, after: int, names: str) -> list[Pair]:
    """Jobs of one tenant that run; ``after`` of them are as many as it may have now."""
    Shares(store.redis, "t").set("q", "one", limit=before)
    store.add_all(names, organization_id="one")
    held: list[Pair] = []
    while claims := store.claim(9):
        held += claims
    Shares(store.redis, "t").set("q", "one", limit=after)
    store.client.delete("t:{q}:bell")
    return held


@pytest.mark.parametrize("keys_at_once", [1, 2])
def test_the_end_of_a_tenants_last_allowed_job_wakes_a_worker_for_the_next_of_its_key(
    store: Keyed, keys_at_once: int
) -> None:
    """Also of a batch: what has ended in it no longer counts for the tenant."""
    store.rules(**{"k:m.task": f"{keys_at_once} - -"})
    held = at_the_limit(store, 9, keys_at_once, "a b c d e")
    assert len(held) == keys_at_once
    store.work.step([Done(*one, 5, b"1") for one in held], 0, "none", 0)
    assert store.client.llen("t:{q}:bell") == 1
    # The others stay in the line of their key.
    assert len(store.parked()) == 5 - 2 * keys_at_once
    assert len(store.names()) == keys_at_once


def test_a_tenant_whose_job_ends_keeps_its_place_in_the_line_of_a_key(store: Keyed) -> None:
    store.rules(**{"k:m.task": "1 - -"})
    held = at_the_limit(store, 9, 1, "a b")
    store.add_all("d", organization_id="two")
    assert store.names() == []
    _, claims = store.work.step([Done(*held[0], 5, b"1")], 4, "next", 60_000)
    assert [one.id for one in claims] == ["b"]
    assert store.parked() == ["d"]


def test_a_cancelled_job_of_a_batch_lets_the_next_of_its_key_begin(store: Keyed) -> None:
    held = at_the_limit(store, 9, 2, "a b c d")
    assert store.writer.cancel_many("q", [held[1][0]], Cancel("ann", "no"), None) == []
    done = [Done(*one, 5, b"1") for one in held]
    letters, claims = store.work.step(done, 4, "next", 60_000)
    assert letters == "ck"
    assert {one.id for one in claims} == {"c", "d"}
