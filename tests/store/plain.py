"""The job's life as a plain Python model: what the store must do, without Redis."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from hsejobs.model import BACKOFF_FACTOR, LONGEST_BACKOFF_MS, State

BACKOFF = 10_000


def delay_of(base: int, made: int, least: int) -> int:
    """The rule in exact numbers: base x 5^(made-1), at most a day or the base, at least ``least``."""
    grown: int = min(base * BACKOFF_FACTOR ** (made - 1), max(base, LONGEST_BACKOFF_MS))
    return max(grown, least)


@dataclass
class PlainJob:
    """The expected state of one job."""

    id: str
    nonce: str
    org: str | None
    priority: int
    attempts: int
    extras: bytes
    state: State = State.WAITING
    seq: int = 0
    run_at: int = 0
    made: int = 0
    stalls: int = 0
    #: Whether it began to run alone under its token.
    alone: bool = False
    #: Of the last claim; none while a stall, a release or a retry has taken it away.
    token: str | None = None
    dead: bool = False
    ended: tuple[int, int] = (0, 0)
    code: str | None = None
    errors: int = 0
    lines: list[str] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    checkpoint: bytes | None = None
    progress: tuple[float, str | None] = (0, None)
    result: Any = None
    cancelled: bool = False

    @property
    def order(self) -> tuple[Any, ...]:
        """Its place in the index of its state, lowest first."""
        if self.state is State.WAITING:
            return (self.priority, self.seq, self.id)
        if self.state is State.DELAYED:
            return (self.run_at, self.id)
        return (*self.ended, self.id)


class PlainQueue:
    """The queue. ``now`` is a number of the call, so that what ended later sorts later."""

    def __init__(self) -> None:
        self.jobs: dict[str, PlainJob] = {}
        self.paused = False
        self.seq = 0
        self.now = 0

    def in_state(self, state: State, org: str | None = None) -> list[PlainJob]:
        """The jobs of a state (and organization) in the order of their index."""
        found = [
            job
            for job in self.jobs.values()
            if job.state is state and (org is None or job.org == org)
        ]
        return sorted(found, key=lambda job: job.order)

    def counts(self, org: str | None = None) -> dict[str, int]:
        return {state.value: len(self.in_state(state, org)) for state in State}

    def enter_waiting(self, job: PlainJob) -> None:
        """At the end of its priority."""
        self.seq += 1
        job.state, job.seq = State.WAITING, self.seq

    def end(self, job: PlainJob, state: State, nth: int = 0) -> None:
        job.state, job.ended = state, (self.now, nth)

    # -- transitions

    def fall_due(self, now_ms: int) -> int:
        due = [job for job in self.in_state(State.DELAYED) if job.run_at <= now_ms]
        for job in due:
            self.enter_waiting(job)
        return len(due)

    def heads(self) -> list[PlainJob]:
        """The jobs that may be claimed next: the first of each organization with the best priority."""
        first: dict[str | None, PlainJob] = {}
        for job in self.in_state(State.WAITING):
            first.setdefault(job.org, job)
        best = min((job.priority for job in first.values()), default=0)
        return [job for job in first.values() if job.priority == best]

    def claim(
        self, n: int, token: str, got: list[str], *, dead: bool, now_ms: int
    ) -> list[PlainJob]:
        """Claims the jobs that Redis claimed, if any order of turns allows that (see test_turns)."""
        if self.paused or n < 1:
            return []
        self.fall_due(now_ms)
        taken: list[PlainJob] = []
        for job_id in got:
            job = self.jobs[job_id]
            assert job in self.heads()
            assert not taken or not (job.stalls or taken[-1].stalls)
            taken.append(job)
            job.state, job.token, job.dead = State.ACTIVE, token, dead
            job.alone = False
            job.made += 1
        if len(taken) < n and not (taken and taken[-1].stalls):
            assert not self.heads() or (taken and any(job.stalls for job in self.heads()))
        return taken

    def holds(self, job_id: str, token: str) -> PlainJob | None:
        """The job when it is active and this attempt's."""
        job = self.jobs.get(job_id)
        return job if job and job.state is State.ACTIVE and job.token == token else None

    def ended_by(self, job_id: str, token: str, *states: State) -> PlainJob | None:
        """The job when this attempt brought it where it is: a call that is sent again."""
        job = self.jobs.get(job_id)
        return job if job and job.state in states and job.token == token else None

    def cancel(self, job: PlainJob) -> None:
        """What a person does to a job that has not ended."""
        job.cancelled = True
        if job.state is not State.ACTIVE or job.dead:
            self._end_cancelled(job)

    def _end_cancelled(self, job: PlainJob) -> None:
        job.errors += 1
        job.code = "cancelled"
        self.end(job, State.FAILED)

    def cancelled_by(self, job_id: str, token: str) -> bool:
        """Whether the attempt's job is cancelled; ends it if it runs."""
        job = self.holds(job_id, token) or self.ended_by(job_id, token, State.FAILED)
        if job is None or not job.cancelled:
            return False
        if job.state is State.ACTIVE:
            self._end_cancelled(job)
        return True

    def complete(self, job_id: str, token: str, result: Any, nth: int) -> str:
        if self.cancelled_by(job_id, token):
            return "k"
        job = self.holds(job_id, token)
        if job is None:
            return "c" if self.ended_by(job_id, token, State.COMPLETED) else "r"
        self.end(job, State.COMPLETED, nth)
        job.result, job.checkpoint = result, None
        return "c"

    def fail(self, job_id: str, token: str, *, code: str, final: bool) -> tuple[str, bool]:
        """The outcome, and whether it changed anything."""
        if self.cancelled_by(job_id, token):
            return "k", False
        job = self.holds(job_id, token)
        if job is None:
            before = self.ended_by(job_id, token, State.DELAYED, State.FAILED)
            return (before.state.letter if before else "r"), False
        job.errors += 1
        job.code = code
        if final or job.made >= job.attempts:
            self.end(job, State.FAILED)
        else:
            job.state, job.progress = State.DELAYED, (0, None)
        return job.state.letter, True

    def postpone(self, job_id: str, token: str) -> tuple[str, bool]:
        if self.cancelled_by(job_id, token):
            return "k", False
        job = self.holds(job_id, token)
        if job is None:
            return ("d" if self.ended_by(job_id, token, State.DELAYED) else "r"), False
        job.state, job.made, job.progress = State.DELAYED, job.made - 1, (0, None)
        return "d", True

    def release(self, job_id: str, token: str) -> int:
        job = self.holds(job_id, token)
        if job is None:
            return 0
        if not self.cancelled_by(job_id, token):
            self._back(job)
        return 1

    def stall(self, job: PlainJob, max_stalls: int) -> str:
        if job.cancelled:
            self._end_cancelled(job)
            return "cancelled"
        job.stalls += 1
        if job.stalls > max_stalls and (job.alone or max_stalls == 0):
            job.errors += 1
            job.code = "stalled"
            self.end(job, State.FAILED)
            return "failed"
        self._back(job)
        return "waiting"

    def _back(self, job: PlainJob) -> None:
        """To the place that it had, as if it had not been claimed."""
        job.state, job.token, job.alone = State.WAITING, None, False
        job.made -= 1
        job.progress = (0, None)

    def retry(self, job: PlainJob) -> None:
        job.made, job.stalls, job.cancelled = 0, 0, False
        job.token = job.code = None
        job.progress = (0, None)
        self.enter_waiting(job)

    def remove(self, job_id: str) -> PlainJob:
        return copy.deepcopy(self.jobs.pop(job_id))
