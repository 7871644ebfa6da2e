"""Check whether a reply has arrived on a connection.

redis-py's ``can_read`` only reports whether the socket is readable. Over TLS 1.3, that may be a
session ticket, which servers send after each handshake; reading a reply would then block until the
reply timeout.
"""

from __future__ import annotations

from typing import Any


def arrived(connection: Any, timeout: float = 0.0) -> bool:
    """Whether the start of a reply has arrived, or arrives within ``timeout`` seconds.

    Raises redis-py's ConnectionError when the other end has closed the connection.
    """
    parser = connection._parser
    reader = parser._reader
    if reader is not None and reader.has_data():
        return True
    return bool(parser.read_from_socket(timeout=timeout, raise_on_timeout=False))
