"""Any history of a queue that tenants share, against the plain rule of turns.py."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from hsejobs.store import scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.keys import PRIORITY_SPAN
from hsejobs.store.work import Done, WorkerStore
from hsejobs.store.write import Cancel, JobWriter, NewJob
from tests.store.turns import COSTS, Job, Turns
from tests.support.server import Server

HOUR = 3_600_000
BASE = "t:{q}:"
PARTIES = st.sampled_from(["", "a", "b", "c"])
ORGS = st.sampled_from(["a", "b", "c"])
PICK = st.integers(0, 1000)
COST = st.sampled_from(COSTS)
SERVER: list[Server] = []


class Sharing(RuleBasedStateMachine):
    """Each rule does one thing to Redis and to the model; each claim must be one that the model allows."""

    @initialize()
    def begin(self) -> None:
        self.client = SERVER[0].client()
        self.client.flushall()
        self.redis = RedisClient(SERVER[0].user_url)
        self.writer = JobWriter(self.redis, "t")
        self.work = WorkerStore(self.redis, "t", "q")
        self.model = Turns()
        self.ageing, self.calls, self.failed = True, 0, list[Job]()
        self.redis.run(scripts.RULES, BASE, ["g", HOUR])

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            self.redis.close()
            self.client.close()

    def number(self) -> int:
        self.calls += 1
        return self.calls

    def running(self, pick: int) -> Job | None:
        found = list(self.model.active.values())
        return found[pick % len(found)] if found else None

    def ids(self, most: int = 0) -> list[str]:
        """The first waiting jobs; 0: all."""
        return [str(one, "ascii") for one in self.client.zrange(BASE + "waiting", 0, most - 1)]  # type: ignore[arg-type]

    def wait(self, job: Job) -> None:
        self.model.waiting[job.id] = job

    def end(self, job: Job) -> None:
        """The job has left the active ones."""
        del self.model.active[job.id]

    # -- adding

    @rule(
        party=PARTIES,
        priority=st.sampled_from([1, 2, 3, 3, 3, 5]),
        costs=st.lists(COST, min_size=1, max_size=6),
    )
    def add(self, party: str, priority: int, costs: list[int]) -> None:
        for cost in costs:
            job = Job(f"j{self.number()}", party, priority, 0, cost)
            new = NewJob(job.id, "m.task", b"{}", priority, 1, 0, 0, organization_id=party or None)
            assert self.writer.add("q", new).created
            job.seq = int(self.client.get(BASE + "seq") or 0)
            self.wait(job)

    @rule(party=PARTIES, priority=st.sampled_from([2, 3, 3]), cost=COST)
    def add_by_an_old_release(self, party: str, priority: int, cost: int) -> None:
        job = Job(f"j{self.number()}", party, priority, int(self.client.incr(BASE + "seq")), cost)
        job.listed = False
        place = priority * PRIORITY_SPAN + job.seq
        seconds, us = self.client.time()
        record: dict[Any, Any] = {
            "st": "w",
            "sc": place,
            "n": "m.task",
            "p": priority,
            "am": 0,
            "ax": 1,
            "bo": 0,
        }
        record |= {"to": 0, "ct": int(seconds) * 1000 + int(us) // 1000}
        if party:
            record["o"] = party
            self.client.zadd(f"{BASE}o:waiting:{party}", {job.id: place})
        self.client.set(f"{BASE}p:{job.id}", "{}")
        self.client.hset(f"{BASE}j:{job.id}", mapping=record)
        self.client.zadd(BASE + "waiting", {job.id: place})
        self.wait(job)

    # -- workers

    @rule(want=st.integers(1, 5), dead=st.sampled_from([False, False, False, True]))
    def claim(self, want: int, dead: bool) -> None:
        self.step(want, [], dead=dead)

    @rule(want=st.integers(0, 5), picks=st.lists(PICK, min_size=1, max_size=4))
    def complete(self, want: int, picks: list[int]) -> None:
        self.step(want, picks)

    def step(self, want: int, picks: list[int], *, dead: bool = False) -> None:
        token, done = f"t{self.number()}", []
        for pick in picks:
            if job := self.running(pick):
                self.end(job)
                done.append(Done(job.id, job.token, job.cost, b"null"))
        if not self.client.hexists(BASE + "share", "on"):
            # All jobs that wait are of no organization, or of an old release: a plain FIFO until now.
            self.model.forget()
        letters, claims = self.work.step(done, want, token, 0 if dead else HOUR)
        assert letters == "c" * len(done)
        self.model.claim(want, [one.id for one in claims], token, dead=dead)

    @rule(want=st.integers(1, 3))
    def claim_by_an_old_release(self, want: int) -> None:
        """It takes the first of all, and knows neither turns nor limits."""
        ids = self.ids(want)
        for job_id in ids:
            job = self.model.waiting.pop(job_id)
            job.token, job.listed, job.dead = "old", True, False
            self.client.hset(f"{BASE}j:{job_id}", mapping={"st": "a", "tk": "old", "am": 1})
            self.client.zrem(BASE + "waiting", job_id)
            self.client.zadd(BASE + "active", {job_id: 2**52})
            if job.party:
                self.client.zrem(f"{BASE}o:waiting:{job.party}", job_id)
                self.client.zadd(f"{BASE}o:active:{job.party}", {job_id: 2**52})
            self.model.active[job_id] = job

    @rule(pick=PICK, final=st.booleans())
    def fail(self, pick: int, final: bool) -> None:
        if job := self.running(pick):
            letter, _ = self.work.fail(
                job.id,
                job.token,
                code="error",
                error=b"{}",
                run_us=job.cost,
                final=final,
                delay_ms=HOUR,
            )
            assert letter == "f", "jobs have one attempt"
            self.end(job)
            self.failed.append(job)

    @rule(pick=PICK)
    def postpone(self, pick: int) -> None:
        if job := self.running(pick):
            assert self.work.postpone(job.id, job.token, HOUR)[0] == "d"
            self.end(job)
            self.model.forget(job.party)

    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        if job := self.running(pick):
            assert self.work.release([(job.id, job.token)]) == 1
            self.end(job)
            self.wait(job)
            self.model.forget(job.party)

    @rule(pick=PICK)
    def stall(self, pick: int) -> None:
        """Its worker was killed."""
        if job := self.running(pick):
            assert self.work.stall([(job.id, job.token)], 100) == ["waiting"]
            self.stalled(job)

    def stalled(self, job: Job) -> None:
        self.end(job)
        job.stalls, job.dead = job.stalls + 1, False
        self.wait(job)
        self.model.forget(job.party)

    # -- people

    @rule(pick=PICK, remove=st.booleans())
    def cancel_or_remove(self, pick: int, remove: bool) -> None:
        jobs = list(self.model.waiting.values())
        if not jobs:
            return
        job = jobs[pick % len(jobs)]
        if remove:
            self.writer.remove("q", job.id)
        else:
            assert self.writer.cancel_many("q", [job.id], Cancel("ann", "no")) == []
        del self.model.waiting[job.id]

    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        if self.failed:
            job = self.failed.pop(pick % len(self.failed))
            self.writer.retry("q", job.id)
            job.seq, job.priority, job.age = (
                int(self.client.get(BASE + "seq") or 0),
                job.original,
                0,
            )
            job.stalls = 0
            self.wait(job)

    @rule(pause=st.sampled_from([True, False, False]))
    def pause_or_resume(self, pause: bool) -> None:
        if pause:
            self.writer.pause("q")
        else:
            self.writer.resume("q")
        self.model.paused = pause

    @rule(
        org=ORGS,
        weight=st.sampled_from([1, 1, 3, 0.5]),
        limit=st.sampled_from([None, None, 0, 1, 3]),
        paused=st.sampled_from([False, False, True]),
    )
    def override(self, org: str, weight: float, limit: int | None, paused: bool) -> None:
        text = f"{weight:g} {'-' if limit is None else limit} {int(paused)}"
        self.client.hset(BASE + "tenants", org, text)
        self.client.hset(BASE + "share", "x", "1")
        self.model.overrides[org] = (weight, limit, paused)
        self.model.doubt.add(org)

    @rule(
        fifo=st.sampled_from([False, False, False, True]),
        limit=st.sampled_from([None, None, None, 2, 6]),
        rate=st.sampled_from([None, None, None, 2, 5]),
        tenant_limit=st.sampled_from([None, None, 1, 2]),
        ageing=st.booleans(),
    )
    def configure(
        self,
        fifo: bool,
        limit: int | None,
        rate: int | None,
        tenant_limit: int | None,
        ageing: bool,
    ) -> None:
        rules = {
            "f": "0" if fifo else None,
            "l": limit,
            "t": tenant_limit,
            "g": HOUR if ageing else 0,
        }
        rules["r"] = f"{rate} {HOUR}" if rate else None
        given = [
            part for name, value in rules.items() if value is not None for part in (name, value)
        ]
        self.redis.run(scripts.RULES, BASE, given)
        model, self.ageing = self.model, ageing
        if fifo != model.fifo:
            self.lose()
        if tenant_limit != model.tenant_limit:
            model.doubt |= {"a", "b", "c"}
        if rate is None or model.rate is None:
            # Only what starts under a rate is counted.
            self.client.delete(BASE + "starts")
            model.starts = 0
        model.fifo, model.limit, model.tenant_limit, model.rate = fifo, limit, tenant_limit, rate

    # -- time and accidents

    @rule()
    def an_hour_passes(self) -> None:
        """The times that the queue has recorded are set back, before a sweep."""
        for job in [*self.model.waiting.values(), *self.model.active.values()]:
            key = f"{BASE}j:{job.id}"
            since = self.client.hget(key, "ws") or self.client.hget(key, "ct")
            self.client.hset(key, "ws", int(since or 0) - HOUR)
            job.age += 1
        for at, start in enumerate(self.client.lrange(BASE + "starts", 0, -1)):
            self.client.lset(BASE + "starts", at, str(int(start) - 1000 * HOUR))
        self.model.starts = 0
        self.sweep()

    @rule()
    def sweep(self) -> None:
        swept = self.work.sweep(100)
        dead = [job for job in self.model.active.values() if job.dead]
        assert dict(swept.stalled) == {job.id: "waiting" for job in dead}
        for job in dead:
            self.stalled(job)
        self.model.sweep(ageing=self.ageing)

    @rule()
    def lose_turns(self) -> None:
        self.client.delete(BASE + "turns")
        self.lose()

    def lose(self) -> None:
        for job in self.model.waiting.values():
            job.listed = False
        self.model.forget()

    # -- what must hold after each of them

    @invariant()
    def pairs_are_compared(self) -> None:
        if hasattr(self, "model"):
            self.model.compare()

    @invariant()
    def the_lines_are_those_of_the_waiting_jobs(self) -> None:
        if not hasattr(self, "model"):
            return
        want = sorted(self.model.waiting.values(), key=lambda job: job.order)
        assert self.ids() == [job.id for job in want]


@pytest.mark.timeout(600)  # shrinking a failure takes time
def test_any_history_of_sharing(redis_server: Server) -> None:
    """``TURNS_HISTORIES``: how many."""
    SERVER[:] = [redis_server]
    run_state_machine_as_test(
        Sharing,
        settings=settings(
            max_examples=int(os.environ.get("TURNS_HISTORIES", "40")),
            stateful_step_count=50,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
