"""Organizations that share a key: turns in its line, pauses and limits, ageing, a full server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from hsejobs.store import keys
from hsejobs.store.shares import Shares
from hsejobs.store.tenants import Tenants
from hsejobs.store.work import Done
from tests.store.test_keyed import HOUR, Keyed, end
from tests.support import wait_until
from tests.support.faults import full
from tests.support.leaks import find_leaks
from tests.support.server import Server

LINE, TURNS = "t:{q}:kw:m.task:k", "t:{q}:kt:m.task:k"
Pair = tuple[str, str]


@pytest.fixture
def store(redis_url: str, redis_client: redis.Redis, no_leaks: None) -> Keyed:
    found = Keyed(redis_url, redis_client)
    found.rules(**{"k:m.task": "1 - -"})
    return found


def add(store: Keyed, org: str, count: int, start: int = 0, **options: object) -> None:
    """Adds jobs of the key, such as ``a000``; a worker that finds no room for them parks them."""
    names = " ".join(f"{org}{n:03}" for n in range(start, start + count))
    store.add_all(names, "k", organization_id=org, **options)


def set_tenant(store: Keyed, org: str, **values: object) -> None:
    Shares(store.redis, "t").set("q", org, **values)  # type: ignore[arg-type]


def one(store: Keyed) -> Pair:
    [pair] = store.claim(9)
    return pair


def run(store: Keyed, pair: Pair, count: int) -> tuple[list[str], Pair]:
    """Ends the running job and claims, again and again; the ids of those that began."""
    began: list[str] = []
    for _ in range(count):
        end(store, pair)
        pair = one(store)
        began.append(pair[0])
    return began, pair


def test_organizations_with_one_key_take_turns(store: Keyed) -> None:
    add(store, "a", 60)
    running = one(store)
    add(store, "b", 3)
    assert store.names() == []
    assert len(store.parked()) == 62
    began, running = run(store, running, 6)
    assert sorted(began) == ["a001", "a002", "a003", "b000", "b001", "b002"]
    assert {"b000", "b001"} <= set(began[:4])
    # Those of one organization stay in order; one that comes late does not wait for a backlog.
    assert [name for name in began if name[0] == "b"] == ["b000", "b001", "b002"]
    add(store, "c", 1)
    assert store.names() == []
    late, running = run(store, running, 2)
    assert "c000" in late
    rest, _ = run(store, running, 55)
    of_a = [name for name in ["a000", *began, *late, *rest] if name[0] == "a"]
    assert of_a == [f"a{n:03}" for n in range(60)]
    assert store.sound()
    # Nothing of the line is left.
    assert store.client.keys("t:{q}:k[tw]:*") == []


def test_weights_count_in_the_line_of_a_key(store: Keyed) -> None:
    set_tenant(store, "b", weight=3)
    add(store, "a", 40)
    running = one(store)
    add(store, "b", 40)
    assert store.names() == []
    began, _ = run(store, running, 24)
    assert 17 <= sum(name[0] == "b" for name in began) <= 19


def test_a_plain_fifo_keeps_the_order_of_a_key(store: Keyed) -> None:
    store.rules(**{"k:m.task": "1 - -", "f": "0"})
    add(store, "a", 6)
    running = one(store)
    add(store, "b", 2)
    assert store.names() == []
    began, _ = run(store, running, 7)
    assert began == ["a001", "a002", "a003", "a004", "a005", "b000", "b001"]
    assert not store.client.exists(TURNS)


def test_one_that_lost_its_slot_returns_to_its_turn(store: Keyed) -> None:
    add(store, "a", 5)
    running = one(store)
    store.work.step([Done(*running, 5, b"1")], 0, "none", 0)
    # It has its place back, but one of a better priority is faster.
    store.add("first", key="k", priority=1)
    running = one(store)
    assert running[0] == "first"
    add(store, "b", 1)
    assert store.names() == []
    assert "a001" in store.parked()
    began, _ = run(store, running, 5)
    assert [name for name in began if name[0] == "a"] == ["a001", "a002", "a003", "a004"]
    assert "b000" in began[:3]


@pytest.mark.parametrize("how", ["release", "stall"])
def test_one_that_goes_back_is_before_its_own(store: Keyed, how: str) -> None:
    add(store, "a", 4)
    running = one(store)
    if how == "release":
        store.work.release([running])
    else:
        store.work.stall([running], 5)
    store.add("first", key="k", priority=1)
    running = one(store)
    assert store.names() == []
    began, _ = run(store, running, 4)
    assert began == ["a000", "a001", "a002", "a003"]


def test_removed_jobs_cost_no_turns(store: Keyed) -> None:
    add(store, "a", 50)
    running = one(store)
    add(store, "b", 20)
    assert store.names() == []
    for number in range(1, 50):
        store.writer.remove("q", f"a{number:03}")
    assert store.client.hget(TURNS, "3a") is None
    add(store, "a", 5, start=50)
    assert store.names() == []
    began, _ = run(store, running, 8)
    assert sum(name[0] == "a" for name in began) >= 3


def hold(store: Keyed, org: str) -> None:
    set_tenant(store, org, paused=True)


def limit(store: Keyed, org: str) -> None:
    store.add(org + "-other", organization_id=org, priority=1)
    assert store.names() == [org + "-other"]
    set_tenant(store, org, limit=1)


@pytest.mark.parametrize("how", [hold, limit])
@pytest.mark.parametrize("fifo", [False, True])
def test_an_organization_that_may_not_run_holds_up_no_other_one(
    store: Keyed, how: Callable[[Keyed, str], None], *, fifo: bool
) -> None:
    store.rules(**{"k:m.task": "1 - -"} | ({"f": "0"} if fifo else {}))
    store.add("running", key="k", priority=1)
    running = one(store)
    add(store, "a", 150)
    add(store, "b", 2)
    store.all_names(9)
    assert len(store.parked()) == 152
    how(store, "a")
    began, running = run(store, running, 2)
    assert began == ["b000", "b001"]
    end(store, running)
    store.work.sweep(3)
    assert store.names() == []
    assert store.sound()
    # It continues in order.
    set_tenant(store, "a", paused=False, limit=9)
    store.work.sweep(3)
    running = one(store)
    began, _ = run(store, running, 5)
    assert [running[0], *began] == [f"a{n:03}" for n in range(6)]


def test_a_pause_saves_up_no_turns(store: Keyed) -> None:
    store.add("running", key="k", priority=1)
    running = one(store)
    add(store, "a", 60)
    add(store, "b", 60)
    while store.all_names(9) or len(store.parked()) < 120:
        pass
    hold(store, "a")
    began, running = run(store, running, 20)
    assert began == [f"b{n:03}" for n in range(20)]
    assert store.counts("a")[0] == 60
    set_tenant(store, "a", paused=False)
    add(store, "c", 20)
    began, running = run(store, running, 60)
    by_org = {org: [name for name in began if name[0] == org] for org in "abc"}
    assert by_org["a"] == [f"a{n:03}" for n in range(len(by_org["a"]))]
    assert by_org["b"] == [f"b{n:03}" for n in range(20, 20 + len(by_org["b"]))]
    # Each gets its third of 60, but for the first ones, which begin before the others are parked again.
    assert all(16 <= len(names) <= 24 for names in by_org.values())
    first = [name[0] for name in began[:18]]
    assert all(3 <= first.count(org) <= 9 for org in "abc")
    # Also of one that is paused again and again.
    before = len(by_org["a"])
    for _ in range(5):
        hold(store, "a")
        began, running = run(store, running, 3)
        assert "a" not in {name[0] for name in began}
        set_tenant(store, "a", paused=False)
        began, running = run(store, running, 2)
        mine = [name for name in began if name[0] == "a"]
        assert mine == [f"a{n:03}" for n in range(before, before + len(mine))]
        before += len(mine)
    assert store.sound()


def test_many_of_a_paused_organization_are_passed_step_by_step(store: Keyed) -> None:
    store.rules(**{"k:m.task": "1 - -", "f": "0"})
    store.add("running", key="k", priority=1)
    running = one(store)
    add(store, "a", 700)
    add(store, "b", 1)
    store.all_names(9)
    hold(store, "a")
    end(store, running)
    sweeps = 0
    while not (began := store.names()):
        sweeps += 1
        assert sweeps < 5
        store.work.sweep(3)
    assert began == ["b000"]


def test_parked_jobs_age(store: Keyed) -> None:
    store.rules(**{"k:m.task": "1 - -", "g": "50"})
    store.add("running", key="k", priority=1)
    running = one(store)
    add(store, "low", 2, priority=5)
    assert store.names() == []

    def best() -> bool:
        store.work.sweep(3)
        return bool(store.client.zcount(LINE, 0, 2 * keys.PRIORITY_SPAN) == 2)

    wait_until(best, what="both parked jobs to have the best priority")
    assert store.sound()
    assert len(store.parked()) == 2
    # Ahead of a steady stream of the best priority.
    add(store, "high", 5, priority=1)
    assert store.names() == []
    began, _ = run(store, running, 4)
    assert {"low000", "low001"} <= set(began)


def test_parked_jobs_do_not_age_without_a_time(store: Keyed) -> None:
    store.rules(**{"k:m.task": "1 - -", "g": str(HOUR)})
    add(store, "a", 2, priority=5)
    one(store)
    store.work.sweep(3)
    assert store.client.zcount(LINE, 5 * keys.PRIORITY_SPAN, "+inf") == 1


@pytest.mark.parametrize("org", ["a", None])
def test_claims_of_jobs_with_a_key_go_on_on_a_full_server(
    store: Keyed, redis_server: Server, org: str | None
) -> None:
    store.rules(**{"k:m.task": "1 9 1000"})
    for number in range(3):
        store.add(f"j{number}", key="k", organization_id=org)
    store.add("other", key="other", organization_id=org)
    with full(redis_server):
        running = one(store)
        assert running[0] == "j0"
        # The first write of this one parks a job.
        assert store.names() == ["other"]
        end(store, running)
        assert store.names() == ["j1"]
        store.rules(**{"k:m.task": "2 - -"})
        store.work.sweep(3)
        assert store.names() == ["j2"]


def test_a_job_that_gets_its_key_late_gives_its_limits_back(store: Keyed) -> None:
    store.rules(**{"k:m.task": "1 - -", "t": "1", "l": "9"})
    store.add("b0", key="k", organization_id="b")
    one(store)
    for name in ("a0", "a1", "a2"):
        store.add(name, organization_id="a")
    store.add("c0", organization_id="c")
    late, _ = sorted(store.claim(9))
    assert store.names() == []
    assert store.client.zcard("t:{q}:turns:parked") == 1
    charged = store.client.hget("t:{q}:j:a0", "ev")
    assert charged
    store.client.delete("t:{q}:bell")
    assert store.work.key(*late, "k") is False
    assert store.client.exists("t:{q}:bell")
    assert not store.client.hexists("t:{q}:j:a0", "ev")
    assert store.names() == ["a1"]
    assert store.parked() == ["a0"]


def test_an_erased_organization_is_forgotten_in_lines(store: Keyed) -> None:
    add(store, "a", 3)
    running = one(store)
    add(store, "b", 3)
    assert store.names() == []
    tenants = Tenants(store.redis, "t")
    [found] = tenants.walk("b")
    assert found.lines == [TURNS]
    tenants.erase_jobs("t:{q}:", "b", ["b000", "b001", "b002"])
    assert store.client.hkeys(TURNS) == [b"3a"]
    # What a release that knows no turns has left of it.
    store.client.hset(TURNS, "3b", "5.000 1 0.000")
    [found] = [found for found in tenants.walk("b") if not found.nothing]
    tenants.forget_lines(found.lines, "b")
    assert store.client.hkeys(TURNS) == [b"3a"]
    store.client.hset("t:{q}:kt:m.task:gone", "3b", "5.000 1 0.000")
    assert find_leaks(store.client, "t") == ["t:{q}: kt:m.task:gone: its line is empty"]
    store.client.delete("t:{q}:kt:m.task:gone")
    end(store, running)
    store.writer.obliterate("q", force=True)
    assert store.client.keys("t:{q}:k[tw]:*") == []
