"""JSON answers, written by the codec that reads payloads: every accepted value can be returned."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hsejobs import codec


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Returns a JSON response; lone surrogates are written as ``\\uXXXX``."""
    return Response(codec.dumps(value), status, headers, "application/json")


class Accepted(Response):
    """The answer to an add: 202, JSON, and where the job is. Starlette encodes every header again."""

    status_code = 202

    def __init__(self, value: Any, location: str) -> None:
        self.body, self.location = codec.dumps(value), location

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        headers = [
            (b"location", self.location.encode("latin-1")),
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
