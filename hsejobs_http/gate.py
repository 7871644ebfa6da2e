"""What every request passes: its id, the token, the size of its body, its line in the log."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
import uuid
from typing import Any

from hsejobs.watch import logs
from hsejobs_http import dashboard
from hsejobs_http.bodies import BODY_LIMIT, too_large
from hsejobs_http.counting import UNMATCHED, Counts
from hsejobs_http.problems import Problem
from hsejobs_http.tokens import Verifier, bearer

logger = logging.getLogger("hsejobs.http")
#: For how long lines of the log are gathered.
FLUSH_SECONDS = 0.02
#: https://www.w3.org/TR/trace-context/ - ids of zeros alone are none.
_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@+=-]{1,100}")


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self, app: Any, verifier: Verifier, metrics_token: str | None, counts: Counts
    ) -> None:
        self.app, self.verifier = app, verifier
        self.metrics_token = metrics_token
        self.counts = counts
        #: Templates by what answers them; others are `unmatched`.
        self.paths: dict[Any, str] = {}
        self._flushing = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex.encode()
        parent = headers.get(b"traceparent", b"")
        parent = b" " + parent if _TRACEPARENT.fullmatch(parent) else b""
        scope["trace"] = (request_id + parent).decode()
        started, status = time.perf_counter(), 0

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            try:
                self._check(scope, headers)
                await self.app(scope, receive, answer)
            except Problem as problem:
                page = problem.status == 401 and dashboard.wants_page(scope["path"], headers)
                response = dashboard.refusal(problem, headers) if page else problem.response()
                await response(scope, receive, answer)
            except Exception as error:
                # Starlette has answered already with 500; its text may hold a value.
                logger.error("unexpected %s", type(error).__name__)
                if not status:
                    await Problem(500, "error", "something went wrong here").response()(
                        scope, receive, answer
                    )
        finally:
            self._log(scope, status, started, request_id.decode())

    def _check(self, scope: Any, headers: dict[bytes, bytes]) -> None:
        path: str = scope["path"]
        if path == "/metrics" and self.metrics_token is not None:
            wanted = self.metrics_token.encode("utf-8", "surrogateescape")
            if not hmac.compare_digest((bearer(headers) or "").encode("latin-1"), wanted):
                raise Problem(401, "unauthenticated", "this needs JOBS_METRICS_TOKEN",
                              headers={"WWW-Authenticate": "Bearer"})  # fmt: skip
        if path != dashboard.LOGIN and (path == "/api/jobs" or path.startswith("/api/jobs/")):
            token = bearer(headers)
            if token is None and f"{path}/".startswith(f"{dashboard.PATH}/"):
                token = dashboard.cookie_token(headers)
            if token is None:
                raise Problem(401, "unauthenticated", "send Authorization: Bearer <token>",
                              headers={"WWW-Authenticate": "Bearer"})  # fmt: skip
            scope["caller"], scope["token"] = self.verifier.caller(token), token
        length = headers.get(b"content-length", b"0")
        if len(length) > 12 or (length.isdigit() and int(length) > BODY_LIMIT):
            raise too_large()

    def _log(self, scope: Any, status: int, started: float, request_id: str) -> None:
        who, seconds = scope.get("caller"), time.perf_counter() - started
        route = self.paths.get(scope.get("endpoint"), UNMATCHED)
        self.counts.note(route, scope["method"], status, seconds)
        fields = {
            "requestId": request_id,
            "method": scope["method"],
            "path": _shown(scope["path"]),
            "status": status or None,
            "duration": round(seconds * 1000, 2),
            "organizationId": who.organization_id if who else None,
            "userId": who.user_id if who else None,
        }
        if logs.note("request", fields) and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        logs.flush()


def _shown(path: str) -> str:
    # Whoever has a signed link may load its file: none stands in a log.
    return "/artifacts/***" if path.startswith("/artifacts/") else path[:300]
