"""Connections that call a function while they wait for Redis.

A consumer's main thread must enforce deadlines and replace dead workers even while Redis is frozen or
slow, and a consumer of processes has no other thread for that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from hsejobs import pulse
from hsejobs.store.arrival import arrived

#: Seconds between two calls of the function while waiting for a reply.
EVERY = 0.05


@lru_cache(maxsize=16)
def watchful(kind: type[Any], while_waiting: Callable[[], None]) -> type[Any]:
    """A subclass of redis-py's connection class that calls ``while_waiting`` about every 50 ms."""

    class Watchful(kind):  # type: ignore[misc]
        def _connect(self) -> Any:
            host, port = getattr(self, "host", None), getattr(self, "port", None)
            if host and port:
                _reachable(host, int(port), self.socket_connect_timeout or 2.0, while_waiting)
            with pulse.connecting():
                return super()._connect()

        def read_response(self, *args: Any, **options: Any) -> Any:
            from redis.exceptions import TimeoutError

            limit = options.get("timeout")
            give_up = time.monotonic() + (
                limit if isinstance(limit, int | float) else self.socket_timeout or 2.0
            )
            while not arrived(self, EVERY):
                while_waiting()
                if time.monotonic() >= give_up:
                    self.disconnect()
                    raise TimeoutError("Timeout reading from socket")
            return super().read_response(*args, **options)

    return Watchful


def _reachable(host: str, port: int, timeout: float, while_waiting: Callable[[], None]) -> None:
    """Waits until the address accepts a connection. Raises OSError when it does not in time."""
    give_up = time.monotonic() + timeout
    error: OSError = OSError(errno.EHOSTUNREACH, "no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        with contextlib.closing(socket.socket(family, kind, protocol)) as probe:
            probe.setblocking(False)
            code = probe.connect_ex(address)
            poller = select.poll()
            poller.register(probe, select.POLLOUT)
            while code == errno.EINPROGRESS:
                if poller.poll(EVERY * 1000):
                    code = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    break
                while_waiting()
                if time.monotonic() >= give_up:
                    code = errno.ETIMEDOUT
            if code == 0:
                return
            error = OSError(code, os.strerror(code))
    raise error
