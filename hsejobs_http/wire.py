"""uvicorn's HTTP protocol, with size and time limits, and refusals as problem documents."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hsejobs.model import QUEUE_NAME, RESERVED_QUEUE_NAMES
from hsejobs_http.connections import connection_limiter
from hsejobs_http.problems import MEDIA_TYPE, RETRY_AFTER, Problem, too_slow
from hsejobs_http.watching import stopping
from hsejobs_http.writing import DirectCycle

#: The most bytes of a request line and headers.
HEAD_LIMIT = 65_536
#: The paths of websockets.
_SOCKETS = re.compile(rb"/api/jobs/dashboard/ws(/[^?]*)?(\?.*)?")
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
#: The paths of adds, as sent.
_ADDS = re.compile(rb"/api/jobs/(%b)" % QUEUE_NAME.pattern.encode())
#: The longest body of an add that needs no task, and the most pieces in which it arrives.
_LONGEST, _PIECES = 65_536, 32
#: The states of a connection that is not being answered, or whose peer does not read the answer; in the
#: order in which they are closed to make room.
_HEAD, _IDLE, _BODY, _STUCK = range(4)


class Wire(HttpToolsProtocol):
    """One HTTP connection; implements ``Connection``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Bytes of the incomplete head so far; None while a body is received.
        self._head: int | None = 0
        self._ended = False
        self._limiter = connection_limiter()
        timeouts = self._limiter.timeouts
        self._limits = (timeouts.head, timeouts.idle, timeouts.body)
        self._adds: Any = getattr(self.app, "direct", None)
        #: The queue that the current request adds to, while it may be answered without a task, and its body.
        self._direct: str | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        #: Whether the gate lets the head of the current request through.
        self._passed = False
        #: When the time limit of the current state ends, and when the state began (loop time in s).
        self._due = self._since = 0.0
        self._state = _HEAD
        #: When to give up on a peer that does not read its answer; None while it reads.
        self._stuck: float | None = None
        #: Requests that are being answered or queued; uvicorn itself only knows the newest.
        self._cycles: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio; refuses the connection if there is no room."""
        super().connection_made(transport)
        self._enter_state(_HEAD)
        if not self._limiter.admit(self, self.client[0] if self.client else None):
            detail = "too many connections are open; close one, or wait"
            self._refuse(
                Problem(503, "too_many_connections", detail, headers={"Retry-After": RETRY_AFTER})
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the connection has closed."""
        self._limiter.release(self)
        # The task of an incomplete add notices, and logs it.
        self._hand_over()
        self._discard_output()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection to a view; ``Viewers`` limits those."""
        self._limiter.release(self)
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio; limits the head, which the parser would collect without end."""
        if self.transport.is_closing():
            return
        self._ended = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._direct is not None and not self._passed:
            self._passed = self._adds.passes(self.scope)
            if not self._passed:
                # It is refused before the rest of its body has come.
                self._hand_over()
        # If a request was completed by these bytes, few of them belong to the next head.
        if self._head is not None and not self._ended:
            self._head += len(data)
            if self._head > HEAD_LIMIT:
                detail = f"the request line and headers have more than {HEAD_LIMIT:,} bytes"
                self._refuse(Problem(431, "headers_too_large", detail))

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of a request."""
        self._head = 0
        self._enter_state(_HEAD)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each header; ignores trailers, which nothing has checked."""
        if self._head is None:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Called by the parser at the end of the headers."""
        self._head = None
        self._enter_state(_BODY)
        self._direct, self._pieces, self._size, self._passed = self._queue(), [], 0, False
        if self._direct is None:
            self._begin()

    def _queue(self) -> str | None:
        """Returns the queue that the request adds to, if it may be answered without a task."""
        parser, cycle = self.parser, self.cycle
        if self._adds is None or parser.get_method() != b"POST":
            return None
        if self.pipeline or (cycle is not None and not cycle.response_complete):
            return None
        if self.flow.write_paused:
            # The peer does not read its answers: a task waits until it does.
            return None
        found = _ADDS.fullmatch(self.url)
        special = self.expect_100_continue or parser.should_upgrade()
        if found is None or special or parser.get_http_version() != "1.1":
            return None
        queue = found[1].decode()
        if queue in RESERVED_QUEUE_NAMES:
            return None
        self.scope["method"], self.scope["path"] = "POST", self.url.decode()
        return queue

    def _begin(self) -> None:
        """Starts the task that answers the request."""
        super().on_headers_complete()
        self._add_cycle()

    def _add_cycle(self) -> None:
        self._cycles = [one for one in self._cycles if not one.response_complete]
        self._cycles.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Called by the parser for each piece of a body; extends the time limit at the minimum rate."""
        self._due += len(body) / self._limiter.timeouts.rate
        if self._direct is None:
            super().on_body(body)
            return
        self._pieces.append(body)
        self._size += len(body)
        if self._size > _LONGEST or len(self._pieces) > _PIECES:
            self._hand_over()

    def on_message_complete(self) -> None:
        """Called by the parser at the end of a request; further bytes belong to the next head."""
        if self._direct is None or not self._take(self._direct):
            self._hand_over()
            super().on_message_complete()
        self._head, self._ended = 0, True
        self._enter_state(_IDLE)

    def _take(self, queue: str) -> bool:
        """Whether the request is answered without a task."""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        cycle = DirectCycle(self)
        if not self._adds.take(self.scope, queue, body, cycle.answer, self.loop):
            return False
        self._direct, self._pieces = None, []
        # uvicorn's own has more, which none of its other methods asks for.
        self.cycle = cycle  # type: ignore[assignment]
        self._add_cycle()
        return True

    def _hand_over(self) -> None:
        """Starts the task after all, if the request was kept from it."""
        if self._direct is None:
            return
        pieces, self._direct, self._pieces = self._pieces, None, []
        self._begin()
        for piece in pieces:
            super().on_body(piece)

    def on_response_complete(self) -> None:
        """Called when an answer is complete; the time limit of the next request starts now.

        uvicorn's own also sets a timer for each request, which closes an idle connection; `enforce_deadline`
        does.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        self._enter_state(self._state)

    def pause_writing(self) -> None:
        """Called by asyncio when the peer stops reading the answer."""
        self._stuck = self.loop.time() + self._limiter.timeouts.idle
        super().pause_writing()

    def resume_writing(self) -> None:
        """Called by asyncio when the peer reads again."""
        self._stuck = None
        super().resume_writing()

    def shutdown(self) -> None:
        """Called by uvicorn when it stops; requests that wait for events are answered now."""
        stopping().set()
        self._hand_over()
        super().shutdown()

    # -- time

    def _enter_state(self, state: int) -> None:
        self._state, self._since = state, self.loop.time()
        self._due = self._since + self._limits[state]

    def _answering(self) -> bool:
        """Returns whether the peer waits for us, not we for it."""
        return self.cycle is not None and not self.cycle.response_complete

    def rank(self) -> tuple[int, float] | None:
        """See ``Connection``."""
        if self._stuck is not None:
            # Here we wait for the peer: a slow reader occupies a place like half a request.
            return _STUCK, self._stuck
        if self._state != _BODY and self._answering():
            return None
        return self._state, self._since

    def close_now(self) -> None:
        """See ``Connection``."""
        self._end()

    def _discard_output(self) -> None:
        """Discards further output: writing to the closed transport would log an error."""
        for one in self._cycles:
            one.disconnected = True

    def _end(self) -> None:
        self._discard_output()
        self.transport.abort()

    def enforce_deadline(self, now: float) -> None:
        """See ``Connection``."""
        if self.transport.is_closing() and self._stuck is None:
            # Unsent data gets as much time as an idle connection.
            self._stuck = now + self._limiter.timeouts.idle
        if self._stuck is not None:
            if now >= self._stuck:
                self._end()
        elif now < self._due:
            return
        elif self._state == _BODY:
            self._end_late_body(now)
        elif not self._answering():
            if self._state == _HEAD and self._head:
                self._refuse(too_slow("the request line and headers"))
            else:
                self.transport.close()

    def _end_late_body(self, now: float) -> None:
        self._hand_over()
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.close()
        elif self.flow.read_paused or cycle.response_started:
            # We have paused reading, or an answer has begun.
            self._due = now + self._limiter.timeouts.body
        else:
            # For the log line: the reader of the body gets a disconnect of the peer.
            cycle.scope["late"] = True  # type: ignore[typeddict-unknown-key]
            self._refuse(too_slow("the body"))
            cycle.disconnected = True
            cycle.message_event.set()

    # -- refusals

    def _should_upgrade(self) -> bool:
        # On other paths the upgrade is ignored, as HTTP allows, and the request answered.
        ours = self.parser.get_method() == b"GET" and _SOCKETS.fullmatch(self.url)
        return bool(ours) and _is_handshake(self.headers) and bool(super()._should_upgrade())

    def _unsupported_upgrade_warning(self) -> None:
        """Logs nothing: callers could fill the log."""

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for bytes that are not valid HTTP."""
        self._refuse(Problem(400, "bad_request", "this is not a valid HTTP request"))

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
    """Returns whether the websocket library will accept it: it refuses in plain text."""
    given = dict(headers)
    try:
        key = base64.b64decode(given.get(b"sec-websocket-key", b""), validate=True)
    except binascii.Error:
        return False
    names = [name for name, _ in headers]
    once = all(names.count(b"sec-websocket-" + name) == 1 for name in (b"key", b"version"))
    return once and len(key) == 16 and given[b"sec-websocket-version"].strip() == b"13"
