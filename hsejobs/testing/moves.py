"""How jobs move between states in memory: what several transitions have in common."""

from __future__ import annotations

import json
from typing import Any

from hsejobs.store.scripts import Arg
from hsejobs.testing.records import MemoryJob, MemoryQueue, raw, text, whole


class Moves:
    """The moves, at the time of the running call."""

    _us: int
    _ms: int

    def _into(self, queue: MemoryQueue, job: MemoryJob, state: str, **fields: Any) -> None:
        queue.move(job, state)
        job.set(**fields)
        if state in "cf":
            job.score = self._us
        elif state == "d":
            job.score = whole(job.get("ra"))
        elif state == "w":
            job.score = whole(job.get("sc"))

    def _to_waiting(self, queue: MemoryQueue, job: MemoryJob, **fields: Any) -> None:
        self._into(queue, job, "w", sc=queue.place(job.priority), **fields)

    def _end_cancelled(self, queue: MemoryQueue, job: MemoryJob, entry: dict[str, Any]) -> None:
        cancel = json.loads(job.get("cl") or b"{}")
        reason = f": {cancel['reason']}" if cancel.get("reason") else ""
        entry = {"attempt": whole(job.get("am"))} | entry
        entry |= {
            "code": "cancelled",
            "error": f"cancelled by {cancel.get('by')}{reason}",
            "failedAt": self._ms,
        }
        self._free_locks(queue, job)
        self._into(queue, job, "f", ec="cancelled", ft=self._ms)
        job.errors.append(json.dumps(entry).encode())

    def _free_locks(self, queue: MemoryQueue, job: MemoryJob) -> None:
        for lock, holder in list(queue.locks.items()):
            if holder[0] == job.id:
                del queue.locks[lock]
                self._hand_over(queue, lock)

    def _hand_over(self, queue: MemoryQueue, lock: str) -> None:
        for job in queue.in_state("d"):
            if json.loads(job.get("lk") or b"[]") == [lock]:
                self._to_waiting(queue, job, ws=self._ms)
                return

    def _move_due(self, queue: MemoryQueue) -> int:
        due = [job for job in queue.in_state("d") if job.score <= self._ms]
        for job in due:
            self._to_waiting(queue, job, ws=self._ms)
        return len(due)

    def _held(self, queue: MemoryQueue, shared: dict[str, Arg]) -> MemoryJob | None:
        job = queue.jobs.get(text(shared["id"]))
        return job if job and job.state == "a" and job.get("tk") == raw(shared["token"]) else None

    def _before(self, queue: MemoryQueue, shared: dict[str, Arg], states: str) -> str:
        """The reply to a call whose attempt no longer holds its job."""
        job = queue.jobs.get(text(shared["id"]))
        if job is None or job.get("tk") != raw(shared["token"]):
            return "r"
        if job.state == "f" and job.get("cl"):
            return "k"
        return job.state if job.state in states else "r"
