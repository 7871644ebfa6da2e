"""Checks the names in a query: an unknown one is refused, as it may have been meant to limit the request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from hsejobs.errors import InvalidOption
from hsejobs_http.bodies import combined, unknown
from hsejobs_http.openapi_routes import ROUTES


def known_names(routes: Iterable[Any]) -> dict[Any, tuple[str, ...]]:
    """Returns the query parameters of each endpoint, as the OpenAPI document lists them."""
    return {
        one.endpoint: tuple(
            str(name["name"])
            for method in one.methods
            for name in getattr(ROUTES.get((method.lower(), one.path_format)), "query", ())
        )
        for one in routes
    }


async def check_query(request: Request) -> None:
    """Raises InvalidOption, which names each parameter that is unknown here or given twice."""
    if not request.scope["query_string"]:
        return
    known = request.app.state.queries.get(request.scope["endpoint"], ())
    given = [name for name, _ in request.query_params.multi_items()]
    wrong = unknown("", dict.fromkeys(given), known)
    wrong += [
        InvalidOption(name, "is given twice; send it once")
        for name in known
        if given.count(name) > 1
    ]
    if wrong:
        raise combined(wrong)
