"""A worker's slot: what it holds and runs, in memory that its consumer's maintenance thread can see.

The worker (a thread or a process of its own) claims a few jobs at a time while
they are tiny. The maintenance thread, in the consumer's main thread, renews their leases,
watches the deadline, and when a job turns out slow takes back what was not
begun and writes what was finished. One lock decides who has a job.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hsejobs.store.work import Claim, Done

#: Bytes for the claims and for the finished outcomes of one slot.
HELD_SIZE, DONE_SIZE = 24_576, 40_960
# held count, next to begin, running, flags, finished count, held bytes, done bytes, started, deadline
_HEAD = struct.Struct("<HHHHHIIdd")
_Head = tuple[int, int, int, int, int, int, int, float, float]
_DONE = struct.Struct("<HIQ")
LOST, ABANDONED = 1, 2


@dataclass(frozen=True, slots=True)
class Running:
    """The job in a worker's hands; ``started`` and ``deadline`` (0: none) by the monotonic clock."""

    id: str
    token: str
    name: str
    attempt: int
    started: float
    deadline: float


class Slot:
    """Shared between one worker and its maintenance thread. ``lock`` is one that both sides have."""

    def __init__(self, number: int, lock: Any) -> None:
        self.number = number
        self._lock = lock
        self._memory = mmap.mmap(-1, _HEAD.size + HELD_SIZE + DONE_SIZE)
        self._claims: Sequence[Claim] = ()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A worker that was killed may have taken the lock with it: nobody waits for ever.
        taken = self._lock.acquire(timeout=0.5)
        try:
            yield
        finally:
            if taken:
                self._lock.release()

    def _head(self) -> _Head:
        head: _Head = _HEAD.unpack_from(self._memory, 0)
        return head

    def _put(self, *values: float) -> None:
        _HEAD.pack_into(self._memory, 0, *values)

    # -- the worker's side

    def load(self, claims: Sequence[Claim]) -> None:
        """Takes over freshly claimed jobs; what was held before is done with."""
        text = "\n".join(f"{c.id} {c.token} {c.attempt} {c.name}" for c in claims).encode()
        with self._lock:
            flags = self._head()[3] & ABANDONED
            self._memory[_HEAD.size : _HEAD.size + len(text)] = text
            self._put(len(claims), 0, 0, flags, 0, len(text), 0, 0.0, 0.0)
        self._claims = claims

    def begin(self, now: float) -> Claim | None:
        """The next job, now running; None when nothing is left (or it was taken back)."""
        with self._lock:
            held, at, _, flags, done, size, used, _, _ = self._head()
            if at >= held or flags & ABANDONED:
                return None
            claim: Claim = self._claims[at]
            deadline = now + claim.timeout / 1000 if claim.timeout else 0.0
            self._put(held, at + 1, 1, flags & ~LOST, done, size, used, now, deadline)
        return claim

    def finish(self, done: Done | None) -> bool:
        """The running job ended; with its outcome when that is to be written later.

        False when the maintenance thread has written another outcome meanwhile (a time-out).
        """
        with self._lock:
            held, at, _, flags, count, size, used, _, _ = self._head()
            if done is not None:
                room = HELD_SIZE + _HEAD.size + used
                need = _DONE.size + len(done.result)
                if used + need <= DONE_SIZE:
                    _DONE.pack_into(self._memory, room, at - 1, len(done.result), done.run_us)
                    start = room + _DONE.size
                    self._memory[start : start + len(done.result)] = done.result
                    count, used = count + 1, used + need
            self._put(held, at, 0, flags & ~LOST, count, size, used, 0.0, 0.0)
        return not flags & ABANDONED

    @property
    def left(self) -> int:
        """How many held jobs were not begun."""
        head = self._head()
        return int(head[0] - head[1])

    @property
    def running_now(self) -> bool:
        """Whether the worker has a job in its hands; without the lock, for a signal handler."""
        return bool(self._head()[2])

    def overdue(self, now: float) -> bool:
        """Whether the job in the worker's hands is past its deadline; without the lock, likewise."""
        deadline: float = self._head()[8]
        return 0 < deadline <= now

    @property
    def lost(self) -> bool:
        """Whether a renewal of the running job was refused."""
        return bool(self._head()[3] & LOST)

    @property
    def given_up(self) -> bool:
        """Whether the running job is not this worker's any more: lost, or ended by the maintenance thread."""
        return bool(self._head()[3] & (LOST | ABANDONED))

    @property
    def abandoned(self) -> bool:
        """Whether the maintenance thread ended the running job."""
        return bool(self._head()[3] & ABANDONED)

    # -- the maintenance thread's side

    def running(self) -> Running | None:
        """The job in the worker's hands."""
        with self._locked():
            head = self._head()
            if not head[2]:
                return None
            job_id, token, attempt, name = self._held(head)[head[1] - 1]
        return Running(job_id, token, name, int(attempt), head[7], head[8])

    def holding(self) -> list[tuple[str, str]]:
        """Everything whose lease must be renewed, as (id, token)."""
        with self._locked():
            head = self._head()
            return [(row[0], row[1]) for row in self._held(head)[: head[0]]]

    def unwritten(self) -> list[tuple[str, str]]:
        """The jobs that were begun, run no more and left no outcome here: only their worker knows it."""
        with self._locked():
            head = self._head()
            rows = self._held(head)[: head[1] - head[2]]
            written = {one.id for one in self._finished(head, rows)}
        return [(row[0], row[1]) for row in rows if row[0] not in written]

    def take_back(
        self, *, finished: bool = True, behind: Running | None = None
    ) -> tuple[list[Done], list[tuple[str, str]]]:
        """What is finished and not written, and what was not begun: each is the caller's from now on.

        Not ``finished``: outcomes stay, for the worker is about to write them with its log lines.
        ``behind``: nothing, unless this is the job that runs; one that ended a moment ago may have
        log lines that only its worker knows, and that come before its outcome.
        """
        with self._locked():
            held, at, running, flags, count, size, used, started, deadline = head = self._head()
            rows = self._held(head)
            current = rows[at - 1][:2] if running else None
            if behind is not None and current != [behind.id, behind.token]:
                return [], []
            unbegun = [(row[0], row[1]) for row in rows[at:held]]
            done = self._finished(head, rows) if finished else []
            if finished:
                count = used = 0
            self._put(at, at, running, flags, count, size, used, started, deadline)
            return done, unbegun

    def abandon(self) -> None:
        """The maintenance thread ended the running job: whatever the worker does with it is too late."""
        self._flag(ABANDONED)

    def mark_lost(self) -> None:
        """A renewal of the running job was refused."""
        self._flag(LOST)

    def clear(self) -> None:
        """Forgets everything; for the slot of a worker that is gone."""
        with self._locked():
            self._put(0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)

    def _flag(self, flag: int) -> None:
        with self._locked():
            head = self._head()
            self._put(*head[:3], head[3] | flag, *head[4:])

    def _held(self, head: _Head) -> list[list[str]]:
        text = self._memory[_HEAD.size : _HEAD.size + head[5]].decode()
        return [row.split(" ", 3) for row in text.split("\n")] if text else []

    def _finished(self, head: _Head, rows: list[list[str]]) -> list[Done]:
        found, at = [], _HEAD.size + HELD_SIZE
        for _ in range(head[4]):
            index, size, run_us = _DONE.unpack_from(self._memory, at)
            at += _DONE.size
            found.append(Done(rows[index][0], rows[index][1], run_us, self._memory[at : at + size]))
            at += size
        return found
