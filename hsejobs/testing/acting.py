"""What programs and people do to jobs in memory: add, retry, promote, cancel, remove, clean, pause."""

from __future__ import annotations

import json
from typing import Any

from hsejobs.store.scripts import Arg
from hsejobs.testing.moves import Moves
from hsejobs.testing.records import MemoryJob, MemoryQueue, raw, text, whole

_RESET = ("ft", "sl", "ec", "tk", "pg", "pm", "pf", "bs", "ra", "aa", "al", "cl", "cn")


class Acting(Moves):
    """Adds, and acts on jobs and states."""

    _number = 0

    def _do_add(
        self, queue: MemoryQueue, shared: dict[str, Arg], items: list[dict[str, Arg]]
    ) -> bytes:
        # The owner is one of the values of each job, or of those that all share.
        return b" ".join(self._add(queue, shared, {**shared, **item}) for item in items)

    _do_add_alike = _do_add

    def _add(self, queue: MemoryQueue, shared: dict[str, Arg], item: dict[str, Arg]) -> bytes:
        job_id, org = text(item["id"]), text(item["organization"])
        there = queue.jobs.get(job_id)
        if there is not None:
            same = (there.get("nx") or b"") == raw(item["nonce"])
            return b"%d%b" % (same, there.state.encode())
        quota = whole(shared["tenant_backlog"])
        if quota and org:
            waiting = [*queue.in_state("w"), *queue.in_state("d")]
            backlog = sum(job.get("o") == raw(org) for job in waiting)
            if backlog >= quota:
                return b"q%d" % backlog
        delay = whole(shared["delay_ms"])
        job = queue.jobs[job_id] = MemoryJob(job_id)
        self._number += 1
        job.added = self._number
        job.set(
            n=shared["name"],
            p=shared["priority"],
            ct=self._ms,
            am=0,
            ax=shared["attempts"],
            bo=shared["backoff_ms"],
            to=shared["timeout_ms"],
        )
        optional = {
            "o": org,
            "u": item["user"],
            "nx": item["nonce"],
            "sg": item["signature"],
            "ro": item["role"],
            "ky": item["key"],
            "fa": item.get("family", ""),
            "x": "1" if shared["extras"] else "",
        }
        job.set(**{name: value for name, value in optional.items() if value})
        job.payload, job.extras = raw(item["payload"]), raw(shared["extras"])
        if delay > 0:
            self._into(queue, job, "d", ra=self._ms + delay)
        else:
            self._to_waiting(queue, job)
        return b"1" + job.state.encode()

    def _do_periodic(
        self, queue: MemoryQueue, both: dict[str, Arg], _: list[dict[str, Arg]]
    ) -> bytes:
        schedule, slot = text(both["schedule"]), whole(both["slot"])
        if whole(queue.slots.get(schedule, -1)) >= slot:
            return b""
        queue.slots[schedule] = raw(slot)
        return self._add(queue, both, both)

    def _may(self, queue: MemoryQueue, shared: dict[str, Arg], item: dict[str, Arg]) -> Any:
        """The job, or None if it is missing or another organization's."""
        job = queue.jobs.get(text(item["id"]))
        only = raw(shared["organization"])
        return None if job is None or (only and job.get("o") != only) else job

    def _do_retry(
        self, queue: MemoryQueue, shared: dict[str, Arg], items: list[dict[str, Arg]]
    ) -> list[bytes]:
        return [self._move(queue, shared, item, "f") for item in items]

    def _do_promote(
        self, queue: MemoryQueue, shared: dict[str, Arg], items: list[dict[str, Arg]]
    ) -> list[bytes]:
        return [self._move(queue, shared, item, "d") for item in items]

    def _move(
        self, queue: MemoryQueue, shared: dict[str, Arg], item: dict[str, Arg], state: str
    ) -> bytes:
        job = self._may(queue, shared, item)
        if job is None:
            return b"missing"
        if job.state != state:
            return bytes(job.state.encode())
        moment = shared["moment"]
        since = whole(job.get("ft")) if state == "f" else whole(job.get("ct"))
        seen = text(item["seen"])
        if (seen and seen != job.version) or (moment != "" and since > whole(moment)):
            return b"changed"
        if state == "f":
            job.drop(*_RESET)
            job.set(am=0)
        self._to_waiting(queue, job, ws=self._ms)
        return b"ok"

    def _do_cancel(
        self, queue: MemoryQueue, shared: dict[str, Arg], items: list[dict[str, Arg]]
    ) -> list[bytes]:
        return [self._cancel(queue, shared, item) for item in items]

    def _cancel(self, queue: MemoryQueue, shared: dict[str, Arg], item: dict[str, Arg]) -> bytes:
        job = self._may(queue, shared, item)
        if job is None:
            return b"missing"
        owner, seen = raw(shared["owner"]), text(item["seen"])
        if owner and job.get("u") != owner:
            return b"forbidden"
        if job.state in "cf" or (seen and seen[0] != job.state):
            return bytes(job.state.encode())
        if seen and seen != job.version:
            return b"changed"
        again = job.get("cl") is not None
        if not again:
            reason = text(shared["reason"])
            cancel = {"by": text(shared["by"]), "at": self._ms}
            job.set(cl=json.dumps(cancel | ({"reason": reason} if reason else {})))
        if job.state != "a" or job.lease <= self._ms:
            self._end_cancelled(queue, job, {})
        return b"again" if again else b"ok"

    def _do_remove(
        self, queue: MemoryQueue, shared: dict[str, Arg], items: list[dict[str, Arg]]
    ) -> list[list[Any]]:
        out: list[list[Any]] = []
        for item in items:
            job, seen = self._may(queue, shared, item), text(item["seen"])
            if job is None:
                out.append([b"missing", raw(item["id"])])
            elif job.state == "a" or (seen and seen[0] != job.state):
                out.append([job.state.encode(), raw(job.id)])
            elif seen and seen != job.version:
                out.append([b"changed", raw(job.id)])
            else:
                queue.drop(job)
                queue.removed[job.id] = job
                out.append([b"ok", raw(job.id), raw(job.score), job.flat(), *job.beside()])
        return out

    def _do_restore(
        self, queue: MemoryQueue, shared: dict[str, Arg], _: list[dict[str, Arg]]
    ) -> bytes:
        job_id, only = text(shared["id"]), raw(shared["organization"])
        job = queue.removed.get(job_id)
        if job is None or (only and job.get("o") != only):
            return b"missing"
        if job_id in queue.jobs:
            return b"exists"
        queue.jobs[job_id] = queue.removed.pop(job_id)
        queue.move(job, job.state)
        job.set(re=self._ms)
        job.checkpoint = raw(shared["checkpoint"]) or None
        return b"ok"

    def _do_clean(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> list[int]:
        state, only = text(shared["state"]), raw(shared["organization"])
        asked = whole(shared["asked"]) or self._ms
        before = asked - whole(shared["grace_ms"])
        age = "ft" if state in "cf" else "ct"
        old = [
            job
            for job in queue.in_state(state)
            if (not only or job.get("o") == only) and whole(job.get(age)) <= before
        ]
        if shared["count_only"] in (1, "1"):
            return [len(old), 0, 1, asked]
        going = old[: whole(shared["limit"])]
        for job in going:
            queue.drop(job)
        return [len(going), 0, int(len(going) == len(old)), asked]

    def _do_obliterate(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> list[int]:
        states, everything = text(shared["states"]), shared["whole"] in (1, "1")
        running = len(queue.in_state("a"))
        if everything and running and shared["force"] not in (1, "1"):
            return [-1, running]
        going = [job for job in queue.jobs.values() if job.state in states]
        for job in going:
            queue.drop(job)
        if everything:
            queue.number, queue.paused = 0, False
        return [len(going), 1, self._ms, 1, 0, len(queue.jobs)]

    def _do_pause(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> int:
        paused = shared["pause"] in (1, "1")
        changed = paused != queue.paused
        queue.paused = paused
        return int(changed)

    def _do_job(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> list[Any] | None:
        job = self._may(queue, shared, shared)
        return None if job is None else [*job.row(), int(queue.paused)]
