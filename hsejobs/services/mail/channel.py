"""A connection that no slow peer can hold past a deadline.

A socket's own timeout starts anew at each call, so a server that sends a byte
a second never trips it. Here every wait is given what is left of one total.
"""

from __future__ import annotations

import io
import queue
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

MAX_RECEIVED = 1024 * 1024
"""Bytes that a whole conversation may bring in; more is no SMTP server."""

_CHUNK = 64 * 1024


class SmtpChannel:
    """A connected socket, plain or TLS, whose calls end at ``deadline``.

    It has what `smtplib` uses of a socket. ``deadline`` is a
    `time.monotonic()` value; after it every call raises `TimeoutError`.
    """

    def __init__(self, raw: socket.socket, deadline: float) -> None:
        self.deadline = deadline
        self._raw = raw
        self._received = 0

    @property
    def peer(self) -> str:
        """The IP address at the other end."""
        return str(self._raw.getpeername()[0])

    @property
    def own(self) -> str:
        """The IP address at this end."""
        return str(self._raw.getsockname()[0])

    @property
    def is_tls(self) -> bool:
        """Whether a TLS handshake has succeeded on it."""
        return isinstance(self._raw, ssl.SSLSocket)

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Do a TLS handshake; ``host`` is the name that the certificate must have."""
        self._arm()
        tls = context.wrap_socket(self._raw, server_hostname=host, do_handshake_on_connect=False)
        self._raw = tls
        self._arm()
        tls.do_handshake()

    def sendall(self, data: ReadableBuffer) -> None:
        """Send all of ``data``, however slowly it is taken."""
        with memoryview(data) as view:
            for start in range(0, len(view), _CHUNK):
                self._arm()
                self._raw.sendall(view[start : start + _CHUNK])

    def recv_into(self, buffer: WriteableBuffer) -> int:
        """Read what there is into ``buffer``; return its length, 0 at the end."""
        self._arm()
        count = self._raw.recv_into(buffer)
        self._received += count
        if self._received > MAX_RECEIVED:
            raise ConnectionAbortedError("the server sent more than any reply is long")
        return count

    def makefile(self, _mode: str = "rb") -> io.BufferedReader:
        """Return a reader over it, for lines."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Close the socket."""
        self._raw.close()

    def _arm(self) -> None:
        self._raw.settimeout(_left(self.deadline))


class _Reader(io.RawIOBase):
    def __init__(self, channel: SmtpChannel) -> None:
        self._channel = channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._channel.recv_into(buffer)


def connect(host: str, port: int, deadline: float) -> SmtpChannel:
    """Connect to the first address of ``host`` that answers.

    Raises `TimeoutError` at the deadline, `OSError` when all addresses refuse
    or there is none.
    """
    found = _resolve(host, port, deadline)
    failure: OSError = OSError("the name has no address")
    for position, (family, kind, protocol, _, address) in enumerate(found):
        # An address that swallows packets must leave time for the next one.
        share = _left(deadline) / (len(found) - position)
        raw = socket.socket(family, kind, protocol)
        try:
            raw.settimeout(share)
            raw.connect(address)
        except OSError as error:
            raw.close()
            failure = error
        else:
            return SmtpChannel(raw, deadline)
    raise failure


def _resolve(host: str, port: int, deadline: float) -> list[tuple[Any, ...]]:
    try:
        return list(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        )
    except (socket.gaierror, UnicodeError):
        pass  # a name, or none at all, as the next look-up will tell
    # The resolver knows no timeout: it is left behind in its thread when it is late.
    answer: queue.SimpleQueue[list[tuple[Any, ...]] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no host name"
            answer.put(OSError(f"its name cannot be looked up: {reason}"))

    threading.Thread(target=ask, name="mail-resolver", daemon=True).start()
    try:
        found = answer.get(timeout=_left(deadline))
    except queue.Empty:
        raise TimeoutError("the name was not looked up in time") from None
    if isinstance(found, OSError):
        raise found
    return found


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
