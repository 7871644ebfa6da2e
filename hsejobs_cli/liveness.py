"""``hsejobs worker --check``: whether the consumers of this machine live, for the probe of a container."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hsejobs import pulse
from hsejobs.errors import RedisUnavailable, Refused

if TYPE_CHECKING:
    from hsejobs.settings import Settings

#: Seconds after which a consumer that seemed frozen is looked at again. The machine or the container
#: may have been suspended until a moment ago.
SECOND_LOOK = 1.0
#: Milliseconds after which a heartbeat in Redis is old: its time to live.
STALE_MS = 20_000


def check_consumers(settings: Settings, queues: Sequence[str]) -> str:
    """Returns one line if each queue has a consumer on this machine and none of them is frozen.

    Goes by the consumers' pulses, so that the answer does not depend on Redis. Only a queue
    without one is looked up among the heartbeats in Redis. Raises Refused, which names the queues.
    """
    found = _look(settings, queues)
    if any(one.frozen for one in found):
        time.sleep(SECOND_LOOK)
        found = _look(settings, queues)
    faults = [
        f"{one.queue}: process {one.pid} has not responded for {one.beat.age():.0f} s"
        for one in found
        if one.frozen
    ]
    missing = [name for name in queues if name not in {one.queue for one in found}]
    faults += _missing(settings, missing)
    if faults:
        raise Refused("; ".join(faults))
    return f"ok: {', '.join(queues)}"


def _look(settings: Settings, queues: Sequence[str]) -> list[pulse.Found]:
    found = pulse.find(pulse.installation_id(settings))
    return sorted(one for one in found if one.queue in queues)


def _missing(settings: Settings, queues: Sequence[str]) -> list[str]:
    """What is wrong with queues without a pulse: where there is no ``/proc``, heartbeats tell."""
    if not queues:
        return []
    try:
        beating = _beating(settings, queues)
    except RedisUnavailable:
        # Their processes would be seen here if there were any.
        beating = set()
    return [f"{name}: no consumer runs on this machine" for name in queues if name not in beating]


def _beating(settings: Settings, queues: Sequence[str]) -> set[str]:
    from hsejobs.settings import redis_target
    from hsejobs.store.client import RedisClient
    from hsejobs.store.read import JobReader

    client = RedisClient(redis_target(settings))
    try:
        client.ping()
        workers = JobReader(client, settings.redis_prefix).workers(queues)
    finally:
        client.close()
    return {
        record["queue"]
        for record in workers
        if record["host"] == socket.gethostname()
        and record["heartbeatAge"] < STALE_MS
        and not _is_dead(record["pid"])
    }


def _is_dead(pid: int) -> bool:
    """Whether no process of this machine has the number that a heartbeat names."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
