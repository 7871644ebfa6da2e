"""Checks the names in a query: an unknown one is refused, as it may have been meant to limit the request.

The gate checks every request, by the query parameters that ``ROUTES`` declares for its route: a route
without an entry there takes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import Match

from hsejobs.errors import InvalidOption
from hsejobs_http.bodies import combined, unknown
from hsejobs_http.openapi_routes import OTHER_QUEUES, ROUTES
from hsejobs_http.pages import PLAIN
from hsejobs_http.problems import problem_of
from hsejobs_tui.session.addresses import NAMES, ROOT

#: The pages of the dashboard: what their queries may have, beyond what the document says.
PAGES = {
    ROOT: ("from", "to", "organizationId"),
    f"{ROOT}/{{path}}": NAMES,
    **dict.fromkeys(
        (
            PLAIN,
            f"{PLAIN}/{{queue}}",
            f"{PLAIN}/{{queue}}/{{act}}",
            f"{PLAIN}/{{queue}}/jobs/{{job}}",
            f"{PLAIN}/{{queue}}/jobs/{{job}}/retry",
        ),
        ("organizationId",),
    ),
}
#: The path that the route for adding jobs has, which the document calls ``OTHER_QUEUES``.
ADDING = "/api/jobs/{queue}"


def declared(method: str, path: str) -> tuple[str, ...]:
    """Returns the names of the query parameters of a route."""
    if path in PAGES:
        return PAGES[path]
    path = OTHER_QUEUES if (method, path) == ("POST", ADDING) else path
    route = ROUTES.get((method.lower(), path))
    return () if route is None else tuple(str(one["name"]) for one in route.query)


def check_names(query: bytes, known: Sequence[str]) -> None:
    """Raises Problem 422, which names each parameter that is unknown here or given twice."""
    given = [name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)]
    wrong = unknown("", dict.fromkeys(given), known)
    wrong += [
        InvalidOption(name, "is given twice; send it once")
        for name in known
        if given.count(name) > 1
    ]
    if wrong:
        raise problem_of(combined(wrong))


class QueryCheck:
    """Checks the query of a request, by the routes of the application."""

    def __init__(self, routes: Sequence[Any]) -> None:
        self.routes = routes

    def __call__(self, scope: Any) -> None:
        """Raises Problem 422 for a name that the route does not declare; a path without a route has none."""
        if not scope["query_string"]:
            return
        for route in self.routes:
            if route.matches(scope)[0] is Match.FULL:
                check_names(scope["query_string"], declared(scope["method"], route.path_format))
                return
