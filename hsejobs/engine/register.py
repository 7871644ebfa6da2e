"""Write the descriptions of queues to Redis, for programs that only read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from hsejobs.engine.queue import Queue
from hsejobs.errors import RedisUnavailable
from hsejobs.store import registry, rules


def announce(queues: Iterable[Queue]) -> None:
    """Writes the description of each queue that Redis does not have.

    Failed writes are ignored, because readers do not depend on them. Raises RedisUnavailable when
    Redis cannot be read.
    """
    for queue in queues:
        client, prefix, own = queue.runtime.redis, queue.runtime.prefix, queue.own_description()
        if not registry.is_known(client, prefix, own):
            with contextlib.suppress(RedisUnavailable):
                registry.note(client, prefix, own, patience=0)


def begin(queue: Queue) -> None:
    """Writes a queue's description, and its limits, before a consumer claims the first job.

    Failed writes are ignored: the consumer's maintenance repeats them.
    """
    client, prefix = queue.runtime.redis, queue.runtime.prefix
    with contextlib.suppress(RedisUnavailable):
        own = queue.own_description(consumer=True)
        found = registry.note(client, prefix, own, patience=0, begins=True)
        rules.write(client, prefix, found, patience=0)
