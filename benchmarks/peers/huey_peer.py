"""Plain Huey as its users have it: `PriorityRedisHuey`, pickled messages, results on.

Its tasks return True, because Huey keeps nothing at all of a task that returns
None. It has no bulk add: `add_many` writes what its `enqueue` would write, through
one pipeline.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Any

from huey import PriorityRedisHuey

from benchmarks import bodies

huey = PriorityRedisHuey("bench", url=os.environ["BENCH_REDIS_URL"])


def noop(payload: dict[str, Any]) -> bool:
    bodies.mark()
    return True


def probe(payload: dict[str, Any]) -> bool:
    bodies.probe(payload)
    return True


def nap(payload: dict[str, Any]) -> bool:
    bodies.nap(payload)
    return True


TASKS: dict[str, Any] = {body.__name__: huey.task()(body) for body in (noop, probe, nap)}


def add(task: str, payload: dict[str, Any], delay: float | None = None) -> None:
    if delay is None:
        TASKS[task](payload)
    else:
        TASKS[task].schedule((payload,), delay=delay)


def add_many(task: str, payloads: list[dict[str, Any]], organization: str | None) -> None:
    pipe = huey.storage.conn.pipeline(transaction=False)
    for payload in payloads:
        message = huey.serialize_task(TASKS[task].s(payload))
        stamp = struct.pack(">Q", int(time.time() * 1e6))
        pipe.zadd(huey.storage.queue_key, {stamp + message: 0})
    pipe.execute()
