"""Write the descriptions of queues to Redis, for programs that only read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict

from hsejobs import codec
from hsejobs.engine.queue import Queue
from hsejobs.errors import RedisUnavailable
from hsejobs.store import registry


def announce(queues: Iterable[Queue]) -> None:
    """Writes the description of each queue whose description in Redis is missing or outdated.

    Failed writes are ignored, because readers do not depend on them. Raises RedisUnavailable when
    Redis cannot be read.
    """
    for queue in queues:
        client, prefix = queue.runtime.redis, queue.runtime.prefix
        info = queue.describe()
        if codec.dumps(asdict(info)) != registry.text(client, prefix, queue.name):
            with contextlib.suppress(RedisUnavailable):
                registry.save(client, prefix, info, patience=0)
