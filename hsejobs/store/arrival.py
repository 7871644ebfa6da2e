"""Whether a reply has arrived on a connection.

redis-py's own ``can_read`` tells whether the socket can be read, and what is read over TLS need not
be a reply: a ticket for the session comes by itself after each handshake (TLS 1.3). Who then reads
a reply waits for one, for as long as replies may take.
"""

from __future__ import annotations

from typing import Any


def arrived(connection: Any, timeout: float = 0.0) -> bool:
    """Whether the beginning of a reply is there, or comes within ``timeout`` seconds.

    Raises redis-py's ConnectionError when the other end has closed the connection.
    """
    parser = connection._parser
    reader = parser._reader
    if reader is not None and reader.has_data():
        return True
    return bool(parser.read_from_socket(timeout=timeout, raise_on_timeout=False))
