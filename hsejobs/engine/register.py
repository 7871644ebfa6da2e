"""Describing the queues whose code is here to those who only look."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict

from hsejobs import codec
from hsejobs.engine.queue import Queue
from hsejobs.errors import RedisUnavailable
from hsejobs.store import registry


def announce(queues: Iterable[Queue]) -> None:
    """Describes the queues where Redis lacks them, if it takes it: looking never depends on it.

    Raises RedisUnavailable when Redis cannot even be read.
    """
    for queue in queues:
        link, prefix = queue.runtime.link, queue.runtime.prefix
        info = queue.describe()
        if codec.dumps(asdict(info)) != registry.text(link, prefix, queue.name):
            with contextlib.suppress(RedisUnavailable):
                registry.save(link, prefix, info, patience=0)
