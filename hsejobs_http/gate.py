"""The gate that every request passes: its id, token, body size, and log line."""

from __future__ import annotations

import asyncio
import hmac
import random
import re
import time
from typing import Any

from hsejobs.watch import logs
from hsejobs_http import dashboard
from hsejobs_http.bodies import BODY_LIMIT, too_large
from hsejobs_http.counting import UNMATCHED, Counts
from hsejobs_http.problems import Problem, stopping, unexpected
from hsejobs_http.proxies import Proxies
from hsejobs_http.queries import QueryCheck
from hsejobs_http.tokens import TokenVerifier, bearer, check_once
from hsejobs_http.writing import send_whole

#: Seconds for which log lines are collected before they are written.
FLUSH_SECONDS = 0.02
#: https://www.w3.org/TR/trace-context/ - ids of zeros only are invalid.
_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
#: Routes that implement HEAD themselves, so that a file need not be read to tell its size.
_ARTIFACTS = re.compile(r"/artifacts/.*|/api/jobs/[^/]+/jobs/[^/]+/artifact", re.DOTALL)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@+=-]{1,100}")


class RequestGate:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: Any,
        verifier: TokenVerifier,
        metrics_token: str | None,
        counts: Counts,
        proxies: Proxies,
    ) -> None:
        self.app, self.verifier = app, verifier
        #: Where requests go that may pass; the application behind it.
        self.entry = app
        #: What takes adds past all of this; set once the application is complete.
        self.direct: Any = None
        self.metrics_token = metrics_token
        self.counts, self.proxies = counts, proxies
        #: Path templates by endpoint; requests to others are counted as `unmatched`.
        self.paths: dict[Any, str] = {}
        self.check_query = QueryCheck(())
        self._flushing = False
        # Each read of the kernel's random numbers gives the interpreter away to the adder's thread.
        self._random = random.Random()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = self.identify(scope, headers)
        started, status = time.perf_counter(), 0
        # The head of an answer of known length: it is sent with the body.
        head: Any = None

        async def answer(message: Any) -> None:
            nonlocal status, head
            if message["type"] == "http.response.start":
                own = (b"x-request-id", request_id.encode())
                headers = message["headers"] = [*message["headers"], own]
                if any(name == b"content-length" for name, _ in headers):
                    head = message
                    return
                status = message["status"]
            elif head is not None:
                held, head = head, None
                status = held["status"]
                body = message.get("body", b"")
                if not message.get("more_body") and send_whole(send, held, body):
                    return
                await send(held)
            await send(message)

        method = scope["method"]
        if method == "HEAD" and not _ARTIFACTS.fullmatch(scope["path"]):
            # Handled as GET; uvicorn sends only the head of the answer.
            scope = {**scope, "method": "GET", "head": True}
        try:
            try:
                self.check(scope, headers)
                self.check_query(scope)
                await self.entry(scope, receive, answer)
            except Problem as problem:
                page = problem.status == 401 and dashboard.wants_page(scope["path"], headers)
                response = (
                    dashboard.refusal(problem, scope, headers) if page else problem.response()
                )
                await response(scope, receive, answer)
            except Exception as error:
                internal_error = unexpected(error, request_id)
                # The application's own handler may have answered already.
                if not status:
                    await internal_error.response()(scope, receive, answer)
            except asyncio.CancelledError:
                # The shim stops and the grace period is over; uvicorn would answer in plain text.
                if status:
                    raise
                await stopping().response()(scope, receive, answer)
        finally:
            self.log(scope, method, status, started, request_id)

    def identify(self, scope: Any, headers: dict[bytes, bytes]) -> str:
        """Sets the request's trace and client address in the scope; returns the request's id."""
        given = headers.get(b"x-request-id", b"")
        request_id = (
            given.decode()
            if given and _REQUEST_ID.fullmatch(given)
            else f"{self._random.getrandbits(128):032x}"
        )
        parent = headers.get(b"traceparent", b"")
        scope["trace"] = request_id
        if parent and _TRACEPARENT.fullmatch(parent):
            scope["trace"] += " " + parent.decode()
        peer = scope.get("client")
        scope["address"] = self.proxies.client(peer[0] if peer else None, scope["headers"])
        return request_id

    async def _socket(self, scope: Any, receive: Any, send: Any) -> None:
        """Passes a view's socket on; a refusal is answered as for any request."""
        request_id = self.identify(scope, dict(scope["headers"]))
        begun = False

        async def answer(message: Any) -> None:
            nonlocal begun
            if not begun and message["type"] == "websocket.close":
                begun = True
                nothing = Problem(404, "not_found", "there is nothing at this path")
                await nothing.response()(scope, receive, send)
                return
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            problem = unexpected(error, request_id)
            if not begun:
                await problem.response()(scope, receive, send)

    def check(self, scope: Any, headers: dict[bytes, bytes]) -> None:
        """Sets the caller in the scope. Raises Problem 400, 401, 403, 413."""
        check_once(scope["headers"])
        path: str = scope["path"]
        if path == "/metrics" and self.metrics_token is not None:
            wanted = self.metrics_token.encode("utf-8", "surrogateescape")
            if not hmac.compare_digest((bearer(headers) or "").encode("latin-1"), wanted):
                raise Problem(
                    401,
                    "unauthenticated",
                    "send Authorization: Bearer <JOBS_METRICS_TOKEN>",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        if path != dashboard.LOGIN and (path == "/api/jobs" or path.startswith("/api/jobs/")):
            token = bearer(headers)
            if token is None and f"{path}/".startswith(f"{dashboard.PATH}/"):
                token = dashboard.cookie_token(headers)
            if token is None:
                raise Problem(
                    401,
                    "unauthenticated",
                    "send Authorization: Bearer <token>",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            scope["caller"], scope["token"] = self.verifier.caller(token), token
        length = headers.get(b"content-length", b"0")
        if len(length) > 12 or (length.isdigit() and int(length) > BODY_LIMIT):
            raise too_large()

    def log(self, scope: Any, method: str, status: int, started: float, request_id: str) -> None:
        """Counts and logs an answered request; ``started`` is of ``time.perf_counter``."""
        who, seconds = scope.get("caller"), time.perf_counter() - started
        route = self.paths.get(scope.get("endpoint"), UNMATCHED)
        self.counts.note(route, method, status, seconds)
        waits = logs.request(
            request_id,
            scope["address"],
            method,
            _shown(scope["path"]),
            status or None,
            seconds,
            who.organization_id if who else None,
            who.user_id if who else None,
        )
        if waits and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        logs.flush()


def _shown(path: str) -> str:
    # A signed link lets anyone load its file, so none may appear in a log.
    return "/artifacts/***" if path.startswith("/artifacts/") else path[:300]
