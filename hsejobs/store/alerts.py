"""The alerts in Redis, and the lock that lets one process check the rules."""

from __future__ import annotations

import json
from typing import Any

from hsejobs import codec
from hsejobs.store import keys
from hsejobs.store.client import RedisClient


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

    def overdue(self, queue: str, before_ms: int) -> int:
        """How many active jobs have a lease that ended before ``before_ms`` (Redis time)."""
        active = keys.of(keys.base(self.prefix, queue), "active")
        return int(self.redis.command("ZCOUNT", active, "-inf", before_ms))


def _field(alert: dict[str, Any]) -> str:
    return f"{alert['rule']}:{alert['queue'] or ''}"
