"""A proxy in front of a Redis that cuts connections at chosen points."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from hsejobs.redis_url import parse_redis_url
from hsejobs_cli.chaos.proxy import Connection, Proxy

Match = bytes | Callable[[bytes], bool]


@dataclass
class _Rule:
    match: Match
    where: Literal["request", "reply", "lost"]
    skip: int
    times: int
    after_bytes: int

    def applies(self, request: bytes) -> bool:
        """Whether to cut this request; counts it if so."""
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


class FlakyProxy(Proxy):
    """A proxy that parses RESP, so that it can cut before or inside a chosen reply.

    ::

        with FlakyProxy(redis_url) as proxy:
            proxy.cut_reply(match=b"EVALSHA", times=1, after_bytes=0)
            client = redis.Redis.from_url(proxy.url)

    A request is matched in its wire form (``*2\\r\\n$3\\r\\nGET\\r\\n...``): by a part of it, or
    by a function. ``cuts`` counts what was cut.
    """

    def __init__(self, target_url: str) -> None:
        super().__init__(target_url)
        self._rules: list[_Rule] = []
        self._choosing = threading.Lock()
        self.cuts = 0

    def cut_reply(
        self, match: Match, *, times: int = 1, after_bytes: int = 0, skip: int = 0
    ) -> None:
        """Forward the request, then close after *after_bytes* of the reply.

        Applies to *times* matching requests, after *skip* of them passed.
        """
        with self._choosing:
            self._rules.append(_Rule(match, "reply", skip, times, after_bytes))

    def cut_request(self, match: Match, *, times: int = 1, skip: int = 0) -> None:
        """Close instead of forwarding the request: Redis never receives it."""
        with self._choosing:
            self._rules.append(_Rule(match, "request", skip, times, 0))

    def lose_reply(self, match: Match, *, times: int = 1) -> None:
        """Forward the request and drop its reply: the client waits, on a connection that stays open."""
        with self._choosing:
            self._rules.append(_Rule(match, "lost", 0, times, 0))

    def lead_to(self, target_url: str) -> None:
        """Route new connections to another Redis; open connections stay."""
        self._target = parse_redis_url(target_url)

    def new_connection(self, client: socket.socket, server: socket.socket) -> Connection:
        """A connection that forwards whole RESP values."""
        return _Link(self, client, server)

    def rule_for(self, request: bytes) -> _Rule | None:
        """The first rule that applies to the request."""
        with self._choosing:
            for rule in self._rules:
                if rule.applies(request):
                    self.cuts += 1
                    return rule
        return None


class _Link(Connection):
    def __init__(self, proxy: FlakyProxy, client: socket.socket, server: socket.socket) -> None:
        super().__init__(proxy, client, server)
        self._rules = proxy
        self._pending: deque[_Rule | None] = deque()

    def read(self, source: socket.socket) -> Iterator[bytes]:
        return _frames(source)

    def request(self, piece: bytes) -> bool:
        rule = self._rules.rule_for(piece)
        if rule is not None and rule.where == "request":
            return False
        self._pending.append(rule)
        return super().request(piece)

    def reply(self, piece: bytes) -> bool:
        rule = None
        # Push messages are not replies to a request.
        if not piece.startswith(b">") and self._pending:
            rule = self._pending.popleft()
        if rule is not None and rule.where == "lost":
            return True
        if rule is not None:
            self.client.sendall(piece[: rule.after_bytes])
            return False
        return super().reply(piece)


def _frames(source: socket.socket) -> Iterator[bytes]:
    """Yields each complete RESP value that *source* sends, until it closes."""
    buffer = b""
    while chunk := source.recv(65536):
        buffer += chunk
        while (end := _end_of_value(buffer, 0)) is not None:
            yield buffer[:end]
            buffer = buffer[end:]


def _end_of_value(data: bytes, start: int) -> int | None:
    """The end of the RESP value that begins at *start*, or None while it is incomplete."""
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
        # Attributes precede the value that they describe.
        for _ in range(values + (kind == b"|")):
            end_of_one = _end_of_value(data, here)
            if end_of_one is None:
                return None
            here = end_of_one
    return here
