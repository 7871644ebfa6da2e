"""Connections that send a command and read its reply in two calls of Python; redis-py makes a dozen.

All that is rare is left to redis-py. After an error the connection is closed, as there, and the error is one
that ``replies.classify`` knows.
"""

from __future__ import annotations

import builtins
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=16)
def quick(kind: type[Any]) -> type[Any]:
    """A subclass of redis-py's connection class; a class that reads in its own way is returned as it is."""
    from redis._parsers.hiredis import NOT_ENOUGH_DATA
    from redis.connection import AbstractConnection
    from redis.exceptions import ConnectionError, ResponseError, TimeoutError

    if kind.read_response is not AbstractConnection.read_response:
        return kind

    class Quick(kind):  # type: ignore[misc]
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            sock = self._sock
            if sock is None or check_health:
                super().send_packed_command(command, check_health)
                return
            try:
                for line in command:
                    sock.sendall(line)
            except BaseException as error:
                self.disconnect()
                if isinstance(error, builtins.TimeoutError):
                    raise TimeoutError("Timeout writing to socket") from None
                raise

        def read_response(self, *args: Any, **options: Any) -> Any:
            parser, sock = self._parser, self._sock
            reader = parser._reader
            if args or options or sock is None or reader is None:
                return super().read_response(*args, **options)
            try:
                reply = reader.gets()
                if reply is NOT_ENOUGH_DATA:
                    buffer = parser._buffer
                    reader.feed(buffer, 0, sock.recv_into(buffer))
                    reply = reader.gets()
            except BaseException as error:
                self.disconnect()
                if isinstance(error, builtins.TimeoutError):
                    raise TimeoutError("Timeout reading from socket") from None
                raise
            if reply is NOT_ENOUGH_DATA:
                # The rest of a long reply, or the end of the connection.
                return super().read_response()
            if isinstance(reply, ConnectionError | ResponseError):
                try:
                    if isinstance(reply, ConnectionError):
                        self.disconnect()
                    raise reply
                finally:
                    # Otherwise the error, its traceback and this frame would be a cycle.
                    del reply
            return reply

    return Quick
