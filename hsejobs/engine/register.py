"""How a queue's code becomes its registry record."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from hsejobs import codec
from hsejobs.errors import RedisUnavailable
from hsejobs.store import registry
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo

if TYPE_CHECKING:
    from hsejobs.control.options import QueueOptions
    from hsejobs.engine.huey import JobHuey


def describe(huey: JobHuey) -> QueueInfo:
    """The record, from the tasks that are decorated so far."""
    holds = huey.options
    plain = [wrapper for wrapper in huey.wrappers.values() if not wrapper.periodic]
    return QueueInfo(
        name=huey.name,
        tasks=[
            TaskInfo(
                wrapper.full_name,
                wrapper.schema,
                wrapper.secret_paths,
                (wrapper.__doc__ or "").strip().partition("\n")[0],
                **_differing(wrapper.options, holds),
            )
            for wrapper in huey.wrappers.values()
        ],
        default_task=plain[0].full_name if plain else None,
        priority=holds.priority,
        attempts=holds.attempts,
        backoff=holds.backoff,
        timeout=holds.timeout,
        workers=holds.workers,
        concurrency=holds.concurrency,
        enqueue=huey.enqueue_role,
        outbound=huey.outbound,
        schedules=[
            ScheduleInfo(name.rpartition(".")[2], cron, name) for name, cron in huey.cron.items()
        ],
    )


def _differing(own: QueueOptions, queue: QueueOptions) -> dict[str, int]:
    names = ("priority", "attempts", "backoff", "timeout")
    return {
        name: getattr(own, name) for name in names if getattr(own, name) != getattr(queue, name)
    }


def register(huey: JobHuey, before: bytes | None) -> bytes:
    """Writes the record unless it is what was written before; what was written."""
    info = describe(huey)
    text = codec.dumps(asdict(info))
    if text != before:
        registry.save(huey.runtime.link, huey.runtime.prefix, info)
    return text


def announce(queues: Iterable[JobHuey]) -> None:
    """Describes the queues where Redis lacks them, if it takes it: looking never depends on it.

    Raises RedisUnavailable when Redis cannot even be read.
    """
    for huey in queues:
        link, prefix = huey.runtime.link, huey.runtime.prefix
        if codec.dumps(asdict(describe(huey))) != registry.text(link, prefix, huey.name):
            with contextlib.suppress(RedisUnavailable):
                registry.save(link, prefix, describe(huey), patience=0)
