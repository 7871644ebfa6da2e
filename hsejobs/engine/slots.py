"""A worker's slot: the jobs that it holds and runs, in memory shared with the maintenance thread.

A worker (a thread or a process) claims several jobs at a time while they are short. The
maintenance thread, the consumer's main thread, renews their leases and watches the deadline. When
a job turns out slow, it takes back the jobs that were not started and writes the outcomes of those
that were finished. A lock decides which of the two owns a job.

The slot has room for three batches: the one that the worker runs, and up to two before it, while their
outcomes are on their way. The jobs of a claim are not known here before its reply is read, so the slot
has the claim's token, by which they can be given back: while up to two batches after are claimed ahead,
and while the worker waits for a claim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hsejobs.engine.slot_memory import (
    AWAITED,
    BATCHES,
    DONE,
    DONE_SIZE,
    FLAGS_AT,
    HELD_SIZE,
    ON_ITS_WAY,
    RECALLED,
    ROOM_SIZE,
    ROOMS_AT,
    SlotMemory,
)
from hsejobs.store.work import Claim, Done

#: Characters of a task's name that are kept if the claims need more.
_NAME_KEPT = 100
LOST, ABANDONED, CANCELLED = 1, 2, 4
#: HELD: the worker starts and claims nothing for now. SUSPECT: the job it holds may run only alone.
#: ALONE: it may.
HELD, SUSPECT, ALONE = 256, 512, 1024
#: The flags of the worker, which outlive its jobs.
_LASTING = ABANDONED | HELD


@dataclass(frozen=True, slots=True)
class Running:
    """The job that a worker runs; ``started`` and ``deadline`` (0: none) are by the monotonic clock."""

    id: str
    token: str
    name: str
    attempt: int
    started: float
    deadline: float


class Slot(SlotMemory):
    """Shared between one worker and the maintenance thread. Both must use the same ``lock``."""

    def __init__(self, number: int, lock: Any) -> None:
        super().__init__()
        self.number = number
        self._lock = lock
        #: For the worker alone: the jobs of its batch, and the rooms of the batches before, the oldest first.
        self._claims: Sequence[Claim] = ()
        self._before: list[int] = []

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A killed worker may have held the lock: do not wait forever.
        taken = self._lock.acquire(timeout=0.5)
        try:
            yield
        finally:
            if taken:
                self._lock.release()

    # -- the worker's side

    def ask(self, token: str) -> None:
        """Stores the token of a claim that the worker is about to send, and to wait for.

        The claim ends with the next call of ``load``. Without the lock: while the worker waits, only its
        death lets others take the claim.
        """
        self._put_ahead([(AWAITED, token)])

    def load(
        self,
        claims: Sequence[Claim],
        *,
        suspect: bool = False,
        ahead: Sequence[str] = (),
        keep: int = 0,
    ) -> bool:
        """Stores newly claimed jobs in place of the previous ones, which must be finished.

        ``suspect``: it is one job, which does not begin before it may run alone in the consumer.
        ``ahead``: the tokens of further claims after this one, which are about to be sent. ``keep``: the
        outcomes of how many of the batches before are still to be written, and stay, the previous one
        among them; these jobs are then those of the oldest claim ahead. 0: no claim is on its way.
        False if the claim of these jobs was recalled meanwhile: they are not stored.
        """
        text = "\n".join(f"{c.id} {c.token} {c.attempt} {c.name}" for c in claims).encode()
        if len(text) > HELD_SIZE:
            short = (f"{c.id} {c.token} {c.attempt} {c.name[:_NAME_KEPT]}" for c in claims)
            text = "\n".join(short).encode()
        with self._lock:
            held, _, _, flags, count, size, _, started, _, room = self._head()
            on_their_way = self._ahead()
            recalled = bool(on_their_way) and on_their_way[0][0] == RECALLED
            if recalled and keep:
                self._put_ahead(on_their_way[1:])
                return False
            if recalled:
                claims, text, suspect, ahead = (), b"", False, ()
            stay = self._before[-(keep - 1) :] if keep > 1 else []
            for one in self._before:
                if one not in stay:
                    # Written by now.
                    self._put_sent(one)
            if keep:
                self._put_sent(room, held, count, size)
                stay = [*stay, room]
            other = next(n for n in range(BATCHES) if n != room and n not in stay)
            self._put_rows(other, text)
            flags = flags & _LASTING | (SUSPECT if suspect else 0)
            self._put(len(claims), 0, 0, flags, 0, len(text), 0, started, 0.0, other)
            # Last: until here, a worker that dies has these jobs by their claim.
            left = on_their_way[1:] if keep else []
            self._put_ahead([*left, *((ON_ITS_WAY, token) for token in ahead)])
        self._claims, self._before = claims, stay
        return not recalled

    def settle(self) -> bool:
        """Records that the oldest claim on its way is no longer the slot's concern.

        Returns False if it was recalled: who did that gives its jobs back.
        """
        with self._lock:
            on_their_way = self._ahead()
            self._put_ahead(on_their_way[1:])
        return not on_their_way or on_their_way[0][0] != RECALLED

    def unanswered(self) -> list[str]:
        """Records that no claim on its way will have a reply; returns their tokens, the oldest first.

        The worker claims under them again, or gives them up. Who recalled others does that.
        """
        with self._lock:
            tokens = [token for state, token in self._ahead() if state == ON_ITS_WAY]
            self._put_ahead([(AWAITED, token) for token in tokens])
        return tokens

    def begin(self, now: float) -> Claim | None:
        """Marks the next job as running and returns it.

        None when none is left, when all were taken back, or when the job must wait.
        """
        with self._lock:
            held, at, _, flags, done, size, used, _, _, room = self._head()
            if at >= held or flags & _LASTING or flags & (SUSPECT | ALONE) == SUSPECT:
                return None
            claim: Claim = self._claims[at]
            deadline = now + claim.timeout / 1000 if claim.timeout else 0.0
            flags &= ~(LOST | CANCELLED)
            self._put(held, at + 1, 1, flags, done, size, used, now, deadline, room)
        return claim

    def finish(self, done: Done | None) -> bool:
        """Marks the running job as ended; ``done`` is its outcome if it is to be written later.

        False when the maintenance thread has already ended the job (a timeout).
        """
        with self._lock:
            held, at, _, flags, count, size, used, started, _, room = self._head()
            if done is not None:
                length, place = len(done.result), ROOMS_AT + room * ROOM_SIZE + HELD_SIZE + used
                need = DONE.size + length
                if used + need <= DONE_SIZE:
                    DONE.pack_into(self._memory, place, at - 1, length, done.run_us)
                    self._memory[place + DONE.size : place + need] = done.result
                    count, used = count + 1, used + need
            self._put(held, at, 0, flags & _LASTING, count, size, used, started, 0.0, room)
        return not flags & ABANDONED

    @property
    def left(self) -> int:
        """How many held jobs were not started; each claim that is on its way counts as one."""
        head = self._head()
        return int(head[0] - head[1]) + [state for state, _ in self._ahead()].count(ON_ITS_WAY)

    @property
    def started(self) -> float:
        """When the newest job was started, by the monotonic clock, even if it has ended; 0: none was."""
        started: float = self._head()[7]
        return started

    @property
    def running_now(self) -> bool:
        """Whether the worker runs a job. Reads without the lock, for a signal handler."""
        return bool(self._head()[2])

    def overdue(self, now: float) -> bool:
        """Whether the running job is past its deadline. Reads without the lock, for a signal handler."""
        deadline: float = self._head()[8]
        return 0 < deadline <= now

    @property
    def held(self) -> bool:
        """Whether the worker must not claim or start jobs for now."""
        return bool(self._head()[3] & HELD)

    @property
    def suspect(self) -> bool:
        """Whether the job that the worker holds or runs may run only alone."""
        return bool(self._head()[3] & SUSPECT)

    @property
    def alone(self) -> bool:
        """Whether that job may run, or runs, alone."""
        return bool(self._head()[3] & ALONE)

    @property
    def lost(self) -> bool:
        """Whether a renewal of the running job was refused."""
        return bool(self._head()[3] & LOST)

    @property
    def given_up(self) -> bool:
        """Whether the worker no longer owns the running job: the lease is lost, or maintenance ended it."""
        return bool(self._head()[3] & (LOST | ABANDONED))

    @property
    def abandoned(self) -> bool:
        """Whether the maintenance thread ended the running job."""
        return bool(self._head()[3] & ABANDONED)

    @property
    def cancelled(self) -> bool:
        """Whether the running job is cancelled. Reads without the lock, for a signal handler."""
        return self._memory[FLAGS_AT] & CANCELLED != 0

    # -- the maintenance thread's side

    def running(self) -> Running | None:
        """The job that the worker runs, or None."""
        with self._locked():
            head = self._head()
            if not head[2]:
                return None
            job_id, token, attempt, name = self._rows(head[9], head[5])[head[1] - 1]
        return Running(job_id, token, name, int(attempt), head[7], head[8])

    def holding(self) -> list[tuple[str, str]]:
        """All jobs whose leases must be renewed, as (id, token)."""
        with self._locked():
            head = self._head()
            rows = self._rows(head[9], head[5])[: head[0]] + self._sent()[0]
            return [(row[0], row[1]) for row in rows]

    def unbegun(self) -> list[tuple[str, str]]:
        """The jobs that were not started, as (id, token)."""
        with self._locked():
            head = self._head()
            rows = self._rows(head[9], head[5])[head[1] : head[0]]
        return [(row[0], row[1]) for row in rows]

    def unwritten(self) -> list[tuple[str, str]]:
        """Jobs that were started, no longer run and have no outcome here, as (id, token)."""
        with self._locked():
            head = self._head()
            rows = self._rows(head[9], head[5])[: head[1] - head[2]]
            done = self._outcomes(head[9], head[4], rows)
            sent, sent_done = self._sent()
            written = {one.token + one.id for one in done + sent_done}
        return [(row[0], row[1]) for row in sent + rows if row[1] + row[0] not in written]

    def reclaim(
        self, *, finished: bool = True, behind: Running | None = None
    ) -> tuple[list[Done], list[tuple[str, str]]]:
        """Removes and returns the outcomes not written yet, and the jobs not started, as (id, token).

        The caller is responsible for them from now on. Without ``finished``, the outcomes stay: the
        worker is about to write them with its log lines. With ``behind``, nothing is taken unless
        that job still runs: one that ended a moment ago may have log lines that only its worker
        knows, and that must be written before its outcome.
        """
        with self._locked():
            held, at, running, flags, count, size, used, started, deadline, room = self._head()
            rows = self._rows(room, size)
            current = rows[at - 1][:2] if running else None
            if behind is not None and current != [behind.id, behind.token]:
                return [], []
            unbegun = [(row[0], row[1]) for row in rows[at:held]]
            done: list[Done] = []
            if finished:
                done = self._sent()[1] + self._outcomes(room, count, rows)
                count = used = 0
                for one in range(BATCHES):
                    sent, _, its_size = self._get_sent(one)
                    self._put_sent(one, sent, 0, its_size)
            self._put(at, at, running, flags, count, size, used, started, deadline, room)
            return done, unbegun

    def recall(self, *, behind: Running | None = None, dead: bool = False) -> list[str]:
        """Takes over the claims that are on their way; returns their tokens.

        The caller has to give back the jobs that they claim or have claimed; the worker ignores them.
        ``behind``: as for ``reclaim``. ``dead``: the worker has ended, so that it takes over those that the
        worker waits for, too.
        """
        with self._locked():
            head = self._head()
            ahead = self._ahead()
            taken = [
                one[1] for one in ahead if one[0] == ON_ITS_WAY or (dead and one[0] == AWAITED)
            ]
            if taken and behind is not None:
                current = self._rows(head[9], head[5])[head[1] - 1][:2] if head[2] else None
                if current != [behind.id, behind.token]:
                    return []
            if taken:
                self._put_ahead([(RECALLED if t in taken else state, t) for state, t in ahead])
            return taken

    def abandon(self) -> None:
        """Marks the running job as ended by the maintenance thread: the worker's outcome is too late."""
        self._flag(ABANDONED)

    def hold(self, *, held: bool) -> None:
        """Makes the worker start and claim no job, or lets it again."""
        self._flag(HELD, on=held)

    def let_alone(self) -> None:
        """Lets the suspect begin: nothing else runs in the consumer."""
        self._flag(ALONE)

    @property
    def empty(self) -> bool:
        """Whether the worker holds no job, claims none ahead, and all outcomes of the last are written."""
        sent = any(self._get_sent(room)[0] for room in range(BATCHES))
        return not self._head()[0] and not sent and all(one[0] == AWAITED for one in self._ahead())

    def mark_lost(self, job_id: str, token: str) -> bool:
        """Marks the lease of the running job as lost, if it is this one: a renewal was refused.

        Returns whether it is held and was not started, so that its slot has to give it up.
        """
        return self._mark(LOST, job_id, token)

    def mark_cancelled(self, job_id: str, token: str) -> bool:
        """Marks the running job as cancelled, if it is this one; returns as ``mark_lost``."""
        return self._mark(CANCELLED, job_id, token)

    def _mark(self, flag: int, job_id: str, token: str) -> bool:
        with self._locked():
            head = self._head()
            rows = [row[:2] for row in self._rows(head[9], head[5])[: head[0]]]
            if head[2] and rows[head[1] - 1] == [job_id, token]:
                self._put(*head[:3], head[3] | flag, *head[4:])
            return [job_id, token] in rows[head[1] :]

    def _flag(self, flag: int, *, on: bool = True) -> None:
        with self._locked():
            head = self._head()
            flags = head[3] | flag if on else head[3] & ~flag
            self._put(*head[:3], flags, *head[4:])
