"""What workers do to jobs in memory: claims and outcomes."""

from __future__ import annotations

import json
from typing import Any

from hsejobs.model import BACKOFF_FACTOR, LONGEST_BACKOFF_MS
from hsejobs.store.claims import FIELD_OF, REVOKED, claim_row, step_reply
from hsejobs.store.scripts import Arg
from hsejobs.testing.moves import Moves
from hsejobs.testing.records import MemoryJob, MemoryQueue, raw, text, whole


class Working(Moves):
    """Claims and outcomes."""

    def _do_complete(
        self, queue: MemoryQueue, shared: dict[str, Arg], items: list[dict[str, Arg]]
    ) -> list[bytes] | bytes:
        letters = "".join(self._complete(queue, item, nth) for nth, item in enumerate(items))
        want, token = whole(shared["claim_count"]), text(shared["token"])
        held = [job for job in queue.in_state("a") if job.get("tk") == raw(token)]
        if shared["again"] and held:
            rows = [self._row(queue, job, whole(job.get("am")) - 1) for job in held]
            return step_reply(letters, rows)
        rows = []
        if want and not queue.paused:
            self._move_due(queue)
            for job in queue.in_state("w"):
                apart = bool(job.get("sl"))
                if len(rows) >= want or (apart and rows):
                    break
                if job.get("cl"):
                    self._end_cancelled(queue, job, {})
                    continue
                made = whole(job.get("am"))
                rows.append(self._row(queue, job, made))
                self._into(queue, job, "a", tk=token, am=made + 1, pt=self._ms)
                job.drop("lk")
                job.lease = self._ms + whole(shared["lease_ms"])
                if apart:
                    break
        return step_reply(letters, rows)

    def _row(self, queue: MemoryQueue, job: MemoryJob, made: int) -> list[bytes]:
        name = text(job.get("n") or b"")
        revoked = {f"r:{job.id}", f"rt:{name}"} & queue.revoked.keys()
        words = [kind + value for kind, field in FIELD_OF.items() if (value := job.get(field))]
        return claim_row(
            job.id,
            name,
            (made, *(whole(job.get(field)) for field in ("ax", "bo", "to", "p"))),
            job.payload,
            created_at=whole(job.get("ct")),
            words=[*words, *([REVOKED] if revoked else ())],
        )

    def _complete(self, queue: MemoryQueue, item: dict[str, Arg], nth: int) -> str:
        job = queue.jobs.get(text(item["id"]))
        if job is None or job.get("tk") != raw(item["its_token"]):
            return "r"
        if job.get("cl") and job.state in "af":
            if job.state == "a":
                self._end_cancelled(queue, job, {})
            return "k"
        if job.state != "a":
            return "c" if job.state == "c" else "r"
        started = (self._us - whole(item["run_us"])) // 1000
        self._free_locks(queue, job)
        self._into(queue, job, "c", pt=started, ft=self._ms)
        job.score += nth
        job.result, job.checkpoint = raw(item["result"]), None
        job.drop("cp", "lk")
        return "c"

    def _do_fail(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> list[Any]:
        job = self._held(queue, shared)
        if job is None:
            return [self._before(queue, shared, "df").encode(), 0]
        if job.get("cl"):
            self._end_cancelled(queue, job, json.loads(raw(shared["error"])))
            return [b"k", 0]
        made = whole(job.get("am"))
        started = (self._us - whole(shared["run_us"])) // 1000
        self._free_locks(queue, job)
        job.errors = [*job.errors, raw(shared["error"])][-whole(shared["errors_kept"]) :]
        job.set(ec=shared["code"], pt=started)
        if shared["final"] in (1, "1") or made >= whole(job.get("ax")):
            self._into(queue, job, "f", ft=self._ms)
            return [b"f", 0]
        delay = max(backoff(whole(job.get("bo")), made), whole(shared["least_ms"]))
        self._into(queue, job, "d", ra=self._ms + delay)
        job.drop("pg", "pm")
        return [b"d", delay]

    def _do_postpone(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> list[Any]:
        job = self._held(queue, shared)
        if job is None:
            return [self._before(queue, shared, "d").encode(), 0]
        if job.get("cl"):
            self._end_cancelled(queue, job, {})
            return [b"k", 0]
        field = "bs" if shared["code"] else "pf"
        first = whole(job.get(field)) or self._ms
        limit = whole(shared["limit_ms"])
        if 0 <= limit <= self._ms - first and job.get(field):
            return [b"x", self._ms - first]
        self._free_locks(queue, job)
        job.set(**{field: first, "am": whole(job.get("am")) - 1})
        if shared["code"]:
            job.set(ec=shared["code"])
        self._into(queue, job, "d", ra=self._ms + whole(shared["delay_ms"]))
        job.drop("pg", "pm")
        return [b"d", self._ms - first]

    def _back(self, queue: MemoryQueue, job: MemoryJob) -> None:
        """To the place that it had, as if it had not been claimed."""
        self._free_locks(queue, job)
        self._into(queue, job, "w", am=whole(job.get("am")) - 1)
        job.drop("tk", "pg", "pm", "al", "lk")

    def _do_release(self, queue: MemoryQueue, _: Any, items: list[dict[str, Arg]]) -> int:
        released = 0
        for item in items:
            job = self._held(queue, item)
            if job is not None:
                released += 1
                if job.get("cl"):
                    self._end_cancelled(queue, job, {})
                else:
                    self._back(queue, job)
        return released

    def _do_renew(
        self, queue: MemoryQueue, shared: dict[str, Arg], items: list[dict[str, Arg]]
    ) -> list[bytes]:
        lost = []
        for item in items:
            job = self._held(queue, item)
            if job is None:
                lost += [raw(item["id"]), raw(item["token"])]
            else:
                job.lease = self._ms + whole(shared["lease_ms"])
        return lost

    def _do_stall(
        self, queue: MemoryQueue, shared: dict[str, Arg], items: list[dict[str, Arg]]
    ) -> list[bytes]:
        jobs = [self._held(queue, item) for item in items]
        most = whole(shared["max_stalls"])
        return [b"refused" if job is None else self._stall(queue, job, most) for job in jobs]

    def _stall(self, queue: MemoryQueue, job: MemoryJob, most: int) -> bytes:
        if job.get("cl"):
            self._end_cancelled(queue, job, {})
            return b"cancelled"
        stalls = whole(job.get("sl")) + 1
        job.set(sl=stalls)
        if stalls > most and (most == 0 or job.get("al") == job.get("tk")):
            error = f"the worker went silent {stalls} times while it ran this job"
            job.errors.append(json.dumps({"code": "stalled", "error": error}).encode())
            self._free_locks(queue, job)
            self._into(queue, job, "f", ec="stalled", ft=self._ms)
            return b"failed"
        self._back(queue, job)
        return b"waiting"

    def _do_sweep(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> list[Any]:
        moved = self._move_due(queue)
        by = min(whole(shared["ended_by"]), self._ms)
        dead = [job for job in queue.in_state("a") if job.lease <= by] if by > 0 else []
        became = [self._stall(queue, job, whole(shared["max_stalls"])) for job in dead]
        delayed = queue.in_state("d")
        due = max(0, delayed[0].score - self._ms) * 1000 if delayed else -1
        ends = [max(0, job.lease - self._ms) for job in queue.in_state("a")] if by > 0 else []
        end = min((one for one in ends if one <= 1000), default=-1)
        cancelled = [
            word
            for job in queue.in_state("a")
            if job.get("cl")
            for word in (raw(job.id), job.get("tk"))
        ]
        return [moved, due, [raw(job.id) for job in dead], became, self._ms, cancelled, [], end]


def backoff(base: int, made: int) -> int:
    """The delay in ms after attempt number ``made``; see lib/backoff.lua."""
    longest = max(base, LONGEST_BACKOFF_MS)
    delay = base
    while made > 1 and 0 < delay < longest:
        delay, made = delay * BACKOFF_FACTOR, made - 1
    return min(delay, longest)
