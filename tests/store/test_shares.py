"""How organizations share a queue: the list, its counters and settings, and what forgets them."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from hsejobs.errors import InvalidOption
from hsejobs.model import State
from hsejobs.store import keys
from hsejobs.store.shares import Shares, TenantPage
from hsejobs.store.tenants import Tenants
from hsejobs.store.work import Done
from tests.store.test_acts import Store
from tests.support import wait_until
from tests.support.waiting import redis_ms, room_in_minute

#: An id may be the name of a key, contain a colon, a slash or a space, and be as long as allowed.
ODD = ("t", "2", "a:b/c d", "ü" * 200)


@pytest.fixture
def store(redis_url: str, no_leaks: None) -> Store:
    return Store(redis_url)


@pytest.fixture
def shares(store: Store) -> Shares:
    return Shares(store.redis, "t")


def names(page: TenantPage) -> list[str | None]:
    return [one.organization_id for one in page.tenants]


def run(store: Store, job_id: str, org: str | None, us: int, **options: Any) -> None:
    """Adds a job and completes it after a run of ``us``."""
    store.add(job_id, organization_id=org, **options)
    claims = dict(store.claim(50))
    done = [Done(one, token, us, b"null") for one, token in claims.items() if one == job_id]
    assert store.work.step(done, 0, "none", 0)[0] == "c"
    store.work.release([pair for pair in claims.items() if pair[0] != job_id])


def row(page: TenantPage, org: str | None) -> dict[str, Any]:
    [found] = [one.public() for one in page.tenants if one.organization_id == org]
    return found


def test_each_tenant_with_its_jobs_and_share_the_busiest_first(
    store: Store, shares: Shares
) -> None:
    run(store, "a", "one", 1_000)
    run(store, "b", "two", 6_000)
    run(store, "c", None, 3_000)
    for number in range(3):
        store.add(f"w{number}", organization_id="three", priority=5)
    store.add("d", organization_id="four", delay=60_000)
    store.fail(dict_pair(store, "five"))
    store.claim(1)
    page = shares.page("q")
    assert (page.queue, page.next) == ("q", None)
    assert names(page) == ["two", None, "one", "five", "three", "four"]
    assert row(page, "two") == {
        "organizationId": "two",
        "waiting": 0,
        "active": 0,
        "delayed": 0,
        "failed": 0,
        "rate": 0.2,
        "share": pytest.approx(6_000 / 10_010, abs=1e-4),
        "weight": 1,
        "limit": None,
        "paused": False,
    }
    counted = {
        org: [row(page, org)[name] for name in ("waiting", "active", "delayed", "failed", "rate")]
        for org in names(page)
    }
    assert counted["three"] == [2, 1, 0, 0, 0]
    assert counted["four"] == [0, 0, 1, 0, 0]
    assert counted["five"] == [0, 0, 0, 1, 0.2]
    assert counted[None] == [0, 0, 0, 0, 0.2]
    assert sum(one.share for one in page.tenants) == pytest.approx(1, abs=1e-3)


def test_attempts_that_end_in_a_retry_count(store: Store, shares: Shares) -> None:
    store.add("a", organization_id="one", attempts=2)
    [(job, token)] = store.claim(1)
    failed = {"code": "e", "error": b"{}", "run_us": 3_000, "final": False, "delay_ms": 0}
    assert store.work.fail(job, token, **failed)[0] == "d"  # type: ignore[arg-type]
    run(store, "b", "two", 1_000)
    page = shares.page("q")
    assert names(page) == ["one", "two"]
    assert row(page, "one")["share"] == pytest.approx(0.75)


def dict_pair(store: Store, org: str) -> tuple[str, str]:
    """Adds a job of the organization and claims it, before all others."""
    store.add(f"of {org}"[3:], organization_id=org, priority=1)
    [pair] = store.claim()
    return pair


def test_a_failed_or_delayed_job_keeps_its_tenant_in_the_list(
    store: Store, shares: Shares, redis_client: redis.Redis
) -> None:
    """Also when its counters are gone; a sweep forgets it only after its last job."""
    store.fail(dict_pair(store, "one"))
    store.add("d", organization_id="two", delay=60_000)
    shares.set("gone", "three", weight=2)
    store.add("x", organization_id="four", delay=60_000)
    store.writer.remove("q", "x")
    for key in redis_client.keys("t:{q}:m:*"):
        redis_client.delete(key)
    long_ago = redis_ms(store.redis) // 60_000 - 2 * keys.IDLE_MINUTES
    for org in ("one", "two", "four"):
        redis_client.zadd("t:{q}:orgs", {org: long_ago})
    assert names(shares.page("q")) == ["one", "two"]
    store.work.sweep(3)
    assert names(shares.page("q")) == ["one", "two"]
    assert redis_client.zrange("t:{q}:orgs", 0, -1) == [b"one", b"two"]
    # A removed job that is put back brings its tenant back.
    removed = store.writer.remove("q", "d")
    redis_client.zadd("t:{q}:orgs", {"two": long_ago})
    store.work.sweep(3)
    assert names(shares.page("q")) == ["one"]
    store.writer.restore(removed)
    assert names(shares.page("q")) == ["one", "two"]
    shares.set("gone", "three", weight=1)
    assert names(shares.page("gone")) == []


def test_pages_of_many_tenants_have_each_once(store: Store, shares: Shares) -> None:
    orgs = [f"org-{number:03}" for number in range(450)] + list(ODD)
    for number, org in enumerate(orgs):
        store.add(f"j{number}", organization_id=org)
    for number in range(3):
        store.add(f"n{number}")
    store.add("more", organization_id="org-300")
    found: list[str | None] = []
    cursor: str | None = None
    while True:
        page = shares.page("q", limit=100, cursor=cursor)
        found += names(page)
        cursor = page.next
        if cursor is None:
            break
        assert len(page.tenants) == 100
        assert 19 <= len(cursor) <= 400
    assert found[:2] == [None, "org-300"]
    assert sorted(found[1:], key=str) == sorted(orgs)
    assert [one.waiting for one in shares.page("q", limit=3).tenants] == [3, 2, 1]
    first = shares.page("q", limit=1)
    for wrong in ("x", f"{first.next}A", None):
        with pytest.raises(InvalidOption, match="cursor"):
            shares.page("other" if wrong is None else "q", cursor=wrong or first.next)
    for limit in (0, 201):
        with pytest.raises(InvalidOption, match="limit"):
            shares.page("q", limit=limit)


def test_the_next_page_follows_a_tenant_that_left(store: Store, shares: Shares) -> None:
    for number, org in enumerate("abcd"):
        store.add(f"j{number}", organization_id=org)
    first = shares.page("q", limit=2)
    assert names(first) == ["a", "b"]
    store.writer.clean("q", State.WAITING, -1_000, organization_id="b")
    assert names(shares.page("q", cursor=first.next))[-2:] == ["c", "d"]


def _entry(client: redis.Redis, org: str) -> tuple[str, str]:
    """What is set for an organization, and who holds it."""
    entry: Any = client.hget("t:{q}:tenants", org)
    *settings, _, who = entry.decode().split(" ")
    return " ".join(settings), who


def test_settings_stay_until_they_are_set_back(
    store: Store, shares: Shares, redis_client: redis.Redis
) -> None:
    for org in ("one", *ODD):
        assert shares.set("q", org, weight=3)
        assert shares.set("q", org, limit=5)
        assert shares.set("q", org, paused=True, who="ann")
        assert not shares.set("q", org, weight=3, paused=True, who="bob")
        one = shares.get("q", org)
        assert (one.organization_id, one.weight, one.limit, one.paused) == (org, 3, 5, True)
        assert _entry(redis_client, org) == ("3 5 1", "ann")
    assert sorted(map(str, names(shares.page("q")))) == sorted(("one", *ODD))
    for org in ("one", *ODD):
        assert shares.set("q", org, weight=1, limit=None)
        assert _entry(redis_client, org) == ("1 - 1", "ann")
        assert shares.set("q", org, paused=False)
    assert redis_client.exists("t:{q}:tenants") == 0
    assert names(shares.page("q")) == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"weight": 0}, "weight"),
        ({"weight": 1_001}, "weight"),
        ({"weight": True}, "weight"),
        ({"weight": None}, "weight"),
        ({"weight": 1.5}, "weight"),
        ({"limit": 0}, "limit"),
        ({"limit": "5"}, "limit"),
        ({"paused": 1}, "paused"),
        ({"paused": None}, "paused"),
    ],
)
def test_an_invalid_setting_is_named_and_changes_nothing(
    shares: Shares, settings: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidOption) as caught:
        shares.set("q", "one", **{"weight": 2, **settings})
    assert [name for name, _ in caught.value.problems] == [field]
    assert shares.get("q", "one").weight == 1
    for org in ("", "a\n", None):
        with pytest.raises(InvalidOption, match="organizationId"):
            shares.set("q", org, weight=2)  # type: ignore[arg-type]


def test_a_resumed_tenant_wakes_a_worker(
    store: Store, shares: Shares, redis_client: redis.Redis
) -> None:
    store.add("a", organization_id="one")
    shares.set("q", "one", paused=True)
    redis_client.delete("t:{q}:bell")
    shares.set("q", "two", paused=True)
    assert redis_client.exists("t:{q}:bell") == 0, "it has nothing to do"
    shares.set("q", "one", paused=False)
    assert redis_client.lpop("t:{q}:bell") == b"1"


def test_a_sweep_keeps_the_busiest_of_the_last_minute(
    store: Store, redis_client: redis.Redis
) -> None:
    for number in range(60):
        run(store, f"j{number}", f"org-{number}", 1_000 + number)
    run(store, "n", None, 99_000)
    minute = _back_a_minute(store, redis_client)
    store.work.sweep(3)
    key = f"t:{{q}}:mo:{minute}"
    kept = redis_client.hgetall(key)
    assert kept.pop(b"") == b""
    assert set(kept) == {f"org-{number}".encode() for number in range(10, 60)}
    assert kept[b"org-59"] == b"1059 1 1 0 0"
    assert 0 < redis_client.ttl(key) <= keys.MINUTE_TTL
    # Once.
    redis_client.hset(f"t:{{q}}:m:{minute}:org-59", "us", 7)
    store.work.sweep(3)
    assert redis_client.hget(key, "org-59") == b"1059 1 1 0 0"


def test_the_busiest_of_more_than_one_sweep_compares(
    store: Store, redis_client: redis.Redis
) -> None:
    """Also one that is active still, which is last in the list."""
    last = room_in_minute(store.redis) - 1
    pipeline = redis_client.pipeline()
    pipeline.hset(f"t:{{q}}:m:{last}", "c", 1)
    for number in range(3 * keys.BUSIEST_COMPARED):
        org, us = f"org-{number}", 1 + number
        pipeline.hset(f"t:{{q}}:m:{last}:{org}", mapping={"us": us, "c": 1})
        pipeline.zadd("t:{q}:orgs", {org: last + (number % 2)})
    pipeline.execute()
    key = f"t:{{q}}:mo:{last}"

    def compared() -> bool:
        store.work.sweep(3)
        return redis_client.hget(key, "") == b""

    wait_until(compared, 20, "all to be compared")
    kept = {int(text.split()[0]) for org, text in redis_client.hgetall(key).items() if org}
    most = 3 * keys.BUSIEST_COMPARED
    assert kept == set(range(most - keys.BUSIEST_KEPT + 1, most + 1))
    for name in redis_client.keys(f"t:{{q}}:m:{last}*"):
        redis_client.delete(name)
    redis_client.delete("t:{q}:orgs")


def _back_a_minute(store: Store, client: redis.Redis) -> int:
    """Renames the counters as if they were of the minute before this one; returns that minute."""
    last = room_in_minute(store.redis) - 1
    found: Any = client.keys("t:{q}:m:*")
    for key in found:
        _, _, rest = key.decode().partition("}:m:")
        minute, _, org = rest.partition(":")
        to = f"t:{{q}}:m:{last}" + (f":{org}" if org else "")
        if key.decode() != to:
            assert int(minute) > last, "the test took more than a minute"
            if client.exists(to):
                for field, value in client.hgetall(key).items():
                    client.hincrby(to, field, int(value))
                client.delete(key)
            else:
                client.rename(key, to)
    return last


def test_nothing_of_a_tenant_is_left_when_it_is_forgotten(
    store: Store, shares: Shares, redis_client: redis.Redis
) -> None:
    tenants = Tenants(store.redis, "t")
    for org in ("one", "two"):
        run(store, f"j-{org}", org, 1_000)
        shares.set("q", org, weight=2)
    _back_a_minute(store, redis_client)
    store.work.sweep(3)
    for org in ("one", "two"):
        for key in ("turns", "turns:rested", "turns:parked"):
            redis_client.zadd(f"t:{{q}}:{key}", {f"{priority}{org}": 1 for priority in range(1, 6)})
    walked = list(tenants.walk("one"))
    assert sum(found.entries for found in walked) == 3
    assert tenants.forget_entries("q", "one") == 18
    assert sum(found.entries for found in tenants.walk("one")) == 0
    assert tenants.forget_entries("q", "one") == 0
    assert shares.get("q", "two").weight == 2
    assert redis_client.zcard("t:{q}:turns") == 5
    assert redis_client.zrange("t:{q}:orgs", 0, -1) == [b"two"]
    redis_client.delete("t:{q}:turns", "t:{q}:turns:rested", "t:{q}:turns:parked")


def test_obliterate_forgets_the_tenants(
    store: Store, shares: Shares, redis_client: redis.Redis
) -> None:
    run(store, "a", "one", 1_000)
    shares.set("q", "one", paused=True)
    redis_client.zadd("t:{q}:turns:parked", {"3one": 1})
    _back_a_minute(store, redis_client)
    store.work.sweep(3)
    store.writer.obliterate("q")
    assert names(shares.page("q")) == []
    found: Any = redis_client.keys("t:{q}:*")
    left = {key.decode().partition("}:")[2] for key in found}
    assert not {one for one in left if one.startswith(("orgs", "tenants", "turns"))}, left


def test_broken_values_are_read_as_unset(
    store: Store, shares: Shares, redis_client: redis.Redis
) -> None:
    store.add("a", organization_id="one")
    for broken in ("", "x", "-1 -1 -1", "9" * 400 + " 2", "1 2", "nan nan nan nan"):
        redis_client.hset("t:{q}:tenants", "one", broken)
        one = shares.get("q", "one")
        limit = 2 if broken.endswith(" 2") else None
        assert (one.weight, one.limit, one.paused) == (1, limit, False), broken
    redis_client.hset("t:{q}:tenants", "one", "x")
    assert shares.set("q", "one", weight=4)
    assert redis_client.hget("t:{q}:tenants", "one") == b"4 - 0"


def test_a_list_without_recent_counters_has_the_same_jobs(
    store: Store, shares: Shares, redis_client: redis.Redis
) -> None:
    """What was counted before the last 5 minutes no longer counts; what ended since does."""
    run(store, "a", "one", 1_000)
    store.add("b", organization_id="two")
    minute = _back_a_minute(store, redis_client)
    assert row(shares.page("q"), "one")["share"] == 1
    for key in (f"t:{{q}}:m:{minute}", f"t:{{q}}:m:{minute}:one"):
        redis_client.rename(key, key.replace(str(minute), str(minute - 5)))
    store.fail(dict_pair(store, "six"))
    page = shares.page("q")
    assert (row(page, "six")["share"], row(page, "six")["rate"]) == (1, 0.2)
    assert row(page, "two")["waiting"] == 1
    assert names(page) == ["six", "two"]
    store.add("c", organization_id="one")
    assert (row(shares.page("q"), "one")["rate"], names(shares.page("q"))[0]) == (0, "six")


def test_sweeps_find_the_tenants_of_older_releases(
    store: Store, shares: Shares, redis_client: redis.Redis
) -> None:
    """Programs of 0.1.0 add jobs without the list; until a sweep has seen them, no one is listed."""
    orgs = [f"org-{number:03}" for number in range(450)]
    for number, org in enumerate(orgs):
        store.add(f"j{number}", organization_id=org, delay=60_000 * (number % 2))
    store.fail(dict_pair(store, "six"))
    store.add("a")
    redis_client.delete("t:{q}:orgs")
    assert names(shares.page("q")) == [None]
    for _ in range(3):
        assert redis_client.zcard("t:{q}:orgs") < 451
        store.work.sweep(3)
    assert redis_client.zcard("t:{q}:orgs") == 451
    assert row(shares.page("q", limit=200), None)["waiting"] == 1
    # Done for today.
    assert redis_client.get("t:{q}:orgs:walk") == b"6 0"
    assert 0 < redis_client.ttl("t:{q}:orgs:walk") <= keys.WALK_TTL
    redis_client.delete("t:{q}:orgs")
    store.work.sweep(3)
    assert redis_client.zcard("t:{q}:orgs") == 0
    redis_client.set("t:{q}:orgs:walk", "broken", ex=9)
    store.work.sweep(3)
    assert redis_client.zcard("t:{q}:orgs") > 0
