"""A consumer's heartbeat, from which operators and other programs know that it lives."""

from __future__ import annotations

import os
import socket
import time

from hsejobs import codec
from hsejobs.engine.memory import resident_bytes, resident_with_children
from hsejobs.engine.ports import MaintenanceHost
from hsejobs.store.formats import FORMAT
from hsejobs.store.work import Beat, WorkerStore

#: Milliseconds after which a consumer without another heartbeat counts as dead.
TTL_MS = 20_000
#: The state of a consumer that follows an operator's order, or none.
STATES = {"": "running", "quiet": "quiet", "restart": "restarting"}


def record(consumer: MaintenanceHost) -> bytes:
    """The record of a living consumer as JSON: who it is, which tasks it has, and what it runs."""
    now = time.monotonic()
    slots = []
    for slot in consumer.slots():
        running = slot.running()
        slots.append(
            None
            if running is None
            else {
                "job": running.id,
                "task": running.name,
                "attempt": running.attempt,
                "runningFor": int((now - running.started) * 1000),
            }
        )
    return codec.dumps(
        {
            "id": consumer.worker_id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "queue": consumer.queue.name,
            "workers": "processes" if consumer.forking else "threads",
            "concurrency": consumer.workers,
            "startedAt": consumer.started_at,
            "release": consumer.queue.release_number,
            "format": FORMAT,
            "tasks": [*consumer.queue.wrappers, *consumer.queue.renamed],
            "state": STATES[consumer.order],
            "hung": consumer.hung,
            "memory": resident_with_children() if consumer.forking else resident_bytes(),
            "slots": slots,
        }
    )


def send(
    work: WorkerStore, consumer: MaintenanceHost, release: str, described: str, *, hold: bool
) -> Beat:
    """Sends a heartbeat; see `WorkerStore.heartbeat`. Raises RedisUnavailable."""
    return work.heartbeat(
        consumer.worker_id,
        record(consumer),
        TTL_MS,
        release=release,
        described=described,
        hold=hold,
    )
