"""Read access: counts, pages, single jobs, counters, workers, events.

Nothing here writes. ``organization_id`` limits a read to one tenant: another tenant's job is
reported as missing, and counts cost the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hsejobs.errors import JobNotFound
from hsejobs.model import JobRecord, State, whole_number
from hsejobs.store import keys, scripts
from hsejobs.store.holds import HeldTask, held_tasks
from hsejobs.store.minutes import Minute, minute_of, pairs, percentile
from hsejobs.store.pages import WHOLE, Page, PageReader, make_cursor, read_cursor
from hsejobs.store.records import record_of

if TYPE_CHECKING:
    from hsejobs.store.feed import Event

#: Minutes over which rates, durations and failure shares are computed.
WINDOW = 5

__all__ = [
    "JobReader",
    "Minute",
    "Page",
    "QueueStats",
    "make_cursor",
    "percentile",
    "read_cursor",
]


@dataclass(slots=True)
class QueueStats:
    """One queue at one time. Times in ms; ``minutes`` newest first, including the current one."""

    name: str
    waiting: int
    active: int
    delayed: int
    completed: int
    failed: int
    is_paused: bool
    oldest_waiting: int | None
    next_due: int | None
    consumers: int
    now: int
    minutes: list[Minute]
    #: When it was paused, in Redis ms; None if it is not.
    paused_at: int | None = None
    #: The tasks that are held, by name.
    held_tasks: list[HeldTask] = field(default_factory=list)
    #: Since when no consumer lives, in Redis ms: since the last heartbeat or, if that is later, since the
    #: start of a program that is to run some. None: some live, or neither is known.
    alone_since: int | None = None
    _windows: dict[int, Minute] = field(default_factory=dict, init=False, repr=False, compare=False)

    def window(self, minutes: int = WINDOW) -> Minute:
        """The sum of the counters of the last ``minutes``, including the current one; not to be changed."""
        # A frame of the TUI asks each queue for it about five times.
        total = self._windows.get(minutes)
        if total is None:
            total = self._windows[minutes] = Minute()
            for one in self.minutes[:minutes]:
                total += one
        return total

    def public(self) -> dict[str, Any]:
        """The object that the HTTP shim and ``hsejobs stats --json`` return."""
        last = self.window()
        average = last.average_run
        waiting = 0 if self.is_paused else self.waiting
        paused = self.waiting if self.is_paused else 0
        return {
            "waiting": waiting,
            "active": self.active,
            "completed": self.completed,
            "failed": self.failed,
            "delayed": self.delayed,
            "paused": paused,
            "total": self.waiting + self.active + self.completed + self.failed + self.delayed,
            "rate": round(last.ended / WINDOW, 2),
            "averageDuration": None if average is None else round(average, 1),
            "failureRate": round(last.failure_ratio, 4),
            "oldestWaiting": self.oldest_waiting,
            "isPaused": self.is_paused,
        }


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a schedule. Times in ms; values no longer known are None."""

    job_id: str
    added_at: int | None
    finished_at: int | None
    status: State | None


class JobReader(PageReader):
    """Reads jobs and queues. Creating one does no I/O."""

    def stats(
        self, queues: Sequence[str], organization_id: str | None = None, *, minutes: int = WINDOW
    ) -> list[QueueStats]:
        """The stats of each queue, in one round trip."""
        args = (keys.tenant(organization_id), minutes)
        replies = self.redis.run_many([(scripts.STATS, self._base(name), args) for name in queues])
        return [stats_of(name, reply) for name, reply in zip(queues, replies, strict=True)]

    def job(
        self, queue: str, job_id: str, organization_id: str | None = None, *, limit: int = WHOLE
    ) -> JobRecord:
        """One complete job. Raises JobNotFound, also for another organization's job."""
        reply = self.redis.run(
            scripts.JOB, self._base(queue), (keys.tenant(organization_id), job_id, limit)
        )
        if reply is None:
            raise JobNotFound(f"there is no job {job_id!r} in queue {queue!r}")
        return job_of(queue, reply)

    def status(self, queue: str, job_id: str) -> State | None:
        """Only the state; None when the job does not exist."""
        letter = self.redis.command("HGET", keys.of(self._base(queue), "job", job_id), "st")
        return State.of_letter(letter) if letter else None

    def shown(self, _queue: str, _job_id: str, seen: State) -> State:
        """The state that a handle shows: the one that it saw last, without a look into Redis."""
        return seen

    def nonce(self, queue: str, job_id: str) -> str:
        """The nonce of the call that added the job; '' when it had none."""
        text = self.redis.command("HGET", keys.of(self._base(queue), "job", job_id), "nx")
        return text.decode() if text else ""

    def logs(
        self, queue: str, job_id: str, *, start: int = 0, end: int = -1
    ) -> tuple[list[str], int]:
        """A job's stored log lines, and how many were ever written."""
        base = self._base(queue)
        lines = self.redis.command("LRANGE", keys.of(base, "logs", job_id), start, end)
        total = self.redis.command("HGET", keys.of(base, "job", job_id), "lc")
        return [line.decode("utf-8", "replace") for line in lines], whole_number(total) or 0

    def log_count(self, queue: str, job_id: str) -> tuple[int, bool]:
        """How many lines a job has ever logged (0 when it does not exist), and whether it is running.

        Only a running job logs: while it is not, no line is added.
        """
        key = keys.of(self._base(queue), "job", job_id)
        count, letter = self.redis.command("HMGET", key, "lc", "st")
        return whole_number(count) or 0, bool(letter) and State.of_letter(letter) is State.ACTIVE

    def workers(self, queues: Sequence[str]) -> list[dict[str, Any]]:
        """The heartbeat records of live consumers, with their slots."""
        found = []
        for queue in queues:
            base = self._base(queue)
            names = self.redis.command("ZRANGE", keys.of(base, "workers"), 0, 999, "WITHSCORES")
            now = self.now(queue) if names else 0
            for name, seen in zip(names[::2], names[1::2], strict=True):
                text = self.redis.command("GET", keys.of(base, "worker", name.decode()))
                if text:
                    record = json.loads(text)
                    record["heartbeatAge"] = max(0, now - int(float(seen)))
                    found.append(record)
        return found

    def now(self, queue: str) -> int:
        """The time in ms of the Redis server that holds the queue."""
        return int(self.redis.run(scripts.STATS, self._base(queue), ("", 0))[9])

    def last_runs(self, queue: str) -> dict[str, str]:
        """The job id of each schedule's last run."""
        flat = self.redis.command("HGETALL", keys.of(self._base(queue), "lastruns"))
        return {name.decode(): value.decode() for name, value in pairs(flat).items()}

    def last_outcomes(self, queue: str) -> dict[str, LastRun]:
        """Each schedule's last run by task name, even if its record was removed since."""
        runs = self.last_runs(queue)
        ends = self.redis.command("HGETALL", keys.of(self._base(queue), "lastends")) if runs else {}
        kept = {name.decode(): value.decode() for name, value in pairs(ends).items()}
        found = {}
        for name, job_id in runs.items():
            record = self.redis.command(
                "HMGET", keys.of(self._base(queue), "job", job_id), "st", "ct", "ft"
            )
            state, added, ended = (value.decode() if value else "" for value in record)
            if not state:
                state, added, ended, of = (*kept.get(name, "").split(" ", 3), "", "", "", "")[:4]
                if of != job_id:
                    state = added = ended = ""
            found[name] = LastRun(
                job_id,
                whole_number(added),
                whole_number(ended),
                State.of_letter(state) if state else None,
            )
        return found

    def slots(self, queue: str) -> dict[str, int]:
        """The last slot (minutes since the epoch) of each schedule for which a job was added."""
        flat = self.redis.command("HGETALL", keys.of(self._base(queue), "slots"))
        return {name.decode(): whole_number(value) or 0 for name, value in pairs(flat).items()}

    def events(
        self, queue: str, since: str = "$", *, block_ms: int = 0, count: int = 200
    ) -> tuple[str, list[Event]]:
        """The position to continue from, and the events after ``since`` (``$``: from now on).

        Waits up to ``block_ms`` (at most 4000) for an event.
        """
        from hsejobs.store.feed import entries_of, events_of

        key = keys.of(self._base(queue), "events")
        if since == "$":
            newest = self.redis.command("XREVRANGE", key, "+", "-", "COUNT", 1)
            since = newest[0][0].decode() if newest else "0-0"
        words: list[Any] = ["XREAD", "COUNT", count]
        if block_ms:
            words += ["BLOCK", min(block_ms, 4000)]
        entries = entries_of(self.redis.command(*words, "STREAMS", key, since))
        return (entries[-1][0].decode() if entries else since), events_of(queue, entries)

    def recent_events(self, queue: str, count: int = 50) -> tuple[str, list[Event]]:
        """The position to continue from, and the last ``count`` events, oldest first."""
        from hsejobs.store.feed import events_of, flat

        key = keys.of(self._base(queue), "events")
        entries = self.redis.command("XREVRANGE", key, "+", "-", "COUNT", count)[::-1]
        found = events_of(queue, [(entry[0], flat(entry[1])) for entry in entries])
        return (entries[-1][0].decode() if entries else "0-0"), found


def job_of(queue: str, reply: Sequence[Any]) -> JobRecord:
    """The job in a reply of ``lua/job.lua``."""
    record = record_of(queue, reply)
    record.paused = bool(reply[5])
    return record


def stats_of(
    name: str, reply: Sequence[Any], minutes: Callable[[Sequence[Any]], list[Minute]] | None = None
) -> QueueStats:
    """The stats in a reply of ``lua/stats.lua``. ``minutes``: decodes its minutes, newest first."""
    waiting, active, delayed, completed, failed, paused, oldest, due, live, now = reply[:10]
    return QueueStats(
        name,
        waiting,
        active,
        delayed,
        completed,
        failed,
        bool(paused),
        None if oldest < 0 else oldest,
        None if due < 0 else due,
        live,
        now,
        (minutes or minutes_of)(reply),
        paused or None,
        held_tasks(reply[10]),
        reply[11] or None,
    )


def minutes_of(reply: Sequence[Any]) -> list[Minute]:
    """The minutes in a reply of ``lua/stats.lua``, newest first."""
    return [minute_of(pairs(one)) for one in reply[12:]]
