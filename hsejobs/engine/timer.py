"""Hearing of a delayed job that is due earlier than all others, by a channel of its queue.

A convenience: who cannot listen (no right to the channel, no connection) sweeps once a second.
"""

from __future__ import annotations

import time
from typing import Any

from hsejobs.store.arrival import arrived
from hsejobs.store.client import RedisClient
from hsejobs.store.replies import classify, explained

#: Seconds without a word after which the connection is asked whether it is still there, and until
#: it must have answered.
ASK_AFTER, GONE_AFTER = 15.0, 18.0


class DueTimer:
    """A subscription on a connection of its own, remade after it was dropped."""

    def __init__(self, link: RedisClient, channel: str) -> None:
        self._link, self._channel = link, channel
        self._connection: Any = None
        self._heard_at = 0.0
        self._asked = False

    def heard(self) -> bool:
        """Whether an earlier job was announced since the last call. Raises JobsError."""
        try:
            return self._heard()
        except Exception as error:
            self.drop()
            if classify(error) is None:
                raise
            raise explained(error) from error

    def _heard(self) -> bool:
        now = time.monotonic()
        if self._connection is None:
            self._connection = self._link.blocking(self._channel)
            self._connection.send_command("SUBSCRIBE", self._channel)
            self._heard_at, self._asked = now, False
            # What was announced before this was not heard.
            return True
        announced = False
        while arrived(self._connection):
            message = self._connection.read_response()
            self._heard_at, self._asked = now, False
            announced = announced or message[0] == b"message"
        if now - self._heard_at > GONE_AFTER:
            raise OSError("the subscription is silent")
        if now - self._heard_at > ASK_AFTER and not self._asked:
            self._connection.send_command("PING")
            self._asked = True
        return announced

    def fileno(self) -> int | None:
        """What to poll to hear at once; None while there is no connection."""
        sock = getattr(self._connection, "_sock", None)
        return sock.fileno() if sock is not None else None

    def drop(self) -> None:
        """Forgets the connection: it may lead to a server that is not the queue's any more."""
        self._connection = None
        self._link.close()
