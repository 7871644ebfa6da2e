"""A connection with one deadline for all its calls.

A socket's own timeout restarts with each call, so a server that sends one byte
a second never triggers it. Here every wait gets the time that is left until the deadline.
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
"""The most bytes that a conversation may receive; no SMTP server sends more."""

_CHUNK = 64 * 1024


class SmtpChannel:
    """A connected socket, plain or TLS, whose calls end at ``deadline``.

    Has the socket methods that `smtplib` uses. ``deadline`` is a
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
        """Perform a TLS handshake; the certificate must be valid for ``host``."""
        self._arm()
        tls = context.wrap_socket(self._raw, server_hostname=host, do_handshake_on_connect=False)
        self._raw = tls
        self._arm()
        tls.do_handshake()

    def sendall(self, data: ReadableBuffer) -> None:
        """Send all of ``data``; raise `TimeoutError` at the deadline."""
        with memoryview(data) as view:
            for start in range(0, len(view), _CHUNK):
                self._arm()
                self._raw.sendall(view[start : start + _CHUNK])

    def recv_into(self, buffer: WriteableBuffer) -> int:
        """Read available bytes into ``buffer``; return how many, 0 at the end."""
        self._arm()
        count = self._raw.recv_into(buffer)
        self._received += count
        if self._received > MAX_RECEIVED:
            raise ConnectionAbortedError("the server sent more bytes than a conversation may have")
        return count

    def makefile(self, _mode: str = "rb") -> io.BufferedReader:
        """Return a buffered reader, as `smtplib` needs to read lines."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
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

    Raises `TimeoutError` at the deadline, `OSError` if there is no address or
    all addresses refuse.
    """
    found = _resolve(host, port, deadline)
    failure: OSError = OSError("the name has no address")
    for position, (family, kind, protocol, _, address) in enumerate(found):
        # An address that drops packets must leave time for the next one.
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
        pass  # not an IP address: look the name up
    # The resolver has no timeout: if it is late, it is abandoned in its thread.
    answer: queue.SimpleQueue[list[tuple[Any, ...]] | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answer.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a valid host name"
            answer.put(OSError(f"its name cannot be resolved: {reason}"))

    threading.Thread(target=resolve, name="mail-resolver", daemon=True).start()
    try:
        found = answer.get(timeout=_left(deadline))
    except queue.Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if isinstance(found, OSError):
        raise found
    return found


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
