"""Write the descriptions of queues to Redis, for programs that only read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from hsejobs.engine.queue import Queue
from hsejobs.errors import RedisUnavailable
from hsejobs.store import registry


def announce(queues: Iterable[Queue]) -> None:
    """Writes the description of each queue that Redis does not have.

    Failed writes are ignored, because readers do not depend on them. Raises RedisUnavailable when
    Redis cannot be read.
    """
    for queue in queues:
        link, prefix, own = queue.runtime.redis, queue.runtime.prefix, queue.own_description()
        if not registry.is_known(link, prefix, own):
            with contextlib.suppress(RedisUnavailable):
                registry.note(link, prefix, own, patience=0)
