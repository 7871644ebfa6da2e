"""The wire of a call: an address that was checked, and a total that no slow peer can stretch.

The name is looked up here, every address it leads to is checked, and the connection is made to
the very address that passed: no second look-up could lead elsewhere. The name stays the Host
header and the name that the certificate must have. A socket's own timeout starts anew at each
call; here every wait is given what is left of one total.
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

#: What one connection may take, in seconds, where another address could be tried.
CONNECT_SECONDS = 10.0
_CHUNK = 64 * 1024


class Clock:
    """A deadline (`time.monotonic()`) that may be brought forward."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline

    def left(self) -> float:
        """Seconds; raises TimeoutError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def at_most(self, seconds: float) -> None:
        """Ends in so many seconds, if not sooner."""
        self.deadline = min(self.deadline, time.monotonic() + seconds)


class Transport(httpx.BaseTransport):
    """One call on one connection of its own, which is closed after it.

    ``address`` is where it went. Raises httpcore's errors, AddressRefused and HostRefused.
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
        """The IP address that was connected to."""
        return self._backend.address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """What httpx calls."""
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
        """Closes the connection."""
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
    """The trusted authorities, read once a process; SSL_CERT_FILE and SSL_CERT_DIR add to them."""
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
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            found = self._addresses()
            failure: OSError = OSError("the name has no address")
            for position, address in enumerate(found):
                last = position == len(found) - 1
                # An address that swallows packets must leave time for the next one.
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
        # One bad address among good ones is a trick or a mistake: none of them is called.
        if not self._allow_private:
            for text in found:
                if not is_public(ipaddress.ip_address(text)):
                    raise AddressRefused(_REFUSED.format("the receiver's name leads to"))
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
        with _mapped(httpcore.ReadTimeout, httpcore.ReadError):
            while True:
                self._raw.settimeout(self._clock.left())
                data = self._raw.recv(max_bytes)
                # Nothing is how the end is told: it must not be said of a head that is half there.
                if (ready := self._head.feed(data)) or not data:
                    return ready

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError), memoryview(buffer) as view:
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
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
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
def _mapped(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        # The pool drops the cause on its way, so the text says all there is to say.
        raise broken(_reason(error)) from error


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the receiver's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS with the receiver failed: {error.reason or 'no reason given'}"
    return f"the receiver cannot be reached: {error.strerror or error}"


#: Names that are looked up at once by a process, and for one organization. A resolver takes half a
#: minute over a name whose servers do not answer, however soon the call that asked has given up.
LOOK_UPS, LOOK_UPS_OF_ONE = 64, 8
_looking: Counter[str] = Counter()
_looking_lock = forks.lock()
# The threads stay behind in the parent.
os.register_at_fork(after_in_child=_looking.clear)


def look_up(host: str, port: int, clock: Clock, party: str = "") -> list[str]:
    """The addresses of a name, for ``party``. Raises OSError, TimeoutError at the deadline."""
    with _looking_lock:
        if _looking.total() >= LOOK_UPS or _looking[party] >= LOOK_UPS_OF_ONE:
            raise OSError("its name cannot be looked up: too many look-ups are not answered")
        _looking[party] += 1
    # The resolver knows no timeout: it is left behind in its thread when it is late.
    answer: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(resolve(host, port))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no host name"
            answer.put(OSError(f"its name cannot be looked up: {reason}"))
        finally:
            with _looking_lock:
                _looking[party] -= 1
                if not _looking[party]:
                    del _looking[party]

    threading.Thread(target=ask, name="webhook-resolver", daemon=True).start()
    try:
        found = answer.get(timeout=clock.left())
    except queue.Empty:
        raise TimeoutError("its name was not looked up in time") from None
    if isinstance(found, OSError):
        raise found
    return found


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the order to try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]
