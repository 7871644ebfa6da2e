"""uvicorn's HTTP with what it lacks: limits of the head and of time, and refusals in our form."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hsejobs_http.doors import doors
from hsejobs_http.problems import MEDIA_TYPE, RETRY_AFTER, Problem, too_slow

#: Bytes of the request line and headers that may come before they end.
HEAD_LIMIT = 65_536
#: Where requests may become sockets.
_SOCKETS = re.compile(rb"/api/jobs/dashboard/ws(/[^?]*)?(\?.*)?")
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
#: What a connection does that is not being answered, or whose peer does not take the answer; the
#: first give way first.
_HEAD, _IDLE, _BODY, _STUCK = range(4)


class Wire(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Bytes of a head that is not whole yet; None while a body comes.
        self._head: int | None = 0
        self._ended = False
        self._doors = doors()
        #: When its time for what it does is over, and since when it does that.
        self._due = self._since = 0.0
        self._state = _HEAD
        #: When a peer that takes nothing of an answer is given up.
        self._stuck: float | None = None
        #: Requests that are answered or wait for their turn; uvicorn itself knows the newest alone.
        self._cycles: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        """What asyncio calls; a connection for which there is no room is told so."""
        super().connection_made(transport)
        self._begin(_HEAD)
        if not self._doors.enter(self, self.client[0] if self.client else None):
            told = "there are too many connections; close one, or wait"
            self._refuse(
                Problem(503, "too_many_connections", told, headers={"Retry-After": RETRY_AFTER})
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._doors.leave(self)
        self._gone()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """It is a view's from now on; those are counted elsewhere."""
        self._doors.leave(self)
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """What asyncio calls; the parser itself would gather a head without end."""
        if self.transport.is_closing():
            return
        self._ended = False
        super().data_received(data)
        # Where a request became whole in these bytes, what is left of them is little.
        if self._head is not None and not self._ended and not self.transport.is_closing():
            self._head += len(data)
            if self._head > HEAD_LIMIT:
                told = f"the request line and headers have more than {HEAD_LIMIT:,} bytes"
                self._refuse(Problem(431, "headers_too_large", told))

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head = 0
        self._begin(_HEAD)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; fields behind a body (trailers) are none: nobody checked them."""
        if self._head is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._head = None
        self._begin(_BODY)
        super().on_headers_complete()
        self._cycles = [one for one in self._cycles if not one.response_complete]
        self._cycles.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """What comes at the rate that is asked for may go on coming."""
        self._due += len(body) / self._doors.patience.rate
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole; what comes now is the next one's head."""
        super().on_message_complete()
        self._head, self._ended = 0, True
        self._begin(_IDLE)

    def on_response_complete(self) -> None:
        """It is answered; a next one that was begun meanwhile has its time from now on."""
        super().on_response_complete()
        self._begin(self._state)

    def pause_writing(self) -> None:
        """The peer takes no more of an answer for now."""
        self._stuck = self.loop.time() + self._doors.patience.idle
        super().pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self._stuck = None
        super().resume_writing()

    # -- time

    def _begin(self, state: int) -> None:
        patience = self._doors.patience
        self._state, self._since = state, self.loop.time()
        self._due = self._since + (patience.head, patience.idle, patience.body)[state]

    def _answering(self) -> bool:
        """Whether the peer waits for us, not we for it."""
        return self.cycle is not None and not self.cycle.response_complete

    def rank(self) -> tuple[int, float] | None:
        """See ``Guest``."""
        if self._stuck is not None:
            # Here too it is we who wait: whoever reads slowly holds a place as half a request does.
            return _STUCK, self._stuck
        if self._state != _BODY and self._answering():
            return None
        return self._state, self._since

    def give_way(self) -> None:
        """See ``Guest``."""
        self._end()

    def _gone(self) -> None:
        """What is still said goes nowhere; to write to the transport would be a fault in the log."""
        for one in self._cycles:
            one.disconnected = True

    def _end(self) -> None:
        self._gone()
        self.transport.abort()

    def mind(self, now: float) -> None:
        """See ``Guest``."""
        if self.transport.is_closing() and self._stuck is None:
            # What is still to be sent has as long as an idle connection.
            self._stuck = now + self._doors.patience.idle
        if self._stuck is not None:
            if now >= self._stuck:
                self._end()
        elif now < self._due:
            return
        elif self._state == _BODY:
            self._body_is_late(now)
        elif not self._answering():
            if self._state == _HEAD and self._head:
                self._refuse(too_slow("the request line and headers"))
            else:
                self.transport.close()

    def _body_is_late(self, now: float) -> None:
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.close()
        elif self.flow.read_paused or cycle.response_started:
            # It is we who do not read on, or have an answer already.
            self._due = now + self._doors.patience.body
        else:
            # For the line in the log: whoever reads the body is told that the peer is gone.
            cycle.scope["late"] = True  # type: ignore[typeddict-unknown-key]
            self._refuse(too_slow("the body"))
            cycle.disconnected = True
            cycle.message_event.set()

    # -- refusals

    def _should_upgrade(self) -> bool:
        # Elsewhere a wish for a socket is passed over, as HTTP allows, and the request answered.
        mine = self.parser.get_method() == b"GET" and _SOCKETS.fullmatch(self.url)
        return bool(mine) and _is_handshake(self.headers) and bool(super()._should_upgrade())

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: callers could fill the log."""

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers to bytes that are no HTTP."""
        self._refuse(Problem(400, "bad_request", "this is no HTTP request"))

    def _refuse(self, problem: Problem) -> None:
        body = problem.body()
        more = "".join(f"{name.lower()}: {value}\r\n" for name, value in problem.headers.items())
        head = (
            f"HTTP/1.1 {problem.status} {_REASONS[problem.status]}\r\n{more}"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _is_handshake(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the socket's library will take it: what it refuses it refuses in plain text."""
    given = dict(headers)
    try:
        key = base64.b64decode(given.get(b"sec-websocket-key", b""), validate=True)
    except binascii.Error:
        return False
    names = [name for name, _ in headers]
    once = all(names.count(b"sec-websocket-" + name) == 1 for name in (b"key", b"version"))
    return once and len(key) == 16 and given[b"sec-websocket-version"].strip() == b"13"
