"""The alerts in Redis, and the lock that lets one process check the rules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hsejobs import codec
from hsejobs.store import keys, registry, scripts
from hsejobs.store.client import RedisClient

#: Jobs at each end of a queue whose tasks are looked at.
SAMPLE = 20


class Unrunnable(NamedTuple):
    """Tasks of waiting jobs that no consumer runs, each with since when its oldest job waits, in ms.

    ``unknown``: no living consumer has the task; ``sealed``: those that took its jobs have no key for
    their secrets.
    """

    unknown: dict[str, int]
    sealed: dict[str, int]


class AlertStore:
    """The alerts, by rule and queue. All methods raise RedisUnavailable."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis, self.prefix = client, prefix
        self._key, self._lock = keys.alerts(prefix), keys.lock(prefix, "alerts")

    def acquire_lock(self, ms: int) -> bool:
        """Tries to take the lock for ``ms``; returns whether this process has it. Takes at most about 1 s."""
        return bool(self.redis.command("SET", self._lock, "1", "NX", "PX", ms, patience=1.0))

    def extend_lock(self, ms: int) -> None:
        """Extends the lock to ``ms`` from now."""
        self.redis.command("PEXPIRE", self._lock, ms)

    def all(self) -> list[dict[str, Any]]:
        """Every alert, as it was stored."""
        return [json.loads(text) for text in self.redis.command("HVALS", self._key)]

    def put(self, alert: dict[str, Any]) -> None:
        """Stores an alert under its rule and queue."""
        self.redis.command("HSET", self._key, _field(alert), codec.dumps(alert))

    def drop(self, alert: dict[str, Any]) -> None:
        """Deletes an alert."""
        self.redis.command("HDEL", self._key, _field(alert))

    def overdue(self, queue: str, ms: int) -> int:
        """How many active jobs have a lease that ended more than ``ms`` ago; 0 while consumers start."""
        return int(self.redis.run(scripts.OVERDUE, keys.base(self.prefix, queue), (ms,)))

    def unrunnable(self, queue: str) -> Unrunnable:
        """What no consumer runs. Looks at the jobs that consumers sent back, and at SAMPLE others at
        each end.
        """
        base = keys.base(self.prefix, queue)
        found, sealed = (_tasks(rows) for rows in self.redis.run(scripts.UNKNOWN, base, (SAMPLE,)))
        return Unrunnable(self._unknown(queue, base, found) if found else {}, sealed)

    def _unknown(self, queue: str, base: str, found: Mapping[str, int]) -> dict[str, int]:
        """Those of the tasks that no living consumer has."""
        _, *rows = self.redis.run(scripts.WORKERS, base)
        records = [json.loads(text) for text in rows[::2]]
        known = {name for one in records for name in one.get("tasks", ())}
        unknown = {task: at for task, at in found.items() if task not in known}
        if unknown and any("tasks" not in one for one in records):
            # A consumer of 0.1.0 names no tasks: it has those that its release describes.
            found_releases = registry.look_up(self.redis, self.prefix, queue).releases
            older = [one for one in found_releases if one.older]
            if not older:
                return {}
            listed = {task.name for one in older for task in one.info.tasks}
            unknown = {task: at for task, at in unknown.items() if task not in listed}
        return unknown


def _tasks(rows: Sequence[bytes]) -> dict[str, int]:
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return {task.decode("utf-8", "replace"): int(at) for task, at in pairs}


def _field(alert: dict[str, Any]) -> str:
    return f"{alert['rule']}:{alert['queue'] or ''}"
