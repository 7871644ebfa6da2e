"""A queue in a state that the tests set up, and a watch on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from hsejobs.settings import load_settings
from hsejobs.store import keys
from hsejobs.store.client import RedisClient
from hsejobs.watch.alerts import Watch, stored
from tests.store.test_acts import Store


class Noted:
    """A channel that records its messages; it fails while ``broken``."""

    name = "noted"

    def __init__(self) -> None:
        self.sent: list[tuple[str, str | None, str]] = []
        self.broken = False
        self.tried = 0

    def send(self, alerts: Sequence[dict[str, Any]]) -> None:
        self.tried += 1
        if self.broken:
            raise OSError("no")
        self.sent += [(one["rule"], one["queue"], one["state"]) for one in alerts]


class Scene:
    """The queue ``q`` of the prefix ``t``, one worker in it, and a watch."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = Store(url)
        self.store.redis.command("SADD", keys.queues("t"), "q")
        self.channel = Noted()
        self.watch = self.watching()
        self.workers(1)

    def watching(self, **env: str) -> Watch:
        """Another process's watch, with these settings."""
        settings = load_settings({"QUEUE_REDIS_PREFIX": "t", **env})
        return Watch(RedisClient(self.url), settings, [self.channel])

    def workers(self, n: int) -> None:
        """One live consumer, or none if ``n`` is 0."""
        self.store.work.heartbeat("w:1:x", b"{}" if n else b"", 60_000)

    def alerts(self) -> dict[str, str]:
        """The states by rule."""
        return {one["rule"]: one["state"] for one in stored(self.store.redis, "t")}

    def close(self) -> None:
        self.store.redis.close()
        self.watch.redis.close()


@pytest.fixture
def scene(redis_url: str) -> Iterator[Scene]:
    found = Scene(redis_url)
    yield found
    found.close()
