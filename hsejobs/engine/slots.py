"""A worker's slot: the jobs that it holds and runs, in memory shared with the maintenance thread.

A worker (a thread or a process) claims several jobs at a time while they are short. The
maintenance thread, the consumer's main thread, renews their leases and watches the deadline. When
a job turns out slow, it takes back the jobs that were not started and writes the outcomes of those
that were finished. A lock decides which of the two owns a job.

The slot has room for two batches: the one that the worker runs, and the one before, while its
outcomes are on their way. The jobs of a claim are not known here before its reply is read, so the slot
has the claim's token, by which they can be given back: while the batch after is claimed ahead, and
while the worker waits for a claim.

A worker process may be killed between any two writes here: each leaves memory that can be read, and in
which no job is missing.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from hsejobs.store.work import Claim, Done

#: Bytes for the claims, and for the finished outcomes, of one batch of up to `pace.MOST_FAR` jobs.
HELD_SIZE, DONE_SIZE = 196_608, 327_680
#: Characters of a task's name that are kept if the claims need more.
_NAME_KEPT = 100
# held count, next to start, running, flags, finished count, held bytes, done bytes, started, deadline,
# which half of the memory it has
_HEAD = struct.Struct("<HHHHHIIddH")
#: Where the low byte of the flags is: a task may ask for them often, and a look reads this alone.
_FLAGS_AT = 6
_Head = tuple[int, int, int, int, int, int, int, float, float, int]
# The batch before: held count, finished count, held bytes, done bytes, which half of the memory it has.
_SENT = struct.Struct("<HHIIH")
_NONE_SENT = (0, 0, 0, 0, 0)
# The claim without a reply: its state, and its token.
_AHEAD = struct.Struct("<H64p")
_SENT_AT, _AHEAD_AT = _HEAD.size, _HEAD.size + _SENT.size
_BATCHES_AT = _AHEAD_AT + _AHEAD.size
_BATCH_SIZE = HELD_SIZE + DONE_SIZE
_DONE = struct.Struct("<HIQ")
LOST, ABANDONED, CANCELLED = 1, 2, 4
#: HELD: the worker starts and claims nothing for now. SUSPECT: the job it holds may run only alone.
#: ALONE: it may.
HELD, SUSPECT, ALONE = 256, 512, 1024
#: The flags of the worker, which outlive its jobs.
_LASTING = ABANDONED | HELD
#: States of the claim without a reply: it was sent ahead, or the worker waits for it. Recalled: who did
#: that gives its jobs back, by its token.
_NO_CLAIM, _ON_ITS_WAY, _RECALLED, _AWAITED = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Running:
    """The job that a worker runs; ``started`` and ``deadline`` (0: none) are by the monotonic clock."""

    id: str
    token: str
    name: str
    attempt: int
    started: float
    deadline: float


class Slot:
    """Shared between one worker and the maintenance thread. Both must use the same ``lock``."""

    def __init__(self, number: int, lock: Any) -> None:
        self.number = number
        self._lock = lock
        self._memory = mmap.mmap(-1, _BATCHES_AT + 2 * _BATCH_SIZE)
        #: Read and write the head, without a frame of Python: each job does both twice.
        self._head: Callable[[], _Head] = partial(_HEAD.unpack_from, self._memory)
        self._put: Callable[..., None] = partial(_HEAD.pack_into, self._memory, 0)
        self._claims: Sequence[Claim] = ()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A killed worker may have held the lock: do not wait forever.
        taken = self._lock.acquire(timeout=0.5)
        try:
            yield
        finally:
            if taken:
                self._lock.release()

    def _put_ahead(self, state: int, token: str = "") -> None:
        _AHEAD.pack_into(self._memory, _AHEAD_AT, state, token.encode())

    def _put_sent(self, sent: tuple[int, ...]) -> None:
        _SENT.pack_into(self._memory, _SENT_AT, *sent)

    def _ahead(self) -> tuple[int, str]:
        state, token = _AHEAD.unpack_from(self._memory, _AHEAD_AT)
        return state, token.decode()

    # -- the worker's side

    def ask(self, token: str) -> None:
        """Stores the token of a claim that the worker is about to send, and to wait for.

        The claim ends with the next call of ``load``. Without the lock: while the worker waits, only its
        death lets others take the claim.
        """
        self._put_ahead(_AWAITED, token)

    def load(
        self,
        claims: Sequence[Claim],
        *,
        suspect: bool = False,
        ahead: str = "",
        keep: bool = False,
    ) -> bool:
        """Stores newly claimed jobs in place of the previous ones, which must be finished.

        ``suspect``: it is one job, which does not begin before it may run alone in the consumer.
        ``ahead``: the token of the claim after this one, which is about to be sent. ``keep``: the
        previous jobs' outcomes are still to be written, and stay until the next call.
        False if the claim of these jobs was recalled meanwhile: they are not stored.
        """
        text = "\n".join(f"{c.id} {c.token} {c.attempt} {c.name}" for c in claims).encode()
        if len(text) > HELD_SIZE:
            short = (f"{c.id} {c.token} {c.attempt} {c.name[:_NAME_KEPT]}" for c in claims)
            text = "\n".join(short).encode()
        with self._lock:
            held, _, _, flags, count, size, used, started, _, half = self._head()
            recalled = self._ahead()[0] == _RECALLED
            if recalled and keep:
                self._put_ahead(_NO_CLAIM)
                return False
            if recalled:
                claims, text, suspect, ahead = (), b"", False, ""
            # Written by now.
            self._put_sent(_NONE_SENT)
            other = half ^ 1
            at = _BATCHES_AT + other * _BATCH_SIZE
            self._memory[at : at + len(text)] = text
            if keep:
                self._put_sent((held, count, size, used, half))
            flags = flags & _LASTING | (SUSPECT if suspect else 0)
            self._put(len(claims), 0, 0, flags, 0, len(text), 0, started, 0.0, other)
            # Last: until here, a worker that dies has these jobs by their claim.
            self._put_ahead(_ON_ITS_WAY if ahead else _NO_CLAIM, ahead)
        self._claims = claims
        return not recalled

    def settle(self) -> bool:
        """Records that the claim on its way is no longer the slot's concern.

        Returns False if it was recalled: who did that gives its jobs back.
        """
        with self._lock:
            ours = self._ahead()[0] != _RECALLED
            self._put_ahead(_NO_CLAIM)
        return ours

    def begin(self, now: float) -> Claim | None:
        """Marks the next job as running and returns it.

        None when none is left, when all were taken back, or when the job must wait.
        """
        with self._lock:
            held, at, _, flags, done, size, used, _, _, half = self._head()
            if at >= held or flags & _LASTING or flags & (SUSPECT | ALONE) == SUSPECT:
                return None
            claim: Claim = self._claims[at]
            deadline = now + claim.timeout / 1000 if claim.timeout else 0.0
            flags &= ~(LOST | CANCELLED)
            self._put(held, at + 1, 1, flags, done, size, used, now, deadline, half)
        return claim

    def finish(self, done: Done | None) -> bool:
        """Marks the running job as ended; ``done`` is its outcome if it is to be written later.

        False when the maintenance thread has already ended the job (a timeout).
        """
        with self._lock:
            held, at, _, flags, count, size, used, started, _, half = self._head()
            if done is not None:
                length, room = len(done.result), _BATCHES_AT + half * _BATCH_SIZE + HELD_SIZE + used
                need = _DONE.size + length
                if used + need <= DONE_SIZE:
                    _DONE.pack_into(self._memory, room, at - 1, length, done.run_us)
                    self._memory[room + _DONE.size : room + need] = done.result
                    count, used = count + 1, used + need
            self._put(held, at, 0, flags & _LASTING, count, size, used, started, 0.0, half)
        return not flags & ABANDONED

    @property
    def left(self) -> int:
        """How many held jobs were not started; a claim that is on its way counts as one."""
        head = self._head()
        return int(head[0] - head[1]) + (self._ahead()[0] == _ON_ITS_WAY)

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
        return self._memory[_FLAGS_AT] & CANCELLED != 0

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
            held, at, running, flags, count, size, used, started, deadline, half = self._head()
            rows = self._rows(half, size)
            current = rows[at - 1][:2] if running else None
            if behind is not None and current != [behind.id, behind.token]:
                return [], []
            unbegun = [(row[0], row[1]) for row in rows[at:held]]
            done: list[Done] = []
            if finished:
                done = self._sent()[1] + self._outcomes(half, count, rows)
                count = used = 0
                sent_held, _, sent_size, _, sent_half = _SENT.unpack_from(self._memory, _SENT_AT)
                self._put_sent((sent_held, 0, sent_size, 0, sent_half))
            self._put(at, at, running, flags, count, size, used, started, deadline, half)
            return done, unbegun

    def recall(self, *, behind: Running | None = None, dead: bool = False) -> str:
        """Takes over the claim that is on its way; returns its token, or ``""`` if there is none.

        The caller has to give back the jobs that it claims or has claimed; the worker ignores them.
        ``behind``: as for ``reclaim``. ``dead``: the worker has ended, so that it takes over one that the
        worker waits for, too.
        """
        with self._locked():
            head = self._head()
            state, token = self._ahead()
            if state != _ON_ITS_WAY and not (dead and state == _AWAITED):
                return ""
            if behind is not None:
                current = self._rows(head[9], head[5])[head[1] - 1][:2] if head[2] else None
                if current != [behind.id, behind.token]:
                    return ""
            self._put_ahead(_RECALLED, token)
            return token

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
        sent: int = _SENT.unpack_from(self._memory, _SENT_AT)[0]
        return not self._head()[0] and not sent and self._ahead()[0] in (_NO_CLAIM, _AWAITED)

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

    def _rows(self, half: int, size: int) -> list[list[str]]:
        """The jobs of a batch: id, token, attempt and name of each."""
        at = _BATCHES_AT + half * _BATCH_SIZE
        text = self._memory[at : at + size].decode()
        return [row.split(" ", 3) for row in text.split("\n")] if text else []

    def _outcomes(self, half: int, count: int, rows: list[list[str]]) -> list[Done]:
        found, at = [], _BATCHES_AT + half * _BATCH_SIZE + HELD_SIZE
        for _ in range(count):
            index, size, run_us = _DONE.unpack_from(self._memory, at)
            at += _DONE.size
            found.append(Done(rows[index][0], rows[index][1], run_us, self._memory[at : at + size]))
            at += size
        return found

    def _sent(self) -> tuple[list[list[str]], list[Done]]:
        """The jobs of the batch before whose outcomes are on their way, and those outcomes."""
        held, count, size, _, half = _SENT.unpack_from(self._memory, _SENT_AT)
        rows = self._rows(half, size)
        return rows[:held], self._outcomes(half, count, rows)
