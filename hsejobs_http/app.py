"""Assembles the ASGI application."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route, WebSocketRoute

from hsejobs import __version__, tracing
from hsejobs.engine.runtime import runtime
from hsejobs.errors import JobsError
from hsejobs.model import RESERVED_QUEUE_NAMES
from hsejobs.services.alerts import Watcher
from hsejobs.store import scripts
from hsejobs.watch import logs
from hsejobs_http import (
    auditing,
    bulk,
    consumers,
    dashboard,
    docs_page,
    files,
    history,
    metrics,
    openapi,
    plain,
    routes,
    waiting,
)
from hsejobs_http.answers import answer
from hsejobs_http.creating import create
from hsejobs_http.direct import DirectAdds
from hsejobs_http.gate import RequestGate
from hsejobs_http.problems import INTERNAL_ERROR, Problem, answer_to
from hsejobs_http.proxies import Proxies
from hsejobs_http.queries import QueryCheck
from hsejobs_http.state import Shim

#: What the path of an add begins with; the queue's name follows.
_ADDS = "/api/jobs/"
#: FastAPI's own spans would have the paths of signed links and the queries of searches.
_NO_SPANS: Any = {"tracing": False, "logs": False}

#: The modules with a router. Those of the dashboard come first: `events` and others are screens there.
_PARTS = (plain, dashboard, auditing, consumers, routes, history, bulk, waiting, docs_page)


def create_app() -> Any:
    """Creates the ASGI application. Raises SettingsError, also when there is no key for tokens."""
    shared = runtime()
    logs.configure(shared.settings.log_level, shared.settings.log_format)
    scripts.keep()
    shim_state = Shim(shared)

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        parent_watch = _ParentWatch()
        removal = files.RemovalRounds(shim_state)

        def _each_second() -> None:
            parent_watch()
            shim_state.counts.report()
            removal()

        watcher = Watcher(shim_state.runtime.redis, shim_state.settings, _each_second)
        watcher.start()
        _collect_less()
        try:
            yield
        finally:
            gate.direct.close()
            shim_state.adder.close()
            watcher.stop()
            shim_state.counts.report()
            await run_in_threadpool(tracing.stop)
            logs.flush()

    app = FastAPI(
        title="hsejobs",
        telemetry=_NO_SPANS,
        version=__version__,
        lifespan=life,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # Generated clients name their methods by this.
        generate_unique_id_function=lambda route: route.name.strip("_"),
    )
    app.state.shim = shim_state
    for part in _PARTS:
        app.include_router(part.router)
    for path in ("/ws", "/ws/{organization_id:path}"):
        app.router.routes.append(WebSocketRoute(dashboard.PATH + path, dashboard.socket))
    for path, endpoint in (("/healthz", _healthy), ("/readyz", _ready), ("/metrics", _metrics)):
        app.add_api_route(path, endpoint, methods=["GET"])
    files.register(app)
    # For the list of routes and the methods of the path: `_Front` takes the requests.
    app.router.routes.insert(0, _Adding(_ADDS + "{queue}", create, methods=["POST"]))
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(JobsError, _jobs_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _not_valid)
    # Starlette raises it again to the gate, which writes the log line.
    app.add_exception_handler(Exception, _unexpected_error)
    app.openapi = lambda: openapi.document(app, shim_state.application)  # type: ignore[method-assign]
    proxies = Proxies(shim_state.settings.trusted_proxies)
    gate = RequestGate(
        app, shim_state.verifier, shim_state.settings.metrics_token, shim_state.counts, proxies
    )
    gate.entry = _Front(app)
    gate.direct = DirectAdds(gate, shim_state)
    gate.check_query = QueryCheck(all_routes(app))
    gate.paths = {one.endpoint: one.path_format for one in all_routes(app)}
    return gate


def _collect_less() -> None:
    # Imported modules stay: collecting garbage among them again and again is most of the p99.
    gc.collect()
    gc.freeze()
    # What a request leaves behind is no garbage to be sought: it is freed when it is answered.
    gc.set_threshold(20_000, 10, 10)


def all_routes(app: FastAPI) -> list[Any]:
    """Returns all routes, including those of routers that FastAPI keeps separate."""
    known = [*app.routes, *(route for part in _PARTS for route in part.router.routes)]
    return [one for one in known if hasattr(one, "endpoint") and hasattr(one, "methods")]


class _Adding(Route):
    """The route that adds jobs; does not match reserved names, which no queue can have."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        found, more = super().matches(scope)
        if found is Match.NONE or more["path_params"]["queue"] in RESERVED_QUEUE_NAMES:
            return Match.NONE, {}
        return found, more


class _Front:
    """Takes the adds past the layers of FastAPI and Starlette, which would cost more than the add.

    Their errors are answered as the application's handlers do: a Problem, and what is unexpected, by
    the gate around it.
    """

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        queue = _added_to(scope)
        if queue is None:
            await self.app(scope, receive, send)
            return
        scope.update(app=self.app, endpoint=create, path_params={"queue": queue})
        request = Request(scope, receive)
        try:
            response = await create(request)
        except JobsError as error:
            response = await _jobs_error(request, error)
        await response(scope, receive, send)


def _added_to(scope: Any) -> str | None:
    """Returns the queue that an HTTP request adds a job to; None if it does something else."""
    if scope["method"] != "POST":
        return None
    path: str = scope["path"]
    queue = path[len(_ADDS) :]
    if not path.startswith(_ADDS) or not queue or "/" in queue or queue in RESERVED_QUEUE_NAMES:
        return None
    return queue


class _ParentWatch:
    """Ends this process when its parent (`hsejobs up` or `hsejobs serve`) was killed."""

    def __init__(self) -> None:
        self.parent = int(os.environ.get("HSEJOBS_PARENT_PID") or 0)

    def __call__(self) -> None:
        if self.parent and os.getppid() != self.parent:
            os.kill(os.getpid(), signal.SIGTERM)
            self.parent = 0


async def _healthy() -> Response:
    """Answers that the process is alive; runs on the event loop, however many threads wait for Redis."""
    return answer({"status": "ok"})


def _ready(request: Request) -> Response:
    """Answers whether a job could be added now."""
    shim_state: Shim = request.app.state.shim
    shim_state.runtime.writer.check_adds(list(shim_state.queues) or shim_state.names())
    return answer({"status": "ok"})


def _metrics(request: Request) -> Response:
    """Serves the metrics for Prometheus."""
    return PlainTextResponse(
        metrics.render(request.app.state.shim), media_type=metrics.CONTENT_TYPE
    )


async def _problem(request: Request, error: Any) -> Response:
    response: Response = error.response()
    return response


async def _jobs_error(request: Request, error: Any) -> Response:
    return answer_to(error, request.scope["trace"].partition(" ")[0]).response()


async def _not_valid(request: Request, error: Any) -> Response:
    wrong = tuple((str(one["loc"][-1])[:60], "is invalid") for one in error.errors()[:20])
    names = ", ".join(name for name, _ in wrong)
    return Problem(422, "invalid_option", f"invalid: {names}", errors=wrong).response()


async def _unexpected_error(request: Request, error: Any) -> Response:
    return Problem(500, "error", INTERNAL_ERROR).response()


async def _http_error(request: Request, error: Any) -> Response:
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    details = {404: "there is nothing at this path", 405: "this path does not have this method"}
    detail = details.get(error.status_code, "the request is not valid HTTP")
    headers = {"Allow": _methods(request)} if error.status_code == 405 else {}
    return Problem(error.status_code, code, detail, headers=headers).response()


def _methods(request: Request) -> str:
    """Returns the methods of the path; Starlette names those of the first matching route only."""
    routes_here = (
        one for one in all_routes(request.app) if one.matches(request.scope)[0] is not Match.NONE
    )
    found = {method for one in routes_here for method in one.methods}
    # The gate turns HEAD into GET.
    return ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))
