"""Queues that describe themselves in the private Redis, and have no code anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hsejobs import codec
from hsejobs.model import JobRecord
from hsejobs.store import keys, registry
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs.store.write import JobWriter

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["to"],
    "properties": {
        "to": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["n"]}},
        "apiKey": {"type": "string"},
        "organizationId": {"type": ["string", "null"]},
        "userId": {"type": ["string", "null"]},
    },
}
#: Its default task has options of its own; so has its schedule's task.
MAIL = QueueInfo(
    "mail",
    [
        TaskInfo("m.send", SCHEMA, ["apiKey"], attempts=1, timeout=5000, priority=2, backoff=70),
        TaskInfo("m.other"),
        TaskInfo("m.nightly", attempts=1, timeout=7000),
    ],
    "m.send",
    attempts=3,
    timeout=60_000,
    schedules=[
        ScheduleInfo("nightly", "0 3 * * *", "m.nightly"),
        ScheduleInfo("old", "0 4 * * */3", "m.gone"),
        ScheduleInfo("broken", "at noon", "m.broken"),
        ScheduleInfo("code", "", "m.code"),
    ],
)


@dataclass
class Place:
    """The store, as an operator's program sees it."""

    redis: RedisClient
    client: Any

    def __post_init__(self) -> None:
        self.reader, self.writer = (
            JobReader(self.redis, "hsejobs"),
            JobWriter(self.redis, "hsejobs"),
        )

    def job(self, job_id: str) -> JobRecord:
        return self.reader.job("mail", job_id)

    def payload(self, job_id: str) -> Any:
        """As it is stored in Redis."""
        return codec.loads(
            self.client.get(keys.of(keys.base("hsejobs", "mail"), "payload", job_id))
        )

    def count(self) -> int:
        return self.reader.stats(["mail"])[0].waiting


@pytest.fixture
def place(redis_url: str, redis_client: Any) -> Iterator[Place]:
    client = RedisClient(redis_url)
    registry.save(client, "hsejobs", MAIL)
    yield Place(client, redis_client)
    client.close()
