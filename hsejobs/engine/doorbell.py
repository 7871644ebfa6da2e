"""How a worker without jobs waits: at its queue's doorbell, which every script that adds one rings."""

from __future__ import annotations

import select
import time
from typing import Any

from hsejobs.errors import JobsError
from hsejobs.store.arrival import arrived
from hsejobs.store.client import RedisClient

#: Longest wait for the doorbell, in seconds.
WAIT = 2.0


def wait(client: RedisClient, bell: str, stop_flag: Any, waiting: Any = None) -> None:
    """Waits until the doorbell rings, for two seconds, or until the consumer stops.

    ``waiting``: the connection on which the wait was sent already.
    """
    connection = waiting
    try:
        if connection is None:
            connection = client.blocking(bell)
            connection.send_command("BLPOP", bell, f"{WAIT:g}")
        poller = select.poll()
        poller.register(connection._sock.fileno(), select.POLLIN)
        poller.register(stop_flag._r, select.POLLIN)
        give_up = time.monotonic() + WAIT + 1
        # With TLS, incoming data need not be a reply: session tickets arrive unasked.
        while not arrived(connection):
            left = give_up - time.monotonic()
            if left > 0:
                poller.poll(left * 1000)
            if stop_flag.is_set() or left <= 0:
                connection.disconnect()
                return
        connection.read_response()
        client.answered(connection)
    except Exception as error:
        if connection is not None:
            connection.disconnect()
        if not isinstance(error, OSError | JobsError) and "redis" not in type(error).__module__:
            raise
        stop_flag.wait(0.1)
