"""uvicorn's HTTP with two things it lacks: a limit of the head, and refusals in our form."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hsejobs_http.problems import MEDIA_TYPE, Problem

#: Bytes of the request line and headers that may come before they end.
HEAD_LIMIT = 65_536
#: Where requests may become sockets.
SOCKETS = b"/api/jobs/dashboard/ws"
_REASONS = {400: "Bad Request", 431: "Request Header Fields Too Large"}


class Wire(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Bytes of a head that is not whole yet; None while a body comes.
        self._head: int | None = 0
        self._ended = False

    def data_received(self, data: bytes) -> None:
        """What asyncio calls; the parser itself would gather a head without end."""
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
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is whole; what comes now is the next one's head."""
        super().on_message_complete()
        self._head, self._ended = 0, True

    def _should_upgrade(self) -> bool:
        # Elsewhere a wish for a socket is passed over, as HTTP allows, and the request answered.
        mine = self.parser.get_method() == b"GET" and self.url.startswith(SOCKETS)
        return mine and bool(super()._should_upgrade())

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: callers could fill the log."""

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers to bytes that are no HTTP."""
        self._refuse(Problem(400, "bad_request", "this is no HTTP request"))

    def _refuse(self, problem: Problem) -> None:
        body = problem.body()
        head = (
            f"HTTP/1.1 {problem.status} {_REASONS[problem.status]}\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
