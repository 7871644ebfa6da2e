"""Answers that are written at once: one piece for the head and the body."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

#: What no header may contain: HTTP would end it there.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
#: Headers that change how an answer is sent, which is uvicorn's part.
_FRAMING = frozenset({b"connection", b"transfer-encoding"})


class DirectCycle:
    """What uvicorn's cycle is for other requests, for one that is answered without a task.

    The protocol asks it whether it is answered, and tells it that the connection has closed.
    """

    __slots__ = (
        "default_headers",
        "disconnected",
        "keep_alive",
        "on_response",
        "response_complete",
        "scope",
        "transport",
    )
    response_started = False
    #: No task waits for it.
    message_event = asyncio.Event()

    def __init__(self, wire: HttpToolsProtocol) -> None:
        self.scope, self.transport = wire.scope, wire.transport
        self.default_headers = wire.server_state.default_headers
        self.on_response = wire.on_response_complete
        self.keep_alive = bool(wire.parser.should_keep_alive())
        self.disconnected = self.response_complete = False

    def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Writes the answer, unless the connection has closed."""
        if not self.disconnected and not self.transport.is_closing():
            _write_whole(self, status, headers, body)


def send_whole(send: Any, start: Any, body: bytes) -> bool:
    """Writes an answer with its body at once, as ``send`` would in two pieces; False: it must do it.

    To write costs more than to make the answer, for us and for the caller, who is woken by each piece.
    ``start`` has the length of the body among its headers, whose names are in lower case.
    """
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle) or cycle.flow.write_paused:
        return False
    headers = start["headers"]
    values = b"".join([value for _, value in headers])
    if not _FRAMING.isdisjoint([name for name, _ in headers]) or _CONTROL.search(values):
        return False
    if not cycle.disconnected:
        cycle.waiting_for_100_continue = False
        cycle.response_started = True
        _write_whole(cycle, start["status"], headers, body)
        cycle.message_event.set()
    return True


def _write_whole(
    cycle: RequestResponseCycle | DirectCycle,
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    """Writes the only piece of an answer; the next request of the connection may begin."""
    lines = [b"%b: %b\r\n" % pair for pair in (*cycle.default_headers, *headers)]
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    if cycle.scope["method"] == "HEAD":
        body = b""
    cycle.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
    cycle.response_complete = True
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
