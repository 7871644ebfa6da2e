"""Plain Huey as its users have it: `PriorityRedisHuey`, pickled messages, results on.

It has no organizations: the payload carries one. It has no bulk add: `add_many` writes
what its `enqueue` would write, through one pipeline.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Any

from huey import PriorityRedisHuey

from benchmarks import bodies

huey = PriorityRedisHuey("bench", url=os.environ["BENCH_REDIS_URL"])


def mail(payload: dict[str, Any]) -> dict[str, Any]:
    return bodies.mail(payload)


def probe(payload: dict[str, Any]) -> dict[str, Any]:
    return bodies.probe(payload)


def nap(payload: dict[str, Any]) -> dict[str, Any]:
    return bodies.nap(payload)


TASKS: dict[str, Any] = {body.__name__: huey.task()(body) for body in (mail, probe, nap)}


def _of(organization: str | None, payload: dict[str, Any]) -> dict[str, Any]:
    return payload if organization is None else {**payload, "organizationId": organization}


def add(
    task: str, payload: dict[str, Any], organization: str | None, delay: float | None = None
) -> None:
    carried = _of(organization, payload)
    if delay is None:
        TASKS[task](carried)
    else:
        TASKS[task].schedule((carried,), delay=delay)


def add_many(task: str, payloads: list[dict[str, Any]], organization: str | None) -> None:
    pipe = huey.storage.conn.pipeline(transaction=False)
    for payload in payloads:
        message = huey.serialize_task(TASKS[task].s(_of(organization, payload)))
        stamp = struct.pack(">Q", int(time.time() * 1e6))
        pipe.zadd(huey.storage.queue_key, {stamp + message: 0})
    pipe.execute()
