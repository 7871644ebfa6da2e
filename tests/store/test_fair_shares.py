"""Turns and limits where the outcome is known: shares, limits, ageing, rates, an upgrade, many tenants."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator

import pytest
import redis

from hsejobs.store import scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.keys import PRIORITY_SPAN
from hsejobs.store.work import Claim, Done, WorkerStore
from hsejobs.store.write import Cancel, JobWriter, NewJob

HOUR = 3_600_000
MS = 1000
BASE = "t:{q}:"


class Queue:
    """A queue of tenants; ``slots`` run jobs in simulated time, and report how long they ran."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        self.redis, self.client = RedisClient(url), client
        self.writer, self.work = JobWriter(self.redis, "t"), WorkerStore(self.redis, "t", "q")
        self.number = 0
        self.clock, self.running = 0, list[tuple[int, int, Claim]]()

    def add(self, party: str, times: int = 1, priority: int = 3) -> list[str]:
        ids = []
        for _ in range(times):
            self.number += 1
            ids.append(f"{party or 'none'}-{self.number}")
            self.writer.add(
                "q", NewJob(ids[-1], "m.t", b"{}", priority, 1, 0, 0, organization_id=party or None)
            )
        return ids

    def claim(self, want: int, *done: Done, lease: int = HOUR) -> list[Claim]:
        self.number += 1
        return self.work.step(done, want, f"t{self.number}", lease)[1]

    def rules(self, **rules: str | int) -> None:
        self.redis.run(scripts.RULES, BASE, [one for pair in rules.items() for one in pair])

    def override(self, party: str, text: str) -> None:
        self.client.hset(BASE + "tenants", party, text)
        self.client.hset(BASE + "share", "x", "1")

    def run(self, slots: int, until: int, costs: dict[str, int]) -> Counter[str]:
        """Runs until a simulated time in us; each party has a backlog. Returns each one's running time."""
        used: Counter[str] = Counter()
        began = self.clock
        done: list[Done] = []
        while True:
            for claim in self.claim(slots - len(self.running), *done):
                party = claim.organization_id or ""
                self.add(party)
                self.number += 1
                end = self.clock + costs[party]
                heapq.heappush(self.running, (end, self.number, claim))
            self.clock, _, claim = heapq.heappop(self.running)
            party = claim.organization_id or ""
            done = [Done(claim.id, claim.token, costs[party], b"null")]
            # What ran before does not count here.
            used[party] += min(costs[party], self.clock - began)
            if self.clock >= until:
                self.claim(0, *done)
                return used


@pytest.fixture
def queue(redis_url: str, redis_client: redis.Redis, no_leaks: None) -> Iterator[Queue]:
    queue = Queue(redis_url, redis_client)
    yield queue
    queue.redis.close()


@pytest.mark.parametrize(
    ("weights", "costs"),
    [
        ({"a": 1, "b": 1}, {"a": 20, "b": 20}),
        ({"a": 3, "b": 1}, {"a": 20, "b": 20}),
        ({"a": 3, "b": 1, "": 1}, {"a": 5, "b": 70, "": 20}),
    ],
)
def test_one_after_another_the_difference_is_at_most_one_job_of_each(
    queue: Queue, weights: dict[str, int], costs: dict[str, int]
) -> None:
    """Start-time fair queueing: |W(a)/w(a) - W(b)/w(b)| <= c(a)/w(a) + c(b)/w(b) at each claim."""
    for party, weight in weights.items():
        queue.add(party, 2)
        if party:
            queue.override(party, f"{weight} - 0")
    got = dict.fromkeys(weights, 0.0)
    done: list[Done] = []
    for _ in range(120):
        (claim,) = queue.claim(1, *done)
        party = claim.organization_id or ""
        queue.add(party)
        done = [Done(claim.id, claim.token, costs[party] * MS, b"null")]
        got[party] += costs[party] * MS / weights[party]
        for one in weights:
            for other in weights:
                bound = (costs[one] / weights[one] + costs[other] / weights[other]) * MS
                # Each charge is rounded to a us.
                assert abs(got[one] - got[other]) <= bound + 120, got


def test_a_limited_tenant_gets_its_limit_and_others_the_rest(queue: Queue) -> None:
    """Its jobs take longer than the estimate; what it has used counts once."""
    queue.override("a", "1 2 0")
    queue.add("a", 20)
    queue.run(10, 400 * MS, {"a": 200 * MS})
    queue.add("b", 20)
    queue.add("c", 20)
    used = queue.run(10, 3400 * MS, {"a": 200 * MS, "b": 20 * MS, "c": 20 * MS})
    assert used["a"] >= 1.8 * 3000 * MS
    assert abs(used["b"] - used["c"]) <= 12 * 20 * MS


def test_a_tenant_that_comes_back_has_no_credit(queue: Queue) -> None:
    queue.add("a", 5)
    queue.add("b", 5)
    queue.add("c")
    queue.run(1, 200 * MS, {"a": 10 * MS, "b": 10 * MS, "c": 10 * MS})
    queue.writer.cancel_many(
        "q",
        [str(one, "ascii") for one in queue.client.zrange(BASE + "o:waiting:c", 0, -1)],  # type: ignore[arg-type]
        Cancel("ann", "no"),
    )
    queue.run(1, 2000 * MS, {"a": 10 * MS, "b": 10 * MS})
    queue.add("c", 5)
    began = queue.clock
    used = queue.run(1, began + 300 * MS, {"a": 10 * MS, "b": 10 * MS, "c": 10 * MS})
    assert max(used.values()) - min(used.values()) <= 2 * 10 * MS, used


def test_what_a_tenant_used_before_it_was_alone_is_forgotten(queue: Queue) -> None:
    """It was charged an hour beside another one; alone it runs free of charge, and then they share."""
    queue.add("a")
    queue.add("b")
    claims = {claim.organization_id: claim for claim in queue.claim(2)}
    queue.claim(
        0,
        *[
            Done(claims[party].id, claims[party].token, us, b"null")
            for party, us in (("a", 3_600_000_000), ("b", 1_000))
        ],
    )
    queue.add("a", 50)
    for _ in range(20):
        (claim,) = queue.claim(1)
        queue.claim(0, Done(claim.id, claim.token, 1_000_000, b"null"))
    queue.work.sweep(3)
    queue.add("b", 20)
    taken = Counter[str | None]()
    for _ in range(20):
        (claim,) = queue.claim(1)
        taken[claim.organization_id] += 1
        queue.claim(0, Done(claim.id, claim.token, 1_000_000, b"null"))
    assert abs(taken["a"] - taken["b"]) <= 2


def test_a_claim_that_reads_turns_again_takes_no_job_twice(queue: Queue) -> None:
    jobs = queue.add("a", 3)
    others = queue.add("b") + queue.add("c")
    # The members of b and c come right after that of a, and have no jobs.
    scores = {f"3{party}": 3 * PRIORITY_SPAN + at for at, party in enumerate("abc")}
    queue.client.zadd(BASE + "turns", scores)
    queue.writer.cancel_many("q", others, Cancel("ann", "no"))
    assert [one.id for one in queue.claim(2)] == jobs[:2]


def test_a_plain_fifo_is_one_also_with_limits_of_tenants(queue: Queue) -> None:
    queue.rules(f="0", t=3)
    jobs = [job for at in range(24) for job in queue.add("abc"[at * at % 3] if at % 4 else "")]
    place = {job: at for at, job in enumerate(jobs)}
    running: list[Claim] = []
    while len(place):
        claims = queue.claim(5)
        held = Counter(one.organization_id for one in running)
        for claim in claims:
            before = [job for job in place if place[job] < place[claim.id]]
            for job in before:
                party = job.partition("-")[0]
                assert held[party] >= 3, f"{job} came before {claim.id}"
            held[claim.organization_id] += 1
            assert claim.organization_id is None or held[claim.organization_id] <= 3
            del place[claim.id]
        running += claims
        assert running
        first = running.pop(0)
        queue.claim(0, Done(first.id, first.token, 5, b"null"))


def test_a_job_begins_at_once_after_turns_are_switched_off_and_on(queue: Queue) -> None:
    queue.add("a", 300)
    queue.override("a", "1 - 1")
    (job,) = queue.add("b")
    for fifo in ("0", "1", "0"):
        queue.rules(f=fifo) if fifo == "0" else queue.rules()
        (claim,) = queue.claim(5)
        assert claim.id == job
        queue.work.release([(claim.id, claim.token)])


def test_a_killed_worker_frees_the_share_of_its_tenant(queue: Queue) -> None:
    queue.rules(t=1)
    first, second = queue.add("a", 2)
    (other,) = queue.add("b")
    assert {one.id for one in queue.claim(3, lease=0)} == {first, other}
    assert queue.claim(3) == []
    assert dict(queue.work.sweep(3).stalled) == {first: "waiting", other: "waiting"}
    # Those that stalled come alone; the limit holds all the time.
    assert {queue.claim(3)[0].id for _ in range(2)} == {first, other}
    assert queue.claim(3) == []
    assert queue.client.zcard(BASE + "o:active:a") == 1
    assert queue.client.zscore(BASE + "o:waiting:a", second)


def test_old_jobs_come_nearer_and_hide_no_others(queue: Queue) -> None:
    queue.rules(g=HOUR)
    late, own = queue.add("a", 4, priority=5), list[str]()

    def half_an_hour_passes() -> list[int]:
        for job in late + own:
            key = f"{BASE}j:{job}"
            since = queue.client.hget(key, "ws") or queue.client.hget(key, "ct") or 0
            queue.client.hset(key, "ws", int(since) - HOUR // 2)
        queue.work.sweep(1)
        scores = [queue.client.zscore(BASE + "waiting", job) or 0 for job in late + own]
        return [int(score // PRIORITY_SPAN) for score in scores]

    assert half_an_hour_passes() == [5] * 4
    own += queue.add("b", priority=4)
    assert half_an_hour_passes() == [4] * 5
    # The old ones are the first of priority 4, and stay.
    assert half_an_hour_passes() == [4, 4, 4, 4, 3]
    assert half_an_hour_passes() == [3] * 5
    for _ in range(6):
        half_an_hour_passes()
    assert half_an_hour_passes() == [1] * 5


def test_a_rate_holds_in_every_window_also_when_it_is_lowered(queue: Queue) -> None:
    queue.rules(r=f"4 {HOUR}")
    queue.add("a", 9)
    queue.add("b", 9)
    assert sum(len(queue.claim(5)) for _ in range(8)) == 4
    starts = queue.client.lrange(BASE + "starts", 0, -1)
    # The first start leaves the window: exactly one more may come.
    queue.client.lset(BASE + "starts", -1, str(int(starts[-1]) - 1000 * HOUR))
    assert sum(len(queue.claim(5)) for _ in range(8)) == 1
    queue.rules(r=f"2 {HOUR}")
    # Three of four are in the window still.
    queue.client.lset(BASE + "starts", -1, str(int(starts[-1]) - 1000 * HOUR))
    assert queue.claim(5) == []
    for at in (-2, -3):
        queue.client.lset(BASE + "starts", at, str(int(starts[-1]) - 1000 * HOUR))
    assert sum(len(queue.claim(5)) for _ in range(8)) == 1


def old_queue(queue: Queue, count: int) -> list[str]:
    """Jobs of 20 organizations and of none, as a release without turns leaves them."""
    ids = [job for at in range(count) for job in queue.add(f"o{at % 20}" if at % 21 else "")]
    queue.client.delete(
        *(BASE + name for name in ("share", "turns", "unowned", "turns:rested", "turns:parked"))
    )
    return ids


def test_an_upgrade_finds_all_jobs_and_gives_turns(queue: Queue) -> None:
    ids = old_queue(queue, 150)
    found: list[str] = []
    while claims := queue.claim(4):
        found += [one.id for one in claims]
        queue.claim(0, *(Done(one.id, one.token, 5 * MS, b"null") for one in claims))
        queue.work.sweep(1)
    assert sorted(found) == sorted(ids)
    parties = Counter(job.partition("-")[0] for job in found[4:67])
    assert len(parties) == 21
    assert max(parties.values()) <= 5


def test_the_first_claim_after_an_upgrade_obeys_the_limits_of_tenants(queue: Queue) -> None:
    ids = old_queue(queue, 60)
    queue.rules(t=1)
    got = [one.id for one in queue.claim(40)]
    parties = Counter(job.partition("-")[0] for job in got if not job.startswith("none"))
    assert set(parties.values()) == {1}
    assert len(got) == 20 + sum(job.startswith("none") for job in ids)


def test_a_claim_costs_the_same_with_many_tenants(queue: Queue) -> None:
    """It reads some turns, and not one for each tenant."""

    def commands() -> int:
        queue.client.config_resetstat()
        claims = queue.claim(4)
        assert len(claims) == 4
        stats = queue.client.info("commandstats")
        return sum(int(one["calls"]) for one in stats.values())

    for party in range(20):
        queue.add(f"few{party}")
    few = commands()
    with queue.client.pipeline(transaction=False) as pipe:
        # Ten thousand tenants: the first has a job, of the others the queue knows a turn and no jobs.
        for party in range(10_000):
            pipe.zadd(BASE + "turns", {f"3many{party}": 4 * PRIORITY_SPAN - 1})
        pipe.execute()
    assert commands() <= few


def test_a_newcomer_is_next_after_the_jobs_of_one_that_was_alone(queue: Queue) -> None:
    """Also if its name comes later: the first one's running job is not charged."""
    queue.add("a", 5)
    (running,) = queue.claim(1)
    (job,) = queue.add("z")
    (claim,) = queue.claim(1, Done(running.id, running.token, 20_000, b"null"))
    assert claim.id == job
