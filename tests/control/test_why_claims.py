"""Why a waiting job waits is what the next claim finds: with limits by key, queue and tenant, and rates."""

from __future__ import annotations

import random

import pytest
import redis

from hsejobs.control import why
from hsejobs.control.actors import Actor
from hsejobs.store import scripts
from tests.store.test_acts import Store
from tests.support import wait_until

OPERATOR = Actor("cli")
HOUR = 3_600_000
#: Causes that a claim passes over, and those of jobs that one takes.
HELD = {"key_limit", "key_rate", "tenant_limit", "limit", "rate"}
#: The rules of a queue: its task's keys ("limit n ms"), its own limit, that of a tenant, its order.
RULES: dict[str, dict[str, str]] = {
    "a limit by key": {"k:m.task": "2 - -"},
    "a rate by key": {"k:m.task": f"- 1 {HOUR}"},
    "both": {"k:m.task": f"1 2 {HOUR}"},
    "both, and a limit": {"k:m.task": f"1 3 {HOUR}", "l": "3"},
    "a limit by key in a plain FIFO": {"k:m.task": "1 - -", "f": "0"},
    "a limit by key and one of a tenant": {"k:m.task": "2 - -", "t": "2"},
    "these and one of the queue": {"k:m.task": "2 - -", "t": "2", "l": "4"},
    "a limit of a tenant in a plain FIFO": {"t": "2", "f": "0"},
}


class Told(Store):
    """A queue with one consumer of some workers."""

    def __init__(self, url: str, workers: int, rules: dict[str, str]) -> None:
        super().__init__(url)
        self.workers = workers
        text = b'{"concurrency": %d, "hung": 0, "tasks": ["m.task"]}' % workers
        self.work.heartbeat("w", text, HOUR)
        words = [word for pair in rules.items() for word in pair]
        self.redis.run(scripts.RULES, self.work.base, words)
        self.running: list[tuple[str, str]] = []

    def why(self, job_id: str) -> dict[str, object]:
        found = why.read(self.reader, "q", job_id, OPERATOR).why
        assert found is not None
        return found

    def free(self) -> int:
        return self.workers - len(self.running)

    def take(self, n: int) -> list[str]:
        pairs = self.claim(n)
        self.running += pairs
        return [job_id for job_id, _ in pairs]


def test_a_job_whose_key_is_full_before_a_claim_has_parked_it(redis_url: str) -> None:
    """Seen: it was said to be next."""
    store = Told(redis_url, 4, {"k:m.task": "1 - -"})
    for job_id in "abc":
        store.add(job_id, key="k")
        if job_id == "a":
            assert store.take(1) == ["a"]
    told = store.why("b")
    assert (told["code"], told["place"]) == ("key_limit", 0)
    assert store.why("c")["code"] == "key_limit"
    assert store.take(3) == []
    assert store.why("b") == told
    # One that has been due since the last sweep will not start either.
    store.add("d", key="k", delay=1)
    wait_until(lambda: store.why("d")["code"] == "key_limit", 5, "a cause of a due job")


def test_a_key_is_not_full_of_jobs_that_have_ended(
    redis_url: str, redis_client: redis.Redis
) -> None:
    """A release that does not know keys leaves its jobs among those that run."""
    store = Told(redis_url, 4, {"k:m.task": "1 - -"})
    redis_client.zadd("t:{q}:ka:m.task:k", {"gone": 1})
    store.add("a", key="k")
    assert store.why("a")["code"] == "next"
    assert store.take(1) == ["a"]


@pytest.mark.parametrize("name", RULES)
def test_a_cause_is_what_the_next_claim_finds(name: str, redis_url: str) -> None:
    rng, tenants = random.Random(name), "t" in RULES[name]
    store, added, waits, seen = Told(redis_url, 6, RULES[name]), 0, set[str](), set[str]()
    for _ in range(60):
        for _ in range(rng.randrange(3)):
            org = rng.choice([None, "o1", "o2"]) if tenants else None
            key = rng.choice(["", "k1", "k2"])
            priority = rng.choice([2, 3, 3, 4]) if tenants else 3
            store.add(f"j{added}", key=key, organization_id=org, priority=priority)
            waits.add(f"j{added}")
            added += 1
        for pair in rng.sample(store.running, rng.randrange(min(3, len(store.running) + 1))):
            store.running.remove(pair)
            store.done(pair)
        told = {job_id: str(store.why(job_id)["code"]) for job_id in sorted(waits)}
        seen |= set(told.values())
        # One that claims several at once may take those whose turns come at the same time in another order.
        taken = set[str]()
        while got := store.take(min(1, store.free()) if tenants else store.free()):
            taken |= set(got)
        waits -= taken
        for job_id, code in told.items():
            assert not (code in HELD and job_id in taken), (job_id, code)
        following = [job_id for job_id, code in told.items() if code == "next"]
        assert set(following) <= taken, (following, taken)
    assert "next" in seen
    assert seen & HELD
