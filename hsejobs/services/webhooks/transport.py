"""The connection of a call: to a checked address, with one deadline for all its waits.

The name is resolved here, every address is checked, and the connection is made to an address that
passed: no second lookup could return a different one. The name remains the Host header and the
name that the certificate must have. A socket's own timeout restarts with each call; here every
wait gets the time that is left until the deadline.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import queue
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from hsejobs import forks
from hsejobs.services.webhooks.address import Endpoint, is_public
from hsejobs.services.webhooks.errors import AddressRefused, HostRefused
from hsejobs.services.webhooks.head import HeadFilter

#: The longest connection attempt if there is another address to try, in seconds.
CONNECT_SECONDS = 10.0
_CHUNK = 64 * 1024


class Clock:
    """A deadline (`time.monotonic()`) that may be brought forward."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline

    def left(self) -> float:
        """Return the seconds left. Raises TimeoutError if there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def at_most(self, seconds: float) -> None:
        """Move the deadline to ``seconds`` from now unless it is earlier."""
        self.deadline = min(self.deadline, time.monotonic() + seconds)


class Transport(httpx.BaseTransport):
    """Makes one call on its own connection, which is closed afterwards.

    Raises httpcore's errors, AddressRefused and HostRefused.
    """

    def __init__(
        self, target: Endpoint, clock: Clock, *, allow_private: bool, party: str = ""
    ) -> None:
        self._backend = _Backend(target, clock, allow_private=allow_private, party=party)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context() if target.scheme == "https" else None,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=self._backend,
        )

    @property
    def address(self) -> str | None:
        """The IP address of the connection; None before it is made."""
        return self._backend.address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        assert isinstance(request.stream, httpx.SyncByteStream)  # noqa: S101 - for the type checker
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert isinstance(answer.stream, Iterable)  # noqa: S101 - for the type checker
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """Return the trusted CAs, read once per process; SSL_CERT_FILE and SSL_CERT_DIR add to them."""
    return httpx.create_ssl_context()


class _Backend(httpcore.NetworkBackend):
    def __init__(self, target: Endpoint, clock: Clock, *, allow_private: bool, party: str) -> None:
        self._target = target
        self._party = party
        self._clock = clock
        self._allow_private = allow_private
        self.address: str | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        with _translate_errors(httpcore.ConnectTimeout, httpcore.ConnectError):
            found = self._addresses()
            failure: OSError = OSError("the name has no address")
            for position, address in enumerate(found):
                last = position == len(found) - 1
                # An address that drops packets must leave time for the next one.
                share = self._clock.left() / (len(found) - position)
                raw = socket.socket(_family(address), socket.SOCK_STREAM)
                try:
                    raw.settimeout(share if last else min(share, CONNECT_SECONDS))
                    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    raw.connect((address, self._target.port))
                except OSError as error:
                    raw.close()
                    failure = error
                else:
                    self.address = address
                    return _Stream(raw, self._clock)
            raise failure

    def _addresses(self) -> list[str]:
        target = self._target
        literal = target.literal
        if literal is not None:
            if not self._allow_private and not is_public(literal):
                raise HostRefused(_REFUSED.format("the URL's host is"))
            return [str(literal)]
        found = list(dict.fromkeys(look_up(target.host, target.port, self._clock, self._party)))
        # One refused address among public ones is an attack or a mistake: call none of them.
        if not self._allow_private:
            for text in found:
                if not is_public(ipaddress.ip_address(text)):
                    raise AddressRefused(_REFUSED.format("the endpoint's name resolves to"))
        return found


_REFUSED = "{} an address that is not public: webhooks call global unicast addresses only"


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class _Stream(httpcore.NetworkStream):
    def __init__(self, raw: socket.socket, clock: Clock) -> None:
        self._raw = raw
        self._clock = clock
        self._head = HeadFilter()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _translate_errors(httpcore.ReadTimeout, httpcore.ReadError):
            while True:
                self._raw.settimeout(self._clock.left())
                data = self._raw.recv(max_bytes)
                # Empty bytes mean the end of the stream: never return them for a partial head.
                if (ready := self._head.feed(data)) or not data:
                    return ready

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with (
            _translate_errors(httpcore.WriteTimeout, httpcore.WriteError),
            memoryview(buffer) as view,
        ):
            sent = 0
            while sent < len(view):
                self._raw.settimeout(self._clock.left())
                sent += self._raw.send(view[sent : sent + _CHUNK])

    def close(self) -> None:
        self._raw.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        with _translate_errors(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                self._raw.settimeout(self._clock.left())
                tls = ssl_context.wrap_socket(self._raw, server_hostname=server_hostname)
            except BaseException:
                self._raw.close()
                raise
        return _Stream(tls, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return None


@contextmanager
def _translate_errors(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        # The pool drops the cause, so the message must contain the reason.
        raise broken(_reason(error)) from error


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the endpoint's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS with the endpoint failed: {error.reason or 'no reason given'}"
    return f"the endpoint cannot be reached: {error.strerror or error}"


#: Concurrent lookups of a process and of one organization. A resolver spends half a minute on a
#: name whose servers do not answer, even if the call has given up long before.
LOOK_UPS, LOOK_UPS_OF_ONE = 64, 8
_looking: Counter[str] = Counter()
_looking_lock = forks.lock()
# The threads exist in the parent only.
os.register_at_fork(after_in_child=_looking.clear)


def look_up(host: str, port: int, clock: Clock, party: str = "") -> list[str]:
    """Return the addresses of a name, for ``party``. Raises OSError, TimeoutError at the deadline."""
    with _looking_lock:
        if _looking.total() >= LOOK_UPS or _looking[party] >= LOOK_UPS_OF_ONE:
            raise OSError("its name cannot be resolved: too many lookups are pending")
        _looking[party] += 1
    # The resolver has no timeout: if it is late, it is abandoned in its thread.
    answer: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def lookup() -> None:
        try:
            answer.put(resolve(host, port))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a valid host name"
            answer.put(OSError(f"its name cannot be resolved: {reason}"))
        finally:
            with _looking_lock:
                _looking[party] -= 1
                if not _looking[party]:
                    del _looking[party]

    threading.Thread(target=lookup, name="webhook-resolver", daemon=True).start()
    try:
        found = answer.get(timeout=clock.left())
    except (queue.Empty, TimeoutError):
        raise TimeoutError("its name was not resolved in time") from None
    if isinstance(found, OSError):
        raise found
    return found


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name, in the order to try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]
