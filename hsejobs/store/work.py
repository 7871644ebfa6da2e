"""The transitions that workers perform: claim, complete, fail, postpone, release, renew, stall.

Every write carries the attempt's token, so that a worker that lost its lease cannot write. Nothing
here retries unless ``patience`` is given: workers have their own retries.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hsejobs.model import (
    ERRORS_KEPT,
    LARGEST,
    LOG_LINES,
)
from hsejobs.store import keys, scripts
from hsejobs.store.claims import Claim, Done, read_step
from hsejobs.store.client import RedisClient
from hsejobs.store.scripts import Arg, Script
from hsejobs.store.words import Tail, tail
from hsejobs.store.write import new_nonce

__all__ = ["Claim", "Done", "Swept", "WorkerStore", "short_reason"]

#: Maximum number of jobs that one sweep moves, which takes Redis a few ms.
SWEEP_LIMIT = 500
#: Seconds, at most, after an outage of Redis (a start may be the end of one) in which no sweep ends a lease,
#: so that all holders can renew theirs first.
RENEWED_WITHIN = 2.0
#: In place of how often a claim was sent before, if it is given up: more than any worker sends one.
_RECALLED = 1_000_000
#: Bytes of a reason in a record: with a time in ms before it, the record stays compact.
REASON_BYTES = 50


def short_reason(code: str, about: str = "") -> str:
    """Why a job is postponed, as its record keeps it: a code and the start of what it is about."""
    return f"{code} {about}".strip().encode()[:REASON_BYTES].decode("utf-8", "ignore")


@dataclass(slots=True)
class Swept:
    """The result of a sweep: ``moved`` due jobs, ms until the next, and (id, what became of it) of
    stalled jobs: ``waiting``, ``failed`` or ``cancelled``.
    """

    moved: int
    next_due: float | None
    stalled: list[tuple[str, str]]
    now: int
    #: Id and token of each active job that is cancelled.
    cancelled: list[tuple[str, str]]
    #: Jobs that were ended from outside and have not been reported to their chords.
    ended: list[str]
    #: ms until the first of the leases ends that the sweep left, if it does within a second; 0: it has ended.
    next_end: int | None


class Beat(NamedTuple):
    """The reply to a heartbeat. ``described``: the queue's description is the one that the consumer knows;
    ``order``: what an operator asked it to do, '' for nothing.
    """

    described: bool
    order: str


class WorkerStore:
    """The worker's access to one queue. ``patience`` is in seconds; 0 means no retry."""

    def __init__(
        self, client: RedisClient, prefix: str, queue: str, *, patience: float = 0.0
    ) -> None:
        self.redis = client
        self.base = keys.base(prefix, queue)
        self.patience = patience
        self.bell = keys.of(self.base, "bell")

    def _run(self, script: Script, args: Sequence[Arg]) -> Any:
        return self.redis.run(script, self.base, args, patience=self.patience)

    def step(
        self, done: Sequence[Done], want: int, token: str, lease_ms: int, *, again: int = 0
    ) -> tuple[str, list[Claim]]:
        """Completes jobs and claims up to ``want`` in one round trip.

        Returns one letter per job in ``done`` (``c`` completed, ``k`` failed, because it was
        cancelled, ``r`` refused) and the claims.
        ``again``: how often this claim, with this token, was sent before; if Redis runs an earlier
        copy later, it claims nothing.
        """
        reply = self._run(scripts.COMPLETE, _step_args(done, want, token, lease_ms, int(again), ""))
        return read_step(reply, token)

    def encoded(self, done: Sequence[Done]) -> Tail:
        """The outcomes of a step that ``begin`` sends later."""
        return tail(_outcomes(done))

    def begin(self, done: Tail, want: int, token: str, lease_ms: int, *, behind: Any = None) -> Any:
        """Sends a step and returns what ``finish`` needs; this thread makes no other call until then,
        unless it is a step that is sent ``behind`` that one.
        """
        claim = (want, token, lease_ms, 0, "")
        return self.redis.begin(scripts.COMPLETE, self.base, claim, last=done, behind=behind)

    def begin_and_wait(
        self,
        done: Sequence[Done],
        want: int,
        token: str,
        lease_ms: int,
        worker: str,
        seconds: float,
    ) -> Any:
        """As ``begin``, and in the same packet the wait at the doorbell that follows a claim of nothing.

        Redis answers the wait after the step: at once if that has claimed jobs, else when the doorbell
        rings or after ``seconds``. ``worker`` is unique among those that wait.
        """
        bells = (keys.of(self.base, "ownbell", worker), self.bell)
        return self.redis.begin(
            scripts.COMPLETE,
            self.base,
            _step_args(done, want, token, lease_ms, 0, worker),
            then=("BLPOP", *bells, f"{seconds:g}"),
        )

    def finish(self, sent: Any, token: str) -> tuple[str, list[Claim]]:
        """The reply of a step that was begun, as ``step`` returns it. Any error means that Redis may
        or may not have executed it.
        """
        return read_step(self.redis.finish(sent), token)

    def recall(self, token: str, lease_ms: int, *, once: bool = True) -> int:
        """Gives up a claim, and releases its jobs; returns how many there were.

        If Redis has not received it yet, it claims nothing. ``once``: it was sent once.
        """
        _, claims = self.step([], 0, token, lease_ms, again=_RECALLED)
        if claims:
            self.release([(one.id, one.token) for one in claims])
            if once:
                # Redis has executed the only copy: it need not be remembered.
                key = keys.of(self.base, "resent", token)
                self.redis.command("DEL", key, patience=self.patience)
        return len(claims)

    def fail(
        self,
        job_id: str,
        token: str,
        *,
        code: str,
        error: bytes,
        run_us: int,
        final: bool,
        delay_ms: int | None,
        group: str = "",
    ) -> tuple[str, int]:
        """Fails an attempt. Returns ``d`` and the delay in ms until the next one, ``f`` (failed),
        ``k`` (failed, because it was cancelled) or ``r`` (refused).

        The next attempt comes after the backoff, and not before ``delay_ms``. ``group``: by which the
        history counts it.
        """
        outcome, delay = self._run(
            scripts.FAIL,
            (
                job_id,
                token,
                int(final),
                code,
                delay_ms or 0,
                run_us,
                error,
                ERRORS_KEPT,
                group,
            ),
        )
        return outcome.decode(), int(delay)

    def postpone(
        self,
        job_id: str,
        token: str,
        delay_ms: int,
        limit_ms: int | None = None,
        *,
        sent_back: str = "",
        reason: str = "",
    ) -> tuple[str, int]:
        """Postpones a job without using an attempt. Returns ``d`` and the ms since the first time,
        ``k`` (failed, because it was cancelled) or ``r`` (refused).

        Returns ``x``, and changes nothing, if the first time was ``limit_ms`` ago or more.
        ``sent_back``: the code of the reason why this consumer cannot run the job, kept in the record;
        the delay grows with each time. ``reason``: a code and what it is about, see `short_reason`.
        """
        limit = -1 if limit_ms is None else limit_ms
        args = (job_id, token, delay_ms, limit, sent_back, reason)
        outcome, since = self._run(scripts.POSTPONE, args)
        return outcome.decode(), int(since)

    def release(self, jobs: Sequence[tuple[str, str]]) -> int:
        """Releases jobs (id, token) to their places in the queue; returns how many were still held."""
        return int(self._run(scripts.RELEASE, _flat(jobs))) if jobs else 0

    def key(self, job_id: str, token: str, key: str) -> bool | None:
        """Gives a claimed job its key; returns whether it may run, None if the lease is lost.

        If not, it is over a limit of its key: it waits again, no attempt is used.
        """
        reply = int(self._run(scripts.KEY, (job_id, token, key)))
        return None if reply < 0 else bool(reply)

    def renew(self, jobs: Sequence[tuple[str, str]], lease_ms: int) -> set[tuple[str, str]]:
        """Renews leases; returns the (id, token) pairs whose leases were lost."""
        lost: set[tuple[str, str]] = set()
        for start in range(0, len(jobs), 500):
            reply = self._run(scripts.RENEW, (lease_ms, *_flat(jobs[start : start + 500])))
            lost.update(_pairs(reply))
        return lost

    def stall(self, jobs: Sequence[tuple[str, str]], max_stalls: int) -> list[str]:
        """Stalls the jobs of a dead worker; returns ``waiting``, ``failed``, ``cancelled`` or
        ``refused`` for each.
        """
        if not jobs:
            return []
        return [item.decode() for item in self._run(scripts.STALL, (max_stalls, *_flat(jobs)))]

    def sweep(self, max_stalls: int, *, ended_by: int = LARGEST) -> Swept:
        """Moves due jobs and stalls jobs with expired leases, at most SWEEP_LIMIT of each.

        ``ended_by``: the Redis time in ms by which a lease must have ended; 0 stalls none. Pass ``now`` of
        an earlier sweep: a renewal of what ended later may be on its way.
        """
        moved, next_due, stalled, became, now, cancelled, ended, next_end = self._run(
            scripts.SWEEP, (max_stalls, SWEEP_LIMIT, SWEEP_LIMIT, ended_by)
        )
        pairs = [(i.decode(), b.decode()) for i, b in zip(stalled, became, strict=True)]
        return Swept(
            moved,
            None if next_due < 0 else next_due / 1000,
            pairs,
            now,
            _pairs(cancelled),
            [one.decode() for one in ended],
            None if next_end < 0 else next_end,
        )

    def progress(self, job_id: str, token: str, percent: float, message: str) -> bool:
        """Writes the progress; returns whether the token still holds the job."""
        return bool(self._run(scripts.PROGRESS, (job_id, token, f"{percent:g}", message)))

    def log(
        self, job_id: str, token: str, lines: Sequence[str], first: int = 0, *, final: bool = False
    ) -> bool:
        """Writes log lines; returns whether the token still holds the job.

        ``first``: how many lines this attempt wrote before. ``final``: the last lines, which a full
        Redis accepts too.
        """
        args: tuple[Arg, ...] = (job_id, token, LOG_LINES, int(final), first, *lines)
        return bool(self._run(scripts.LOG, args))

    def mark(self, job_id: str, token: str, mark: str, *, put: bool) -> bool | None:
        """Reads a mark and, with ``put``, sets it. True: it was not set. None: the lease is lost."""
        reply = self._run(scripts.MARK, (job_id, token, mark, int(put), new_nonce() if put else ""))
        return None if reply < 0 else bool(reply)

    def alone(self, job_id: str, token: str, *, begins: bool) -> int | None:
        """Records that a job waits to run alone in its consumer or, with ``begins``, that it does so now.

        Returns the ms since it first waited for that; None: the lease is lost. Only a stall of a job
        that runs alone can fail it.
        """
        since = int(self._run(scripts.ALONE, (job_id, token, int(begins))))
        return None if since < 0 else since

    def ring(self) -> None:
        """Wakes one waiting worker of the queue."""
        self.redis.command("LPUSH", self.bell, "1", patience=0)

    def checkpoint(self, job_id: str, token: str, value: bytes, *, final: bool = False) -> bool:
        """Stores the job's checkpoint (JSON); returns whether the token still holds the job.

        ``final``: written with the outcome; a full Redis accepts it too.
        """
        return bool(self._run(scripts.CHECKPOINT, (job_id, token, value, int(final))))

    def checkpointed(self, job_id: str) -> bytes | None:
        """The job's checkpoint (JSON), or None."""
        key = keys.of(self.base, "checkpoint", job_id)
        found: bytes | None = self.redis.command("GET", key, patience=self.patience)
        return found

    def lock(self, lock: str, job_id: str = "", token: str = "", ttl_ms: int = 0) -> bool | None:
        """Takes a lock; returns whether it was free, None if this job holds it already.

        Without an id: outside a job. ``ttl_ms``: after which it is free again; 0: never.
        """
        taken = self._run(scripts.LOCK, (lock, job_id, token, ttl_ms))
        return None if taken == 2 else bool(taken)

    def unlock(self, lock: str, job_id: str = "", token: str = "") -> bool:
        """Frees a lock; with an id, only if this attempt holds it. Returns whether it was freed."""
        return bool(self._run(scripts.UNLOCK, (lock, job_id, token)))

    def await_lock(self, job_id: str, token: str, lock: str) -> str:
        """Delays a job until the lock is handed to it, without using an attempt.

        Returns ``d``, ``w`` if the lock was free by now, ``k`` (failed, because it was cancelled) or
        ``r`` (refused).
        """
        reply: bytes = self._run(scripts.AWAIT_LOCK, (job_id, token, lock))
        return reply.decode()

    def rate(self, rate: str, limit: int, per_us: int, nonce: str, job_id: str = "") -> int:
        """Us until a block under a rate limit may try again to begin; 0: it begins, and counts.

        ``nonce`` identifies the block; without an id: outside a job.
        """
        return int(self._run(scripts.RATE, (rate, limit, per_us, nonce, job_id)))

    def artifact(self, job_id: str, token: str, fresh: str, expires_at: int) -> str | None:
        """The id of the job's file, set to ``fresh`` if it has none yet; None: the lease is lost."""
        reply = self._run(scripts.ARTIFACT, (job_id, token, fresh, expires_at))
        return reply.decode() or None

    def extras(self, job_id: str) -> bytes:
        """The job's extras for Huey: follow-ups, expiry, chord."""
        found = self.redis.command("GET", keys.of(self.base, "extras", job_id), patience=3.0)
        return found or b""

    def family(self, job_id: str) -> str:
        """What the job descends from, as in its record: see `hsejobs.model.Relative`; '' for nothing."""
        found = self.redis.command("HGET", keys.of(self.base, "job", job_id), "fa", patience=3.0)
        return found.decode() if found else ""

    def reported(self, job_id: str, *, done: bool) -> None:
        """Removes a job from those whose end is to be reported; if not ``done``, puts it last among them."""
        key = keys.of(self.base, "ended")
        if done:
            self.redis.command("ZREM", key, job_id, patience=0)
        else:
            self.redis.command("ZADD", key, "XX", int(time.time() * 1000), job_id, patience=0)

    def heartbeat(
        self,
        worker: str,
        record: bytes,
        ttl_ms: int,
        *,
        release: str = "",
        described: str = "",
        hold: bool = False,
    ) -> Beat:
        """Writes a consumer's heartbeat; an empty record removes it.

        ``release`` is the one that it runs, and ``described`` the SHA-1 of the queue's description as
        it knows it: it may have changed, or be missing, when Redis has lost its data.
        ``hold``: until ``ttl_ms`` after the last such heartbeat, consumers of 0.1.0 claim nothing.
        """
        args = (worker, record, ttl_ms, release, described, int(hold))
        described, order = self._run(scripts.HEARTBEAT, args)
        return Beat(bool(described), order.decode("ascii", "replace"))


def _step_args(done: Sequence[Done], *claim: Arg) -> list[Arg]:
    return [*claim, *_outcomes(done)]


def _outcomes(done: Sequence[Done]) -> list[Arg]:
    kinds: dict[tuple[str, str, str | None, str | None], int] = {}
    jobs: list[Arg] = []
    for one in done:
        kind = (one.token, one.name, one.organization_id, one.key)
        number = kinds.get(kind)
        if number is None:
            number = kinds[kind] = len(kinds) + 1
        jobs += (one.id, number, one.run_us, one.result)
    return [len(kinds), *(word or "" for kind in kinds for word in kind), *jobs]


def _pairs(flat: Sequence[bytes]) -> list[tuple[str, str]]:
    words = [item.decode() for item in flat]
    return list(zip(words[::2], words[1::2], strict=True))


def _flat(jobs: Sequence[tuple[str, str]]) -> list[Arg]:
    return [word for job in jobs for word in job]
