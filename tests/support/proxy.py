"""A proxy in front of a Redis that cuts connections at chosen points."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from hsejobs.redis_url import parse_redis_url

Match = bytes | Callable[[bytes], bool]


@dataclass
class _Rule:
    match: Match
    where: Literal["request", "reply"]
    skip: int
    times: int
    after_bytes: int

    def applies(self, request: bytes) -> bool:
        """Whether this request is one to cut; counts it if so."""
        if self.times < 1:
            return False
        hit = self.match in request if isinstance(self.match, bytes) else self.match(request)
        if not hit:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class FlakyProxy:
    """Listens on a loopback TCP port and forwards to the Redis at *target_url*.

    ::

        with FlakyProxy(redis_url) as proxy:
            proxy.cut_reply(match=b"EVALSHA", times=1, after_bytes=0)
            client = redis.Redis.from_url(proxy.url)

    A request is matched in its wire form (``*2\\r\\n$3\\r\\nGET\\r\\n...``): by a part of it, or
    by a function. ``cuts`` counts what was cut, ``connections`` what was accepted.
    """

    def __init__(self, target_url: str) -> None:
        self._target = parse_redis_url(target_url)
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._threads: list[threading.Thread] = []
        self._down = False
        self._closed = False
        self._open = threading.Event()
        self._open.set()
        self.cuts = 0
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """With the login of the target's."""
        user, password = (quote(part or "", safe="") for part in (
            self._target.username, self._target.password,
        ))  # fmt: skip
        login = f"{user}:{password}@" if password else ""
        return f"redis://{login}127.0.0.1:{self.port}/{self._target.db}"

    def cut_reply(
        self, match: Match, *, times: int = 1, after_bytes: int = 0, skip: int = 0
    ) -> None:
        """Let Redis act, then close after *after_bytes* of its reply.

        Holds for *times* matching requests, after *skip* of them went through whole.
        """
        with self._lock:
            self._rules.append(_Rule(match, "reply", skip, times, after_bytes))

    def cut_request(self, match: Match, *, times: int = 1, skip: int = 0) -> None:
        """Close instead of forwarding the request: Redis never sees it."""
        with self._lock:
            self._rules.append(_Rule(match, "request", skip, times, 0))

    def cut_all(self) -> None:
        """Close every open connection; new ones are accepted."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()

    def lead_to(self, target_url: str) -> None:
        """Let new connections lead to another Redis; those that are open stay."""
        self._target = parse_redis_url(target_url)

    def silence(self) -> None:
        """Let the connections that are open fall silent: they stay, and nothing passes them."""
        with self._lock:
            for link in self._links:
                link.silent = True

    def hole(self) -> None:
        """Be a black hole: connections stay and can be made, nothing passes until ``fill``."""
        self._open.clear()

    def fill(self) -> None:
        """Let through what waited."""
        self._open.set()

    def down(self) -> None:
        """Close every connection, and each new one at once, until ``up``."""
        with self._lock:
            self._down = True
        self.cut_all()

    def up(self) -> None:
        with self._lock:
            self._down = False

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self.fill()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.down()
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True, name="flaky-proxy")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            link = _Link(self, client, server)
            with self._lock:
                refused = self._down
                if not refused:
                    self._links.add(link)
                    self.connections += 1
            if refused:
                link.close()
                client.close()
                server.close()
                continue
            self._spawn(link.pump_requests)
            self._spawn(link.pump_replies)

    def _connect(self) -> socket.socket:
        if self._target.scheme == "unix":
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(self._target.path)
            except OSError:
                server.close()
                raise
            return server
        return socket.create_connection(self._target.hosts[0])

    def _rule_for(self, request: bytes) -> _Rule | None:
        with self._lock:
            for rule in self._rules:
                if rule.applies(request):
                    self.cuts += 1
                    return rule
        return None

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)


class _Link:
    """One client's connection and the one made for it; each direction has a thread."""

    def __init__(self, proxy: FlakyProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._pending: deque[_Rule | None] = deque()
        self._pumps = 2
        self.silent = False
        self._lock = threading.Lock()

    def close(self) -> None:
        # A shutdown wakes the other thread out of its recv; a close alone would not.
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def pump_requests(self) -> None:
        with self._ending():
            for request in _frames(self._client):
                if self.silent:
                    continue
                self._proxy._open.wait()
                rule = self._proxy._rule_for(request)
                if rule is not None and rule.where == "request":
                    return
                self._pending.append(rule)
                self._server.sendall(request)

    def pump_replies(self) -> None:
        with self._ending():
            for reply in _frames(self._server):
                # Pushed messages answer no request.
                self._proxy._open.wait()
                rule = None
                if not reply.startswith(b">") and self._pending:
                    rule = self._pending.popleft()
                if rule is not None:
                    self._client.sendall(reply[: rule.after_bytes])
                    return
                self._client.sendall(reply)

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            with contextlib.suppress(OSError):
                yield
        finally:
            self.close()
            with self._lock:
                self._pumps -= 1
                last = self._pumps == 0
            if last:
                self._client.close()
                self._server.close()
                self._proxy._forget(self)


def _frames(source: socket.socket) -> Iterator[bytes]:
    """Each whole RESP value that *source* sends, until it ends."""
    buffer = b""
    while chunk := source.recv(65536):
        buffer += chunk
        while (end := _end_of_value(buffer, 0)) is not None:
            yield buffer[:end]
            buffer = buffer[end:]


def _end_of_value(data: bytes, start: int) -> int | None:
    """Where the RESP value that begins at *start* ends, or None while it is not all there."""
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, here = data[start : start + 1], line_end + 2
    if kind in b"$!=":
        size = int(data[start + 1 : line_end])
        end = here + (size + 2 if size >= 0 else 0)
        return end if end <= len(data) else None
    if kind in b"*~>%|":
        values = int(data[start + 1 : line_end]) * (2 if kind in b"%|" else 1)
        # Attributes come before the value they describe.
        for _ in range(values + (kind == b"|")):
            end_of_one = _end_of_value(data, here)
            if end_of_one is None:
                return None
            here = end_of_one
    return here
