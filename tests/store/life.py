"""The half of the state machine that adds jobs and works on them; see test_machine.py."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from hsejobs.model import State, new_job_id
from hsejobs.store.read import JobReader
from hsejobs.store.work import Done, WorkerStore
from hsejobs.store.write import JobWriter, NewJob, Removed
from tests.store.plain import BACKOFF, PlainJob, PlainQueue, delay_of
from tests.store.watching import WatchedClient
from tests.support.server import Server

HOUR = 3_600_000
MAX_STALLS = 1
ORGS = ("one", "two")
IDS_LEFT = ("a", "b", "c", "d.1", "one:e")
IDS = st.sampled_from(IDS_LEFT)
ORG = st.sampled_from([None, None, *ORGS])
#: None: no delay; 1: due before the rule ends; an hour: never within a test.
DELAY = st.sampled_from([0, 0, 0, 1, HOUR])
PICK = st.integers(0, 1000)
RARELY = st.integers(0, 3).map(lambda n: n == 3)
RESULTS: tuple[tuple[Any, bytes], ...] = (
    (None, b"null"),
    (7, b"7"),
    ("é" * 60, ('"' + "é" * 60 + '"').encode()),
)
EXTRAS = b'{"expires":{"seconds":5}}'
SERVER: list[Server] = []


class Working(RuleBasedStateMachine):
    """Each rule does one thing to the store and to the model, and compares what both answer."""

    @initialize()
    def begin(self) -> None:
        self.client = SERVER[0].client()
        self.said: dict[tuple[str, str], int] = {}
        self.client.flushall()
        # Raises at a move that the table of transitions does not have.
        self.redis = WatchedClient(SERVER[0].user_url, self.client)
        self.writer, self.reader = JobWriter(self.redis, "t"), JobReader(self.redis, "t")
        self.work = WorkerStore(self.redis, "t", "q", patience=1)
        self.model = PlainQueue()
        self.tokens: list[tuple[str, str]] = []
        self.gone: list[tuple[Removed, PlainJob]] = []
        self.calls = 0
        # Something to work with: most of what can happen needs jobs that run.
        for number in range(5):
            org, priority, attempts = (None, *ORGS)[number % 3], 1 + number % 3, 1 + number % 2
            self.add(IDS_LEFT[number], org, priority, 0, attempts, b"", False)
        self.step(4, False, [])

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            self.redis.close()
            self.client.close()

    # -- choosing

    def next_call(self) -> str:
        """A fresh token; the model's clock goes on."""
        self.calls += 1
        self.model.now = self.calls
        return f"t{self.calls}"

    def any_job(self, pick: int) -> PlainJob | None:
        jobs = sorted(self.model.jobs.values(), key=lambda job: job.id)
        return jobs[pick % len(jobs)] if jobs else None

    def attempt(self, pick: int) -> tuple[str, str]:
        """An attempt that holds its job, or (one time in three) one that may be stale."""
        held = [(j.id, j.token or "") for j in self.model.in_state(State.ACTIVE)]
        if held and pick % 3:
            return held[pick % len(held)]
        return self.tokens[pick % len(self.tokens)] if self.tokens else ("a", "never")

    def clock(self) -> int:
        seconds, us = self.client.time()
        return int(seconds) * 1000 + int(us) // 1000

    def note_due(self, job: PlainJob, delay: int, before: int) -> None:
        """Learns when a delayed job is due, and waits for it when that is at once."""
        due = self.client.zscore("t:{q}:delayed", job.id)
        assert due is not None
        job.run_at = int(due)
        assert before + delay <= job.run_at <= self.clock() + delay
        while delay <= 1 and self.clock() < job.run_at:
            pass

    # -- adding

    @rule(
        job_id=IDS | st.none(),
        org=ORG,
        priority=st.integers(1, 5),
        delay=DELAY,
        attempts=st.integers(1, 3),
        extras=st.sampled_from([b"", EXTRAS]),
        resend=st.booleans(),
    )
    def add(
        self,
        job_id: str | None,
        org: str | None,
        priority: int,
        delay: int,
        attempts: int,
        extras: bytes,
        resend: bool,
    ) -> None:
        token = self.next_call()
        nonce = token if job_id else ""
        there = self.model.jobs.get(job_id or "")
        if there and resend:
            nonce = there.nonce
        new = NewJob(
            id=job_id or new_job_id(),
            name="m.task",
            payload=b'{"a":1}',
            priority=priority,
            attempts=attempts,
            backoff=BACKOFF,
            timeout=0,
            delay=delay,
            organization_id=org,
            user_id="u",
            extras=extras,
            nonce=nonce,
        )
        before = self.clock()
        added = self.writer.add("q", new)
        if there:
            assert (added.created, added.status) == (nonce == there.nonce, there.state)
            return
        assert added.created
        job = self.model.jobs[new.id] = PlainJob(new.id, nonce, org, priority, attempts, extras)
        if delay:
            job.state = State.DELAYED
            self.note_due(job, delay, before)
        else:
            self.model.enter_waiting(job)
        assert added.status is job.state

    # -- workers

    @rule(want=st.integers(1, 4), dead=RARELY)
    def claim(self, want: int, dead: bool) -> None:
        self.step(want, dead, [])

    @rule(want=st.integers(0, 3), dead=RARELY, picks=st.lists(PICK, max_size=3))
    def step(self, want: int, dead: bool, picks: list[int]) -> None:
        """Completes some and claims some, in one call; then the same again, as after a lost reply."""
        token = self.next_call()
        chosen = dict.fromkeys(self.attempt(pick) for pick in picks)
        results = [RESULTS[pick % 3] for pick in picks]
        done = [Done(*pair, 5, result[1]) for pair, result in zip(chosen, results, strict=False)]
        letters = "".join(
            self.model.complete(*pair, result[0], nth)
            for nth, (pair, result) in enumerate(zip(chosen, results, strict=False))
        )
        lease = 0 if dead else 60_000
        told, claims = self.work.step(done, want, token, lease)
        got = [claim.id for claim in claims]
        taken = self.model.claim(want, token, got, dead=dead, now_ms=self.clock())
        assert told == letters
        assert [(c.id, c.attempt, c.stalls) for c in claims] == [
            (job.id, job.made, job.stalls) for job in taken
        ]
        assert all(c.payload == b'{"a":1}' and c.token == token for c in claims)
        assert [c.extras for c in claims] == [bool(job.extras) for job in taken]
        self.tokens += [(job.id, token) for job in taken]
        if claims:
            repeated, same = self.work.step(done, want, token, lease, again=True)
            assert repeated == letters
            assert sorted((c.id, c.attempt) for c in same) == sorted(
                (c.id, c.attempt) for c in claims
            )

    @rule(pick=PICK, final=st.booleans(), delay=st.sampled_from([None, 1, HOUR]))
    def fail(self, pick: int, final: bool, delay: int | None) -> None:
        self.next_call()
        job_id, token = self.attempt(pick)
        before = self.clock()
        letter, _ = told = self.work.fail(
            job_id,
            token,
            code="error",
            error=b'{"error":"no"}',
            run_us=10,
            final=final,
            delay_ms=delay,
        )
        want, changed = self.model.fail(job_id, token, code="error", final=final)
        assert letter == want
        if changed and letter == "d":
            job = self.model.jobs[job_id]
            real = delay_of(BACKOFF, job.made, delay or 0)
            assert told == ("d", real)
            self.note_due(job, real, before)

    @rule(pick=PICK, delay=st.sampled_from([1, HOUR]))
    def postpone(self, pick: int, delay: int) -> None:
        self.next_call()
        job_id, token = self.attempt(pick)
        before = self.clock()
        letter, _ = self.work.postpone(job_id, token, delay)
        want, changed = self.model.postpone(job_id, token)
        assert letter == want
        if changed:
            self.note_due(self.model.jobs[job_id], delay, before)

    @rule(picks=st.lists(PICK, min_size=1, max_size=2))
    def release(self, picks: list[int]) -> None:
        self.next_call()
        pairs = list(dict.fromkeys(self.attempt(pick) for pick in picks))
        assert self.work.release(pairs) == sum(self.model.release(*pair) for pair in pairs)

    @rule(picks=st.lists(PICK, min_size=1, max_size=3), dead=st.booleans())
    def renew(self, picks: list[int], dead: bool) -> None:
        pairs = list(dict.fromkeys(self.attempt(pick) for pick in picks))
        lost = self.work.renew(pairs, 0 if dead else 60_000)
        held = [self.model.holds(*pair) for pair in pairs]
        assert lost == {pair for pair, job in zip(pairs, held, strict=True) if job is None}
        for job in filter(None, held):
            job.dead = dead

    @rule(pick=PICK, percent=st.integers(0, 100), message=st.sampled_from(["", "half"]))
    def progress(self, pick: int, percent: int, message: str) -> None:
        pair = self.attempt(pick)
        job = self.model.holds(*pair)
        assert self.work.progress(*pair, percent, message) == (job is not None)
        if job:
            job.progress = (percent, message or None)

    @rule(pick=PICK, mark=st.sampled_from(["m", "n"]))
    def log_and_mark(self, pick: int, mark: str) -> None:
        pair = self.attempt(pick)
        job = self.model.holds(*pair)
        before = self.said.get(pair, 0)
        assert self.work.log(*pair, ["x", mark], before) == (job is not None)
        # A call whose reply was lost is sent again, and changes nothing.
        assert self.work.log(*pair, ["x", mark], before) == (job is not None)
        self.said[pair] = before + 2
        fresh = self.work.mark(*pair, mark, put=True)
        assert fresh == (None if job is None else mark not in job.marks)
        assert self.work.checkpoint(*pair, mark.encode()) == (job is not None)
        if job:
            job.lines += ["x", mark]
            job.marks.add(mark)
            job.checkpoint = mark.encode()

    @rule(pick=PICK, begins=st.booleans())
    def alone(self, pick: int, begins: bool) -> None:
        """A job waits to run alone, or begins to."""
        pair = self.attempt(pick)
        job = self.model.holds(*pair)
        assert (self.work.alone(*pair, begins=begins) is None) == (job is None)
        if job and begins:
            job.alone = True

    @rule(pick=PICK)
    def stall(self, pick: int) -> None:
        """The death of a worker was noticed."""
        self.next_call()
        pair = self.attempt(pick)
        job = self.model.holds(*pair)
        want = self.model.stall(job, MAX_STALLS) if job else "refused"
        assert self.work.stall([pair], MAX_STALLS) == [want]

    @rule()
    def sweep(self) -> None:
        """Expired leases and due jobs."""
        self.next_call()
        swept = self.work.sweep(MAX_STALLS)
        assert swept.moved == self.model.fall_due(swept.now)
        dead = [job for job in self.model.in_state(State.ACTIVE) if job.dead]
        assert dict(swept.stalled) == {job.id: self.model.stall(job, MAX_STALLS) for job in dead}
        cancelled = [job for job in self.model.in_state(State.ACTIVE) if job.cancelled]
        assert sorted(swept.cancelled) == sorted((job.id, job.token) for job in cancelled)
        assert (swept.next_due is None) == (not self.model.in_state(State.DELAYED))
