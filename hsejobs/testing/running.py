"""What a running job writes in memory: progress, log, marks, locks, rate limits."""

from __future__ import annotations

import json
from typing import Any

from hsejobs.store.scripts import Arg
from hsejobs.testing.moves import Moves
from hsejobs.testing.records import MemoryQueue, raw, text, whole

#: How long a job waits for a lock before it tries again, in ms.
_LOCK_MS = 5_000


class Running(Moves):
    """The writes of a job's task."""

    def _do_progress(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> int:
        job = self._held(queue, shared)
        if job is None:
            return 0
        progress = raw(shared["percent"]), raw(shared["message"])
        if progress != (job.get("pg"), job.get("pm")):
            job.set(pg=progress[0], pm=progress[1], pa=self._ms)
        return 1

    def _do_log(
        self, queue: MemoryQueue, shared: dict[str, Arg], items: list[dict[str, Arg]]
    ) -> int:
        job = self._held(queue, shared)
        if job is None:
            return 0
        mark = job.get("ls") or b""
        token, _, number = mark.partition(b" ")
        written = whole(number) if token == job.get("tk") else 0
        fresh = items[max(0, written - whole(shared["first"])) :]
        job.logs += [raw(item["line"]) for item in fresh]
        del job.logs[: -whole(shared["lines_kept"])]
        job.set(lc=whole(job.get("lc")) + len(fresh))
        if fresh:
            job.set(ls=raw(shared["token"]) + b" %d" % (whole(shared["first"]) + len(items)))
        return 1

    def _do_mark(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> int:
        job = self._held(queue, shared)
        if job is None:
            return -1
        mark = raw(shared["mark"])
        fresh = mark not in job.marks
        if shared["set"] in (1, "1"):
            job.marks.add(mark)
        return int(fresh)

    def _do_checkpoint(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> int:
        job = self._held(queue, shared)
        if job is None:
            return 0
        job.checkpoint = raw(shared["value"])
        return 1

    def _do_alone(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> int:
        job = self._held(queue, shared)
        if job is None:
            return -1
        if shared["begins"] in (1, "1"):
            job.set(al=shared["token"])
        return 0

    def _do_artifact(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> bytes:
        job = self._held(queue, shared)
        if job is None:
            return b""
        job.set(af=job.get("af") or shared["fresh"], ae=shared["expires_at"])
        return job.get("af") or b""

    def _do_key(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> int:
        return -1 if self._held(queue, shared) is None else 1

    # -- locks and rates

    def _do_lock(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> int:
        lock, job_id, token = (text(shared[name]) for name in ("lock", "id", "token"))
        if job_id and self._held(queue, shared) is None:
            return 0
        holder = queue.locks.get(lock)
        if holder is not None and 0 < holder[2] <= self._ms:
            holder = None
        if holder is not None:
            return 2 if job_id and holder[:2] == (job_id, token) else 0
        ttl = whole(shared["ttl_ms"])
        queue.locks[lock] = (job_id, token, self._ms + ttl if ttl else 0)
        return 1

    def _do_unlock(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> int:
        lock, job_id, token = (text(shared[name]) for name in ("lock", "id", "token"))
        holder = queue.locks.get(lock)
        if holder is None or (job_id and holder[:2] != (job_id, token)):
            return 0
        del queue.locks[lock]
        self._hand_over(queue, lock)
        return 1

    def _do_await_lock(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> bytes:
        job = self._held(queue, shared)
        if job is None:
            return self._before(queue, shared, "dw").encode()
        if job.get("cl"):
            self._end_cancelled(queue, job, {})
            return b"k"
        lock = text(shared["lock"])
        job.set(lk=json.dumps([lock]), am=whole(job.get("am")) - 1)
        if lock in queue.locks:
            self._into(queue, job, "d", ra=self._ms + _LOCK_MS)
        else:
            self._into(queue, job, "w")
        return job.state.encode()

    def _do_rate(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> int:
        per = whole(shared["per_us"])
        starts = queue.rates.setdefault(text(shared["rate"]), {})
        for nonce, at in list(starts.items()):
            if at <= self._us - per:
                del starts[nonce]
        if len(starts) < whole(shared["limit"]) or shared["nonce"] in starts:
            starts[text(shared["nonce"])] = self._us
            return 0
        return max(1, min(starts.values()) + per - self._us)
