"""The rule of turns and limits as a plain model: which claims of a queue's waiting jobs are right.

It computes no virtual time. A claim is right if no job that should have come before it waits, no limit
is exceeded, and no job that may start is left; shares are compared by the running time that parties got.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

#: Running times of jobs in us. The first estimate of a task is within them.
COSTS = (1_000, 5_000, 10_000, 20_000)
#: What a weight, a limit (None: the queue's) and a pause are for a tenant without overrides.
PLAIN = (1.0, None, False)


@dataclass
class Job:
    """A job that waits or runs. ``party`` '' stands for jobs of no organization."""

    id: str
    party: str
    priority: int
    seq: int
    cost: int
    #: Whether the current release knows that it waits; those of an old release are found by a sweep.
    listed: bool = True
    #: How many times the ageing time has passed since it was added.
    age: int = 0
    original: int = 0
    token: str = ""
    dead: bool = False
    stalls: int = 0

    def __post_init__(self) -> None:
        self.original = self.original or self.priority

    @property
    def order(self) -> tuple[int, int]:
        return (self.priority, self.seq)


@dataclass
class Turns:
    """The queue. ``doubt``: parties whose limits have changed since the last sweep."""

    waiting: dict[str, Job] = field(default_factory=dict)
    active: dict[str, Job] = field(default_factory=dict)
    overrides: dict[str, tuple[float, int | None, bool]] = field(default_factory=dict)
    paused: bool = False
    fifo: bool = False
    limit: int | None = None
    tenant_limit: int | None = None
    rate: int | None = None
    starts: int = 0
    doubt: set[str] = field(default_factory=set)
    #: By pair of (priority, party): how much more running time by weight the first one has got.
    ahead: dict[tuple[tuple[int, str], tuple[int, str]], float] = field(default_factory=dict)
    #: The most jobs of each party that ran at the same time.
    most: dict[str, int] = field(default_factory=dict)

    def weight(self, party: str) -> float:
        return self.overrides.get(party, PLAIN)[0]

    def running(self, party: str) -> int:
        return sum(job.party == party for job in self.active.values())

    def limit_of(self, party: str) -> int | None:
        if not party:
            return None
        own = self.overrides.get(party, PLAIN)[1]
        return self.tenant_limit if own is None else own

    def may_start(self, party: str) -> bool:
        limit = self.limit_of(party)
        held = self.overrides.get(party, PLAIN)[2]
        return not held and (limit is None or self.running(party) < limit)

    def room(self, want: int) -> int:
        """How many of ``want`` the queue's own limit, rate and pause allow."""
        if self.paused:
            return 0
        if self.limit is not None:
            want = min(want, self.limit - len(self.active))
        if self.rate is not None:
            # One claim starts one job: the next of it would begin later, in another window.
            want = min(want, 1, self.rate - self.starts)
        return max(0, want)

    def ready(self) -> list[Job]:
        """The jobs that must be found and may start, best priority first."""
        found = [
            job
            for job in self.waiting.values()
            if job.listed and job.party not in self.doubt and self.may_start(job.party)
        ]
        return sorted(found, key=lambda job: job.order)

    def claim(self, want: int, got: list[str], token: str, *, dead: bool = False) -> list[Job]:
        """Raises AssertionError unless the claim was right; the jobs are active then."""
        room = self.room(want)
        assert len(got) <= room, "over the queue's limit or rate, or paused"
        taken: list[Job] = []
        for job_id in got:
            assert job_id in self.waiting, f"{job_id} does not wait, or was claimed twice"
            job = self.waiting[job_id]
            assert self.may_start(job.party), f"{job.party} is paused or at its limit"
            before = [one for one in self.ready() if one.order < job.order]
            if not self.fifo:
                before = [o for o in before if o.priority < job.priority or o.party == job.party]
            assert not before, f"{before[0]} comes before {job}"
            assert not (taken and (job.stalls or taken[-1].stalls)), "a stalled job comes alone"
            taken.append(self.waiting.pop(job_id))
            self.active[job_id] = job
            job.token, job.dead, job.listed = token, dead, True
            self.most[job.party] = max(self.most.get(job.party, 0), self.running(job.party))
            self.charge(job)
        if self.rate is not None:
            self.starts += len(got)
        stalled = any(job.stalls for job in [*taken, *self.waiting.values()])
        if len(got) < room and not stalled:
            assert not self.ready(), f"{self.ready()[0]} could have started"
        return taken

    # -- shares

    def backlogged(self) -> set[tuple[int, str]]:
        """The parties, by priority, whose running time must be in proportion to their weights."""
        return {
            (job.priority, job.party)
            for job in self.waiting.values()
            if job.listed
            and not self.fifo
            and job.party not in self.doubt
            and self.limit_of(job.party) is None
            and not self.overrides.get(job.party, PLAIN)[2]
        }

    def compare(self) -> None:
        """Ends the comparison of pairs of which one has no backlog, begins that of new pairs."""
        pairs = set(combinations(sorted(self.backlogged()), 2))
        same = {(a, b) for a, b in pairs if a[0] == b[0]}
        self.ahead = {pair: self.ahead.get(pair, 0.0) for pair in same}

    def forget(self, party: str | None = None) -> None:
        """Begins to compare again: after what is not charged by running time."""
        self.ahead = {
            pair: 0.0 if party is None or party in (pair[0][1], pair[1][1]) else value
            for pair, value in self.ahead.items()
        }

    def charge(self, job: Job) -> None:
        here = (job.priority, job.party)
        for pair in self.ahead:
            if here in pair:
                sign = 1 if here == pair[0] else -1
                self.ahead[pair] += sign * job.cost / self.weight(job.party)
                assert abs(self.ahead[pair]) <= self.bound(pair), (pair, self.ahead[pair])

    def bound(self, pair: tuple[tuple[int, str], tuple[int, str]]) -> float:
        """The largest job of each, and what those that run may differ from their estimates."""
        largest = max(COSTS)
        return sum(
            (2 + 2 * self.most.get(party, 0)) * largest / self.weight(party) for _, party in pair
        )

    # -- time

    def sweep(self, *, ageing: bool) -> None:
        """Everything is found; jobs that have waited for long come nearer by one priority."""
        if ageing:
            for job in self.waiting.values():
                if job.priority > 1 and job.age >= job.original - job.priority + 1:
                    job.priority -= 1
        for job in self.waiting.values():
            job.listed = True
        self.doubt.clear()
