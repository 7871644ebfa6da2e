"""The place that a waiting job shows is its true one, within 5 %: whatever shares the queue with it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import redis

from hsejobs.control.why import place_of
from hsejobs.store import scripts, waits
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.work import Claim, Done, WorkerStore
from hsejobs.store.write import JobWriter, NewJob

HOUR = 3_600_000
BASE = "t:{q}:"


@dataclass
class Mix:
    """What waits: parties, how many jobs each has, the tasks' run times in ms, and the rules."""

    parties: int
    most: int
    costs: tuple[int, ...] = (20,)
    priorities: tuple[int, ...] = (3,)
    slots: int = 4
    weights: tuple[int, ...] = (1,)
    rules: dict[str, str | int] = field(default_factory=dict)
    limits: tuple[int | None, ...] = (None,)
    paused: int = 0


class Field:
    """A queue whose ``slots`` run jobs in simulated time."""

    def __init__(self, url: str, client: redis.Redis, mix: Mix, rng: random.Random) -> None:
        self.redis, self.client, self.mix, self.rng = RedisClient(url), client, mix, rng
        self.writer, self.work = JobWriter(self.redis, "t"), WorkerStore(self.redis, "t", "q")
        self.reader = JobReader(self.redis, "t")
        self.calls = self.clock = 0
        self.running: list[tuple[int, int, Claim]] = []
        self.started: list[str] = []
        heartbeat = b'{"concurrency": %d, "hung": 0, "tasks": []}' % mix.slots
        self.work.heartbeat("w", heartbeat, HOUR)
        words = [one for pair in mix.rules.items() for one in pair]
        if words:
            self.redis.run(scripts.RULES, BASE, words)

    def fill(self) -> list[str]:
        """Adds jobs in random order; returns the ids."""
        mix, rng, jobs = self.mix, self.rng, []
        for number in range(mix.parties):
            party = f"org-{rng.randrange(10**6)}" if number else ""
            weight, limit = rng.choice(mix.weights), rng.choice(mix.limits)
            paused = int(0 < number <= mix.paused)
            if party and (weight != 1 or limit or paused):
                self.client.hset(BASE + "tenants", party, f"{weight} {limit or '-'} {paused}")
                self.client.hset(BASE + "share", "x", "1")
            jobs += [(party, at) for at in range(rng.randint(1, mix.most))]
        rng.shuffle(jobs)
        for number, (party, _) in enumerate(jobs):
            task, priority = rng.choice(mix.costs), rng.choice(mix.priorities)
            new = NewJob(
                f"j{number}", f"m.{task}", b"{}", priority, 1, 0, 0, organization_id=party or None
            )
            self.writer.add("q", new)
        return [f"j{number}" for number in range(len(jobs))]

    def run(self, jobs: int) -> None:
        """Runs until this many more jobs have started, or none can."""
        until, done = len(self.started) + jobs, list[Done]()
        while True:
            self.calls += 1
            want = min(self.mix.slots - len(self.running), until - len(self.started))
            for claim in self.work.step(done, want, f"t{self.calls}", HOUR)[1]:
                self.calls += 1
                self.started.append(claim.id)
                cost = int(claim.name.removeprefix("m.")) * 1000
                heapq.heappush(self.running, (self.clock + cost, self.calls, claim))
            if not self.running or len(self.started) >= until:
                return
            self.clock, _, claim = heapq.heappop(self.running)
            cost = int(claim.name.removeprefix("m.")) * 1000
            done = [Done(claim.id, claim.token, cost, b"null")]

    def place(self, job_id: str) -> int | None:
        _, facts = waits.read(self.reader, "q", job_id)
        return place_of(facts) if facts else None


MIXES = {
    "a plain queue": Mix(1, 300, priorities=(1, 3, 5)),
    "no turns": Mix(6, 60, rules={"f": "0"}),
    "turns": Mix(10, 60),
    "few jobs of many": Mix(150, 3),
    "weights": Mix(8, 80, weights=(1, 2, 5)),
    "priorities": Mix(8, 80, priorities=(1, 2, 3)),
    "tasks of other lengths": Mix(6, 120, costs=(5, 20, 80)),
    "a paused organization": Mix(6, 80, paused=2),
    "no turns, a paused one": Mix(6, 80, paused=2, rules={"f": "0"}),
    "limits": Mix(6, 100, limits=(None, None, 1), slots=6),
    "most are limited": Mix(4, 100, limits=(None, 1, 1), slots=6),
    # Which of turns and limits decides changes as organizations run out of jobs.
    "all are limited to their share": Mix(4, 100, slots=8, rules={"t": "2"}),
    "limits about the share": Mix(4, 100, limits=(None, 3), slots=8),
    "limits about the share, weights": Mix(4, 100, limits=(None, 2), slots=6, weights=(1, 2)),
}


@pytest.fixture
def made(redis_url: str, redis_client: redis.Redis) -> Iterator[list[Field]]:
    fields: list[Field] = []
    yield fields
    for one in fields:
        one.redis.close()


@pytest.mark.parametrize("name", MIXES)
def test_the_place_is_the_true_one(
    made: list[Field], redis_url: str, redis_client: redis.Redis, name: str
) -> None:
    rng = random.Random(name)
    field = Field(redis_url, redis_client, MIXES[name], rng)
    made.append(field)
    ids = field.fill()
    # The first jobs teach what each task costs.
    field.run(min(60, len(ids) // 4))
    waiting = sorted(set(ids) - set(field.started))
    places = {one: field.place(one) for one in rng.sample(waiting, min(60, len(waiting)))}
    before = len(field.started)
    field.run(len(ids))
    rows = []
    for one, place in places.items():
        if one not in field.started:
            # Of a paused organization.
            continue
        assert place is not None
        rows.append((place, field.started.index(one) - before))
    assert len(rows) > 10
    # Of turns that come at the same time, the order depends on which running job ends first: one job
    # more or less of every second party. One of a party at its limit starts when that party's running job
    # ends: until then the other slots take up to one job each.
    mix = MIXES[name]
    slack = max(3, mix.parties / 2, mix.slots if any(mix.limits) else 0)
    assert [row for row in rows if abs(row[0] - row[1]) > slack + 0.05 * row[1]] == []
    total = sum(true for _, true in rows)
    assert sum(abs(place - true) for place, true in rows) <= 0.05 * total
