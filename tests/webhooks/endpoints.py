"""Endpoints with the behavior that a test chooses: a script answers each connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Script = Callable[["Connection"], None]


@dataclass
class Request:
    """A request as it was received."""

    line: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """An accepted connection; reads requests and sends responses as raw bytes."""

    def __init__(self, raw: socket.socket, endpoint: FakeEndpoint) -> None:
        self.raw = raw
        self.endpoint = endpoint

    def read(self) -> Request:
        """Reads the whole request, records it in ``endpoint.requests``, and returns it."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some()
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += self._some()
        request = Request(first, headers, body)
        self.endpoint.requests.append(request)
        return request

    def _some(self) -> bytes:
        data = self.raw.recv(65536)
        if not data:
            raise ConnectionError
        return data

    def answer(self, status: str, body: bytes = b"", *headers: str) -> None:
        """Sends a complete response."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.raw.sendall("\r\n".join(lines).encode() + body)

    def drip(self, *parts: bytes, every: float = 0.05) -> None:
        """Sends the parts, and then the last one repeatedly until the peer disconnects."""
        for part in parts:
            self.raw.sendall(part)
        while not self.endpoint.over.wait(every):
            self.raw.sendall(parts[-1])


@dataclass
class FakeEndpoint:
    """A server on a free port of ``host`` that runs ``script`` for each connection."""

    script: Script
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.over = threading.Event()
        self._socket = socket.create_server((self.host, 0), family=family, backlog=64)
        self.port = int(self._socket.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def url(self, path: str = "/hook") -> str:
        """The URL of a path on this endpoint."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._socket.accept()
            except OSError:
                return
            if self.over.is_set():
                raw.close()
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(raw,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, raw: socket.socket) -> None:
        raw.settimeout(20)
        with contextlib.suppress(OSError):
            wire = self.tls.wrap_socket(raw, server_side=True) if self.tls else raw
            with wire:
                self.script(Connection(wire, self))
        raw.close()

    def close(self) -> None:
        """Closes the listener and all connections."""
        self.over.set()
        with contextlib.suppress(OSError):
            socket.create_connection((self.host, self.port), timeout=1).close()
        self._accepting.join(5)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)


@contextlib.contextmanager
def serving(
    script: Script, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[FakeEndpoint]:
    """An endpoint that is closed at the end of the block."""
    found = FakeEndpoint(script, host, tls)
    try:
        yield found
    finally:
        found.close()


def ok(connection: Connection) -> None:
    """Reads the request and answers 200."""
    connection.read()
    connection.answer("200 OK", b"thanks")


def hang(connection: Connection) -> None:
    """Reads the request and sends no response."""
    connection.read()
    connection.endpoint.over.wait(60)
