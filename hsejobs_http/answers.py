"""JSON answers: whatever an add accepts can be answered with, by the codec that wrote it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hsejobs import codec


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of JSON; half characters (lone surrogates) are written as ``\\uXXXX``."""
    return Response(codec.dumps(value), status, headers, "application/json")
