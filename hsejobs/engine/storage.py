"""Huey's storage interface: key-value data in Redis, and queue sizes from our store.

Jobs do not pass through here: ``JobHuey`` adds and claims them as records.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from huey.constants import EmptyData
from huey.storage import BaseStorage
from huey.utils import Error

from hsejobs.engine.context import running_job
from hsejobs.engine.queue import Queue
from hsejobs.engine.serializer import JsonSerializer
from hsejobs.errors import JobNotFound, WrongState
from hsejobs.handle import acts_of, cancel
from hsejobs.model import State
from hsejobs.store import keys
from hsejobs.store.client import PATIENCE
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import new_nonce

#: Retention of the results of follow-ups and chords, in seconds.
KEPT = 7 * 24 * 3600
#: Retention of a chord's results after its callback was added, in seconds. Two members that end
#: together both add the callback, under one id, as does one that runs again: all need the results.
CHORD_KEPT = 3600
#: An answer to a rate limit that took more than this part of the window is asked for again, at most so
#: often: the block counts from when Redis let it begin, and must not begin much later.
RATE_LATE, RATE_TRIES = 200, 4


class JobStorage(BaseStorage):
    """Locks, counters, revocations and chords of one queue."""

    blocking = True

    def __init__(self, queue: Queue, serializer: JsonSerializer) -> None:
        super().__init__(queue.name)
        self._queue = queue
        self._serializer = serializer

    def _key(self, name: str, key: Any) -> str:
        return keys.of(self._queue.base, name, _text(key))

    def _command(self, *words: Any) -> Any:
        return self._queue.runtime.redis.command(*words)

    def close(self) -> None:
        """Closes this thread's connection."""
        self._queue.runtime.redis.close()

    def queue_size(self) -> int:
        """The number of waiting jobs."""
        return int(self._command("ZCARD", keys.index(self._queue.base, State.WAITING)))

    def schedule_size(self) -> int:
        """The number of delayed jobs."""
        return int(self._command("ZCARD", keys.index(self._queue.base, State.DELAYED)))

    def result_store_size(self) -> int:
        """The number of completed jobs that are kept."""
        return int(self._command("ZCARD", keys.index(self._queue.base, State.COMPLETED)))

    def put_data(self, key: Any, value: bytes, is_result: bool = False) -> None:
        """Stores a value; revocations go where a claim reads them without a further round trip."""
        name = _text(key)
        if _revocation(name):
            if self._cancelled_now(name, value):
                return
            revoked = keys.of(self._queue.base, "revoked")
            self._command("HSET", revoked, name, value)
            self._command("EXPIRE", revoked, keys.REVOKED_TTL)
        elif is_result:
            self._command("SET", self._key("value", name), value, "EX", KEPT)
            chord, _, position = name.rpartition(":")
            if chord.startswith("chord:"):
                members = self._key("members", chord)
                self._command("SADD", members, position)
                self._command("EXPIRE", members, KEPT)
        else:
            self._command("SET", self._key("value", name), value)

    def _cancelled_now(self, name: str, value: bytes) -> bool:
        """Cancels the job that Huey revokes; False if a claim must decide instead.

        That is so for a revocation of a task, for one until a time, and for a job that was not added yet.
        """
        until, _ = self._serializer.deserialize(value)
        if not name.startswith("r:") or until is not None:
            return False
        try:
            cancel(self._queue.runtime.reader, self.name, name[2:], "revoked")
        except JobNotFound:
            return False
        except WrongState:
            pass  # it has ended, so that nothing is left to revoke
        return True

    def peek_data(self, key: Any) -> Any:
        """The value, or EmptyData. The revocation of a cancelled job is in its record."""
        name = _text(key)
        if _revocation(name):
            found = self._command("HGET", keys.of(self._queue.base, "revoked"), name)
            record = keys.of(self._queue.base, "job", name.removeprefix("r:"))
            if found is None and name.startswith("r:") and self._command("HGET", record, "cl"):
                found = self._serializer.serialize((None, False))
        else:
            found = self._command("GET", self._key("value", name))
        return EmptyData if found is None else found

    def pop_data(self, key: Any) -> Any:
        """Removes and returns the value, or returns EmptyData."""
        found = self.peek_data(key)
        self.delete_data(key)
        return found

    def delete_data(self, key: Any) -> bool:
        """Deletes the value; returns whether there was one."""
        name = _text(key)
        if _revocation(name):
            return bool(self._command("HDEL", keys.of(self._queue.base, "revoked"), name))
        if name.startswith("chord:"):
            return bool(self._command("EXPIRE", self._key("value", name), CHORD_KEPT))
        if name.startswith(f"{self.name}.lock."):
            return self._locks().unlock(name)
        return bool(self._command("DEL", self._key("value", name)))

    def has_data_for_key(self, key: Any) -> bool:
        return bool(self._command("EXISTS", self._key("value", key)))

    def put_if_empty(self, key: Any, value: bytes, ttl: float | None = None) -> bool:
        """Takes a lock; True if it was free, or held by a job that no longer runs."""
        return bool(self.take_lock(_text(key), ttl))

    def take_lock(self, key: str, ttl: float | None = None) -> bool | None:
        """Takes a lock for the running job, or for this program; returns whether it was free.

        None if this job holds it already. ``ttl``: seconds after which it is free again.
        """
        return self._locks().lock(key, *_holder(), int(ttl * 1000) if ttl else 0)

    def free_lock(self, key: str) -> bool:
        """Frees a lock for the next job that waits for it, if the running job holds it."""
        return self._locks().unlock(key, *_holder())

    def _locks(self) -> WorkerStore:
        runtime = self._queue.runtime
        return WorkerStore(runtime.redis, runtime.prefix, self.name, patience=PATIENCE)

    def take_rate(self, rate: str, limit: int, per_us: int) -> int:
        """Us until the running job, or this program, may try again to begin; 0: it begins."""
        locks, nonce, job_id = self._locks(), new_nonce(), _holder()[0]
        for _ in range(RATE_TRIES):
            asked = time.monotonic()
            wait = locks.rate(rate, limit, per_us, nonce, job_id)
            if wait or (time.monotonic() - asked) * 1e6 * RATE_LATE < per_us:
                break
        return wait

    def rate_usage(self, rate: str, per_us: int) -> int:
        """How many blocks began under a rate limit in the last ``per_us``."""
        seconds, us = map(int, self._command("TIME"))
        since = seconds * 1_000_000 + us - per_us
        return int(self._command("ZCOUNT", self._key("rate", rate), since, "+inf"))

    def forget_rate(self, rate: str) -> None:
        """Resets a rate limit."""
        for name in ("rate", "line", "expected"):
            self._command("DEL", self._key(name, rate))

    def incr(self, key: Any, amount: int = 1) -> int:
        """Increments a counter; for a chord, returns how many distinct members have reported."""
        name = _text(key)
        if name.startswith("chord:"):
            return int(self._command("SCARD", self._key("members", name)))
        counter = self._key("counter", name)
        value = int(self._command("INCRBY", counter, amount))
        self._command("EXPIRE", counter, KEPT)
        return value

    def delete_counter(self, key: Any) -> None:
        if _text(key).startswith("chord:"):
            self._command("EXPIRE", self._key("members", key), CHORD_KEPT)
        else:
            self._command("DEL", self._key("counter", key))

    def job_result(self, key: Any) -> Any:
        """The raw result of a job: EmptyData until it has finished, None when no job has this id."""
        reader = self._queue.runtime.reader
        status = reader.status(self.name, _text(key))
        if status is None:
            return None
        if status not in (State.COMPLETED, State.FAILED):
            return EmptyData
        try:
            record = reader.job(self.name, _text(key))
        except JobNotFound:
            return EmptyData
        if status is State.COMPLETED:
            return self._serializer.serialize(record.result)
        last = record.errors[-1] if record.errors else {}
        metadata = {
            "error": last.get("error"),
            "retries": 0,
            "traceback": last.get("traceback"),
            "task_id": key,
        }
        return self._serializer.serialize(Error(metadata))

    def wait_result(
        self, key: Any, timeout: float | None = None, backoff: float = 1.15, max_delay: float = 1.0
    ) -> bool:
        """Waits up to ``timeout`` seconds for the job with this id; returns whether it finished."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = 0.005
        while self._result(key) is EmptyData:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(max_delay, pause * backoff, 0.25)
        return True

    def _result(self, key: Any) -> Any:
        found = self.job_result(key)
        return self.peek_data(key) if found is None else found

    def flush_all(self) -> None:
        """Obliterates the queue, running jobs included."""
        runtime, name = self._queue.runtime, self._queue.name
        acts = acts_of(runtime.redis, runtime.prefix)
        for _ in acts.sweep("obliterate", name, acts.select("obliterate", name), force=True):
            pass

    flush_queue = flush_schedule = flush_results = flush_all

    def result_items(self) -> dict[str, Any]:
        """The ids and raw results of the completed jobs that are kept, at most 1,000."""
        found: dict[str, Any] = {}
        for page in self._queue.runtime.reader.walk(self.name, State.COMPLETED):
            for job in page:
                found[job.id] = self._serializer.serialize(job.result)
            if len(found) >= 1000:
                break
        return found

    def peek_many(self, keys_: Iterable[Any]) -> dict[Any, Any]:
        """The values of the keys that have one."""
        pairs = ((key, self.peek_data(key)) for key in keys_)
        return {key: value for key, value in pairs if value is not EmptyData}


def _holder() -> tuple[str, str]:
    """Id and token of the running job; '' outside a job."""
    job = running_job()
    return (job.id, job.token) if job else ("", "")


def _revocation(name: str) -> bool:
    return name.startswith(("r:", "rt:"))


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)
