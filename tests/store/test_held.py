"""Held tasks in Redis: which jobs are put aside, what acts do to them, and how they get their places back."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from hsejobs.control import why
from hsejobs.errors import WrongState
from hsejobs.model import State
from hsejobs.store import keys, scripts, waits
from hsejobs.store.holds import Holds
from hsejobs.store.shares import Shares
from hsejobs.store.tenants import Tenants
from hsejobs.store.verify import RecordVerifier
from hsejobs.store.write import Cancel, NewJob
from tests.store.test_acts import Store
from tests.support.waiting import tick

HOUR = 3_600_000
BEHIND = 6 * keys.PRIORITY_SPAN
Pair = tuple[str, str]


class Tasks(Store):
    """A queue with several tasks: a job's task is `m.` and the first letter of its id."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        super().__init__(url)
        self.client, self.holds = client, Holds(self.redis, "t")

    def rules(self, **fields: str) -> None:
        words = [word for pair in fields.items() for word in pair]
        self.redis.run(scripts.RULES, self.work.base, words)

    def put(self, names: str, task: str = "", **options: object) -> None:
        values = {"priority": 3, "attempts": 2, "backoff": 10_000, "timeout": 0, **options}
        for one in names.split():
            new = NewJob(id=one, name=task or f"m.{one[0]}", payload=b"{}", **values)  # type: ignore[arg-type]
            assert self.writer.add("q", new).created

    def hold(self, task: str = "m.a", *others: str, seen: int | None = None) -> bool:
        return self.holds.set("q", task, paused=True, who="ann", other_names=others, seen=seen)

    def free(self, task: str = "m.a", *others: str, seen: int | None = None) -> bool:
        return self.holds.set("q", task, paused=False, who="bob", other_names=others, seen=seen)

    def names(self, n: int = 9) -> list[str]:
        """The ids of the jobs that a worker gets until no claim rings for another one."""
        found = [job for job, _ in self.claim(n)]
        while self.client.delete("t:{q}:bell"):
            found += [job for job, _ in self.claim(n)]
        return found

    def aside(self, task: str = "m.a") -> list[str]:
        found: Any = self.client.zrange(f"t:{{q}}:tw:{task}", 0, -1)
        return [one.decode() for one in found]

    def behind(self) -> int:
        count: int = self.client.zcount("t:{q}:waiting", BEHIND, "+inf")
        return count

    def sound(self) -> bool:
        return not RecordVerifier(self.redis, "t").verify("q").faults


@pytest.fixture
def store(redis_url: str, redis_client: redis.Redis, no_leaks: None) -> Tasks:
    return Tasks(redis_url, redis_client)


@pytest.mark.parametrize("fifo", ["", "0"])
@pytest.mark.parametrize("org", ["one", None])
def test_no_job_of_a_held_task_starts_and_all_others_do(
    store: Tasks, org: str | None, fifo: str
) -> None:
    store.rules(**({"f": fifo} if fifo else {}))
    store.put("a1 a2 b1", organization_id=org)
    running = store.claim(1)
    assert store.hold()
    assert not store.hold()
    store.put("a3 b2", organization_id=org)
    store.put("c1 a4", organization_id="two")
    assert sorted(store.names()) == ["b1", "b2", "c1"]
    assert store.aside() == ["a2", "a3", "a4"]
    assert store.counts() == [3, 4, 0, 0, 0]
    assert store.reader.job("q", "a2").attempts_made == 0
    # One that runs already goes on.
    assert store.done(running[0]) == "c"
    assert store.names() == []
    assert store.sound()
    [held] = store.reader.stats(["q"])[0].held_tasks
    assert (held.task, held.who, held.aside) == ("m.a", "ann", 3)
    [seen] = store.reader.stats(["q"], "one")[0].held_tasks
    assert (seen.task, seen.who, seen.aside) == ("m.a", "", 0)
    assert store.free()
    assert not store.free()
    assert (store.aside(), store.behind()) == ([], 0)
    assert store.reader.stats(["q"])[0].held_tasks == []
    found = store.names()
    assert sorted(found) == ["a2", "a3", "a4"]
    assert [one for one in found if one != "a4"] == ["a2", "a3"]
    assert store.client.keys("t:{q}:t*") == store.client.keys("t:{q}:turns*")
    assert not store.client.hexists("t:{q}:share", "h")


def test_its_priorities_and_places_are_kept(store: Tasks) -> None:
    store.put("a1 a2")
    store.put("a3", priority=1)
    store.hold()
    assert store.names() == []
    store.put("b1", priority=5)
    store.put("a4", priority=2)
    assert store.names(1) == ["b1"]
    store.free()
    store.put("a5", priority=3)
    assert store.names(1) == ["a3", "a4", "a1", "a2", "a5"]


def test_jobs_that_fall_due_are_retried_or_promoted_are_held(store: Tasks) -> None:
    store.put("a1 a2 a5")
    store.put("a3 a4", delay=HOUR)
    failed, later, released = store.claim(3)
    store.hold()
    store.fail(failed)
    store.fail(later, final=False)
    store.work.release([released])
    store.writer.retry("q", "a1")
    store.writer.promote("q", "a2")
    store.writer.promote("q", "a3")
    store.client.hset("t:{q}:j:a4", "ra", 1)
    store.client.zadd("t:{q}:delayed", {"a4": 1})
    assert store.names() == []
    assert sorted(store.aside()) == ["a1", "a2", "a3", "a4", "a5"]
    assert store.counts() == [5, 0, 0, 0, 0]
    assert store.sound()
    store.free()
    assert sorted(store.names()) == ["a1", "a2", "a3", "a4", "a5"]


def test_many_jobs_come_back_in_order_and_new_ones_after_them(store: Tasks) -> None:
    ids = [f"a{n:03}" for n in range(700)]
    store.put(" ".join(ids[:600]))
    store.put("b1")
    store.hold()
    assert store.names(1) == ["b1"]
    assert len(store.aside()) == 600
    store.free()
    # Not all at once.
    assert len(store.aside()) == 400
    store.put(" ".join(ids[600:]))
    assert store.names(50) == ids
    assert store.client.exists("t:{q}:tasks") == 0


def test_a_new_job_does_not_pass_those_of_its_organization_that_are_aside(store: Tasks) -> None:
    store.put(" ".join(f"a{n:03}" for n in range(450)), organization_id="one")
    store.put("a900 a901", organization_id="two")
    store.hold()
    assert store.names() == []
    store.free()
    store.put("a950", organization_id="two")
    # It has a turn, before the others of its organization are back.
    assert store.claim(3)
    assert store.aside()[-1] == "a950"
    assert [one for one in store.names(3) if one >= "a9"] == ["a900", "a901", "a950"]


def test_a_sweep_brings_them_back_too(store: Tasks) -> None:
    store.put(" ".join(f"a{n:03}" for n in range(500)))
    store.hold()
    assert store.names() == []
    store.free()
    assert store.work.sweep(3).moved == 300
    assert (store.aside(), store.behind()) == ([], 0)


def test_held_again_while_it_is_let_go(store: Tasks) -> None:
    store.put(" ".join(f"a{n:03}" for n in range(300)))
    store.hold()
    assert store.names() == []
    store.free()
    assert len(store.aside()) == 100
    assert store.hold()
    assert store.names() == []
    assert len(store.aside()) == 300
    assert store.sound()


# -- acts on jobs that are aside


def test_a_held_job_is_cancelled_removed_restored_and_cleaned(store: Tasks) -> None:
    store.put("a1 a2 a3 a4")
    store.put("a5", organization_id="one")
    before = {one: store.reader.job("q", one).version for one in ("a1", "a2")}
    store.hold()
    assert store.names() == []
    # It has not left its state, for a person who saw it before it was put aside.
    removed = store.writer.remove("q", "a1", seen=before["a1"])
    assert store.aside() == ["a2", "a3", "a4", "a5"]
    store.writer.restore(removed)
    assert store.names() == []
    assert store.aside() == ["a1", "a2", "a3", "a4", "a5"]
    assert store.reader.job("q", "a1").version == before["a1"]
    assert not store.writer.cancel_many("q", [("a2", before["a2"])], Cancel("ann"))
    assert store.aside() == ["a1", "a3", "a4", "a5"]
    assert Tenants(store.redis, "t").erase_jobs("t:{q}:", "one", ["a5"]) == (1, 0)
    assert store.sound()
    assert store.writer.clean("q", State.WAITING, 0, limit=1) == 1
    assert store.writer.drain("q") == 2
    assert store.aside() == []
    assert store.reader.stats(["q"])[0].held_tasks
    store.put("a6")
    assert store.names() == []
    assert store.writer.obliterate("q") == 2
    assert store.reader.stats(["q"])[0].held_tasks == []
    store.put("a7")
    assert store.names() == ["a7"]


def test_a_job_that_is_aside_without_its_line_is_repaired(store: Tasks) -> None:
    store.put("a1 a2")
    store.hold()
    assert store.names() == []
    store.client.delete("t:{q}:tw:m.a")
    verifier = RecordVerifier(store.redis, "t")
    assert {fault.code for fault in verifier.verify("q").faults} == {"bad_score"}
    verifier.verify("q", repair=True)
    assert (store.sound(), store.behind()) == (True, 0)
    assert store.names() == []
    assert store.aside() == ["a1", "a2"]


def test_an_act_is_bound_to_the_hold_that_was_seen(store: Tasks) -> None:
    store.hold()
    [seen] = store.holds.of("q")
    tick(store.redis)
    store.free()
    store.hold()
    with pytest.raises(WrongState):
        store.free(seen=seen.since)
    with pytest.raises(WrongState):
        store.hold(seen=0)
    [now] = store.holds.of("q")
    assert store.free(seen=now.since)


# -- names


def test_a_former_and_a_short_name_are_held_too(store: Tasks) -> None:
    store.rules(**{"k:m.old": ">m.a", "k:old": ">m.a"})
    store.hold("m.a", "m.old", "old", "a")
    for number, name in enumerate(("m.a", "m.old", "old", "a", "m.b")):
        store.put(f"j{number}", name)
    assert store.names() == ["j4"]
    assert store.aside() == ["j0", "j1", "j2", "j3"]
    assert store.sound()


def test_a_task_that_is_renamed_stays_held(store: Tasks) -> None:
    store.put("a1 a2")
    store.hold("m.a")
    assert store.names() == []
    store.rules(**{"k:m.a": ">m.new"})
    store.put("n1", "m.new")
    assert store.names() == []
    assert store.aside() == ["a1", "a2", "n1"]
    assert not store.hold("m.new", "m.a")
    assert store.aside("m.new") == ["a1", "a2", "n1"]
    assert store.sound()
    store.free("m.new", "m.a")
    assert store.names() == ["a1", "a2", "n1"]


def test_two_held_tasks_that_become_one(store: Tasks) -> None:
    store.put("a1 b1")
    store.hold("m.a")
    store.hold("m.b")
    assert store.names() == []
    store.rules(**{"k:m.b": ">m.a"})
    assert not store.hold("m.a", "m.b")
    assert store.names() == []
    assert (store.aside("m.a"), store.aside("m.b")) == (["a1", "b1"], [])
    store.free("m.a", "m.b")
    assert store.names() == ["a1", "b1"]


# -- keys and locks


def test_jobs_that_wait_for_their_key_are_held_and_keep_their_order(store: Tasks) -> None:
    store.rules(**{"k:m.a": "1 - -"})
    store.put("a1 a2 a3", key="k")
    [one] = store.claim(1)
    assert store.names() == []
    store.hold()
    assert store.done(one) == "c"
    store.put("a4", key="k")
    assert store.names() == []
    assert store.sound()
    store.free()
    for wanted in ("a2", "a3", "a4"):
        [next_one] = store.claim(9)
        assert next_one[0] == wanted
        assert store.done(next_one) == "c"
    assert store.sound()


def test_a_lock_is_not_kept_for_a_job_that_is_held(store: Tasks) -> None:
    store.put("c0 a1 b1")
    holder, first, second = store.claim(3)
    assert store.work.lock("l", *holder)
    for pair in (first, second):
        store.work.await_lock(*pair, "l")
    store.hold()
    store.work.unlock("l", *holder)
    # It was handed to a1, which is held: it is b1's.
    assert store.names() == ["b1"]
    assert store.aside() == ["a1"]
    store.free()
    assert store.names() == ["a1"]


def test_why_says_who_holds_the_task_and_since_when(store: Tasks) -> None:
    store.put("a1", organization_id="one")
    store.hold()
    assert store.names() == []
    long_ago = int(store.client.time()[0]) * 1000 - 12 * 60_000
    store.client.hset("t:{q}:tasks", "m.a", f"{long_ago} ann")
    record, facts = waits.read(store.reader, "q", "a1")
    assert facts is not None
    told = why.explain(record, facts).public()
    assert told["code"] == "task_paused"
    assert told["text"] == "its task is paused in this queue: by ann 12m ago"
    limited = why.explain(record, facts, others=False).public()
    assert limited["text"] == "its task is paused in this queue: 12m ago"


def test_why_says_who_holds_the_organization_and_since_when(store: Tasks) -> None:
    store.put("a1", organization_id="one")
    shares = Shares(store.redis, "t")

    def told(**options: bool) -> tuple[str, str]:
        record, facts = waits.read(store.reader, "q", "a1")
        assert facts is not None
        found = why.explain(record, facts, **options).public()
        return found["code"], found["text"].partition(": ")[2]

    def backdate() -> None:
        long_ago = int(store.client.time()[0]) * 1000 - 12 * 60_000
        entry: Any = store.client.hget("t:{q}:tenants", "one")
        words = entry.decode().split(" ")
        store.client.hset("t:{q}:tenants", "one", " ".join([*words[:3], str(long_ago), *words[4:]]))

    shares.set("q", "one", paused=True, who="ann b")
    backdate()
    assert told() == ("tenant_paused", "by ann b 12m ago")
    assert told(others=False) == ("tenant_paused", "12m ago")
    # What is set besides, and a hold of what is held, keep both.
    seen = shares.get("q", "one")
    assert shares.set("q", "one", weight=3, who="bob", seen=seen)
    assert not shares.set("q", "one", paused=True, who="bob")
    assert told() == ("tenant_paused", "by ann b 12m ago")
    assert store.names() == []
    # An entry of an older release has neither.
    store.client.hset("t:{q}:tenants", "one", "3 - 1")
    assert told() == ("tenant_paused", "")
    assert (shares.get("q", "one").held_at, shares.get("q", "one").held_by) == (None, "")
    assert shares.set("q", "one", paused=False, seen=shares.get("q", "one"))
    assert store.client.hget("t:{q}:tenants", "one") == b"3 - 0"
    assert store.names() == ["a1"]
