"""JSON answers, written by the codec that reads payloads: every accepted value can be returned."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hsejobs import codec
from hsejobs.store.write import Added


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Returns a JSON response; lone surrogates are written as ``\\uXXXX``."""
    return Response(codec.dumps(value), status, headers, "application/json")


def accepted(queue: str, added: Added) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Returns the headers and the body of the answer to an add: its id, and where the job is.

    No part of it needs to be escaped: ids and names of queues have letters, digits and a few signs.
    """
    created = "true" if added.created else "false"
    body = (
        f'{{"jobId":"{added.id}","queue":"{queue}","status":"{added.status.value}",'
        f'"created":{created}}}'
    ).encode()
    headers = [
        (b"location", f"/api/jobs/{queue}/jobs/{added.id}".encode()),
        (b"content-length", b"%d" % len(body)),
        (b"content-type", b"application/json"),
    ]
    return headers, body


class Accepted(Response):
    """The answer to an add: 202. Starlette would encode every header again."""

    status_code = 202

    def __init__(self, queue: str, added: Added) -> None:
        self.head, self.body = accepted(queue, added)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        await send({"type": "http.response.start", "status": 202, "headers": self.head})
        await send({"type": "http.response.body", "body": self.body})
