"""JSON answers, written by the codec that reads payloads: every accepted value can be returned."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hsejobs import codec


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Returns a JSON response; lone surrogates are written as ``\\uXXXX``."""
    return Response(codec.dumps(value), status, headers, "application/json")
