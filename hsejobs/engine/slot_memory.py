"""The memory of a slot: three batches of jobs, which of them runs, and two claims without a reply.

A worker process may be killed between any two writes here: each leaves memory that can be read, and in
which no job is missing. A job may be there twice for a moment.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from functools import partial

from hsejobs.store.work import Done

#: Bytes for the claims, and for the finished outcomes, of one batch of up to `pace.MOST_FAR` jobs.
HELD_SIZE, DONE_SIZE = 196_608, 327_680
#: The batches that have room: the one that the worker runs, and two whose outcomes are on their way.
BATCHES = 3
#: The most claims without a reply.
AHEAD = 2
# held count, next to start, running, flags, finished count, held bytes, done bytes, started, deadline,
# which room the batch has
_HEAD = struct.Struct("<HHHHHIIddH")
#: Where the low byte of the flags is: a task may ask for them often, and a look reads this alone.
FLAGS_AT = 6
Head = tuple[int, int, int, int, int, int, int, float, float, int]
# Of each room, while its batch is one before: held count, finished count, held bytes.
_SENT = struct.Struct("<HHI")
# A claim without a reply: its state, and its token.
_CLAIM = struct.Struct("<H64p")
_SENT_AT = _HEAD.size
_CLAIMS_AT = _SENT_AT + BATCHES * _SENT.size
ROOMS_AT = _CLAIMS_AT + AHEAD * _CLAIM.size
ROOM_SIZE = HELD_SIZE + DONE_SIZE
#: One finished outcome, before its result: which job of the batch, bytes of the result, run time in us.
DONE = struct.Struct("<HIQ")
#: States of a claim without a reply: it was sent ahead, or the worker waits for it. Recalled: who did
#: that gives its jobs back, by its token.
NO_CLAIM, ON_ITS_WAY, RECALLED, AWAITED = 0, 1, 2, 3


class SlotMemory:
    """Shared between a worker and the maintenance thread; its callers hold the slot's lock."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, ROOMS_AT + BATCHES * ROOM_SIZE)
        #: Read and write the head, without a frame of Python: each job does both twice.
        self._head: Callable[[], Head] = partial(_HEAD.unpack_from, self._memory)
        self._put: Callable[..., None] = partial(_HEAD.pack_into, self._memory, 0)

    def _ahead(self) -> list[tuple[int, str]]:
        """State and token of each claim without a reply, the oldest first."""
        found = [_CLAIM.unpack_from(self._memory, _claim_at(nth)) for nth in range(AHEAD)]
        return [(state, token.decode()) for state, token in found if state != NO_CLAIM]

    def _put_ahead(self, claims: list[tuple[int, str]]) -> None:
        # From the oldest on: one that moves up is there twice for a moment, and never missing.
        for nth in range(AHEAD):
            self._put_claim(nth, *(claims[nth] if nth < len(claims) else (NO_CLAIM, "")))

    def _put_claim(self, nth: int, state: int, token: str) -> None:
        _CLAIM.pack_into(self._memory, _claim_at(nth), state, token.encode())

    def _put_sent(self, room: int, held: int = 0, count: int = 0, size: int = 0) -> None:
        _SENT.pack_into(self._memory, _SENT_AT + room * _SENT.size, held, count, size)

    def _get_sent(self, room: int) -> tuple[int, int, int]:
        held, count, size = _SENT.unpack_from(self._memory, _SENT_AT + room * _SENT.size)
        return held, count, size

    def _put_rows(self, room: int, text: bytes) -> None:
        at = ROOMS_AT + room * ROOM_SIZE
        self._memory[at : at + len(text)] = text

    def _rows(self, room: int, size: int) -> list[list[str]]:
        """The jobs of a batch: id, token, attempt and name of each."""
        at = ROOMS_AT + room * ROOM_SIZE
        text = self._memory[at : at + size].decode()
        return [row.split(" ", 3) for row in text.split("\n")] if text else []

    def _outcomes(self, room: int, count: int, rows: list[list[str]]) -> list[Done]:
        found, at = [], ROOMS_AT + room * ROOM_SIZE + HELD_SIZE
        for _ in range(count):
            nth, size, run_us = DONE.unpack_from(self._memory, at)
            at += DONE.size
            found.append(Done(rows[nth][0], rows[nth][1], run_us, self._memory[at : at + size]))
            at += size
        return found

    def _sent(self) -> tuple[list[list[str]], list[Done]]:
        """The jobs of the batches before whose outcomes are on their way, and those outcomes."""
        jobs: list[list[str]] = []
        done: list[Done] = []
        for room in range(BATCHES):
            held, count, size = self._get_sent(room)
            if held:
                rows = self._rows(room, size)
                jobs += rows[:held]
                done += self._outcomes(room, count, rows)
        return jobs, done


def _claim_at(nth: int) -> int:
    return _CLAIMS_AT + nth * _CLAIM.size
