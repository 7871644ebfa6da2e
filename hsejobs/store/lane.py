"""A connection for an event loop: nothing waits on it, neither to send nor for a reply.

It has no retries. Its owner adds what it could not finish through ``RedisClient``, which does; scripts are
safe to send twice.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

import hiredis

from hsejobs.store.scripts import Arg
from hsejobs.store.words import packed


class LaneBroken(Exception):
    """The connection cannot be used any more; what was sent may or may not have been done."""


class Lane:
    """One connection, which must be connected and of no one else; see ``RedisClient.lane``."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._socket = connection._sock
        # Not redis-py's, which waits for the rest of a reply; this one returns False.
        self._reader = hiredis.Reader(replyError=RuntimeError)
        self._socket.setblocking(False)
        self._unsent = bytearray()

    def fileno(self) -> int:
        """The descriptor that is readable when a reply has arrived."""
        return int(self._socket.fileno())

    def send(self, commands: Sequence[Sequence[Arg]]) -> None:
        """Sends commands, whose replies arrive in the same order, as far as that is possible now.

        Raises LaneBroken.
        """
        self._unsent += b"".join([piece for words in commands for piece in packed(words)])
        self.send_more()

    def send_more(self) -> None:
        """Sends what could not be sent before. Raises LaneBroken."""
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            raise LaneBroken from error
        del self._unsent[:sent]

    @property
    def full(self) -> bool:
        """Whether ``send_more`` must be called, once the socket is writable."""
        return bool(self._unsent)

    def replies(self) -> list[Any]:
        """The replies that have arrived, error replies as RuntimeError. Raises LaneBroken."""
        try:
            data = self._socket.recv(65_536)
        except BlockingIOError:
            return []
        except OSError as error:
            raise LaneBroken from error
        if not data:
            raise LaneBroken
        self._reader.feed(data)
        found: list[Any] = []
        while (reply := self._reader.gets()) is not False:
            found.append(reply)
        return found

    def close(self) -> None:
        """Closes the connection."""
        self._connection.disconnect()


def open_lane(connection: Any) -> Lane | None:
    """The connection as a lane, once it is connected; None, and it is closed, if it cannot be one.

    A socket with TLS may have to write before it can read.
    """
    connection.connect()
    if not isinstance(connection._sock, ssl.SSLSocket):
        return Lane(connection)
    connection.disconnect()
    return None
