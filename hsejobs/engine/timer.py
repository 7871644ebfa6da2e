"""Listen on a queue's channel for new delayed jobs that are due before all others.

This is optional: a consumer that cannot listen (no permission, no connection) sweeps once a second.
"""

from __future__ import annotations

import time
from typing import Any

from hsejobs.store.arrival import arrived
from hsejobs.store.client import RedisClient
from hsejobs.store.replies import classify, explained

#: Seconds of silence after which the connection is probed, and after which it counts as lost.
PROBE_AFTER, LOST_AFTER = 15.0, 18.0


class DueTimer:
    """A subscription on its own connection, renewed after it was dropped."""

    def __init__(self, client: RedisClient, channel: str) -> None:
        self._redis, self._channel = client, channel
        self._connection: Any = None
        #: Whether an operator has asked consumers of the queue for something since this was set to False.
        self.ordered = False
        self._received_at = 0.0
        self._probed = False

    def announced(self) -> bool:
        """Whether an earlier job was announced since the last call. Raises JobsError."""
        try:
            return self._read_announcements()
        except Exception as error:
            self.drop()
            if classify(error) is None:
                raise
            raise explained(error) from error

    def _read_announcements(self) -> bool:
        now = time.monotonic()
        if self._connection is None:
            self._connection = self._redis.blocking(self._channel)
            self._connection.send_command("SUBSCRIBE", self._channel)
            self._received_at, self._probed = now, False
            # Earlier announcements may have been missed.
            return True
        announced = False
        while arrived(self._connection):
            message = self._connection.read_response()
            self._received_at, self._probed = now, False
            if message[0] == b"message":
                announced, self.ordered = True, self.ordered or message[-1] == b"order"
        if now - self._received_at > LOST_AFTER:
            raise OSError("the subscription is silent")
        if now - self._received_at > PROBE_AFTER and not self._probed:
            self._connection.send_command("PING")
            self._probed = True
        return announced

    def fileno(self) -> int | None:
        """The file descriptor to poll for announcements; None while there is no connection."""
        sock = getattr(self._connection, "_sock", None)
        return sock.fileno() if sock is not None else None

    def drop(self) -> None:
        """Drops the connection: it may lead to a server that no longer holds the queue."""
        self._connection = None
        self._redis.close()
