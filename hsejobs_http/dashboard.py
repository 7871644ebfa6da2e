"""GET /api/jobs/dashboard: the TUI in a browser, its login, and a table for browsers without scripts."""

from __future__ import annotations

import contextlib
import time
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.websockets import WebSocket

from hsejobs.errors import RedisUnavailable
from hsejobs.model import check_organization
from hsejobs_http import bodies
from hsejobs_http.pages import login_page, view_page
from hsejobs_http.problems import Problem
from hsejobs_http.queries import check_names
from hsejobs_http.state import Shim, caller, organization_in_view, shim
from hsejobs_http.tokens import Caller, bearer, check_once

PATH = "/api/jobs/dashboard"
LOGIN = f"{PATH}/login"
COOKIE = "hsejobs_session"
#: What the terminal's script sends in the address of its socket.
SOCKET_QUERY = ("width", "height")
#: The files that the page loads: package, path in it, media type.
_FILES = {
    "dashboard.js": ("hsejobs_http", "dashboard.js", "text/javascript"),
    "textual.js": ("textual_serve", "static/js/textual.js", "text/javascript"),
    "xterm.css": ("textual_serve", "static/css/xterm.css", "text/css"),
    "mono.ttf": ("textual_serve", "static/fonts/RobotoMono-VariableFont_wght.ttf", "font/ttf"),
}

router = APIRouter(prefix=PATH, include_in_schema=False)


def cookie_token(headers: dict[bytes, bytes]) -> str | None:
    """Returns the token in the login cookie, or None."""
    try:
        found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def wants_page(path: str, headers: dict[bytes, bytes]) -> bool:
    """Returns whether a refusal should be the login page, for a person in a browser."""
    return path == PATH and b"text/html" in headers.get(b"accept", b"")


def refusal(problem: Problem, headers: dict[bytes, bytes]) -> Response:
    """Returns the login page with the reason, and the status of the refusal."""
    # A first visit, without a cookie, has not been refused anything.
    reason = problem.detail if cookie_token(headers) else ""
    page = login_page(reason)
    page.status_code = problem.status
    page.headers.update(problem.headers)
    return page


def _origins(shim_state: Shim, headers: Any, scheme: str) -> tuple[str, str]:
    """Returns this page's origin, by the request's Host, and the origin of its sockets."""
    host = headers.get("host", "")
    public = urlsplit(shim_state.settings.public_url or "")
    if public.netloc and host == public.netloc:
        scheme = public.scheme
    elif headers.get("x-forwarded-proto") in ("http", "https"):
        scheme = headers["x-forwarded-proto"]
    secure = scheme in ("https", "wss")
    host = quote(host, safe=":[].-_")
    return f"http{'s' * secure}://{host}", f"ws{'s' * secure}://{host}"


def check_origin(shim_state: Shim, headers: Any) -> None:
    """Checks that the request comes from one of our own pages. Raises Problem 403.

    A program that sends its token itself, without a cookie or a page, needs no Origin.
    """
    origin = headers.get("origin")
    if origin is None and "authorization" in headers and "cookie" not in headers:
        return
    given = urlsplit(origin or "")
    public = urlsplit(shim_state.settings.public_url or "")
    own = {headers.get("host"), public.netloc or None}
    if given.scheme not in ("http", "https") or not given.netloc or given.netloc not in own:
        raise Problem(403, "foreign_origin", "the request comes from another site's page")


def _set_cookie(shim_state: Shim, request: Request, response: Response, token: str) -> None:
    """Sets the login cookie: for this page only, until the token expires."""
    left = int(shim_state.verifier.expiry(token) - time.time())
    origin, _ = _origins(shim_state, request.headers, request.url.scheme)
    response.set_cookie(
        COOKIE,
        token,
        max_age=max(0, left),
        path=PATH,
        secure=origin.startswith("https"),
        httponly=True,
        samesite="strict",
    )


@router.post("/login")
async def login(request: Request) -> Response:
    """Reads a token from the form and keeps it in a cookie."""
    shim_state = shim(request)
    check_origin(shim_state, request.headers)
    body = (await bodies.read_body(request)).decode("utf-8", "replace")
    try:
        given = parse_qs(body, max_num_fields=10).get("token", [""])[0]
    except ValueError:
        given = ""
    token = given.strip().removeprefix("Bearer ").strip()
    try:
        if len(token) > 4000:
            raise Problem(401, "unauthenticated", "the token is too long for a cookie")
        shim_state.verifier.caller(token)
    except Problem as problem:
        page = login_page(problem.detail)
        page.status_code = problem.status
        return page
    response = RedirectResponse(PATH, 303)
    _set_cookie(shim_state, request, response, token)
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """Deletes the cookie; open views stay until they are closed."""
    check_origin(shim(request), request.headers)
    response = RedirectResponse(PATH, 303)
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
    return response


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Serves the terminal's script, style and font."""
    if name not in _FILES:
        raise Problem(404, "not_found", "there is nothing at this path")
    package, path, kind = _FILES[name]
    found = str(files(package).joinpath(path))
    return FileResponse(found, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})


def page(request: Request, organization_id: str | None, stats: dict[str, Any]) -> Response:
    """Returns the page for a caller who may see these stats."""
    shim_state = shim(request)
    _, sockets = _origins(shim_state, request.headers, request.url.scheme)
    # The terminal's script appends its own query to the address.
    where = f"{sockets}{PATH}/ws"
    if caller(request).role == "operator" and organization_id is not None:
        where += f"/{quote(organization_id, safe='')}"
    response = view_page(where, sockets, stats, _describe_caller(caller(request)))
    token = request.scope["token"]
    if token != cookie_token(dict(request.scope["headers"])) and len(token) <= 4000:
        # Requests of the page itself have no Authorization header.
        _set_cookie(shim_state, request, response, token)
    return response


def _describe_caller(who: Caller) -> str:
    place = who.organization_id or "all organizations"
    return f"{who.user_id}, {who.role}, {'all organizations' if who.scope is None else place}"


async def socket(socket: WebSocket) -> None:
    """Serves a viewer's socket; refuses the handshake like any other request."""
    shim_state: Shim = socket.app.state.shim
    headers = dict(socket.scope["headers"])
    try:
        check_once(socket.scope["headers"])
        check_origin(shim_state, socket.headers)
        check_names(socket.scope["query_string"], SOCKET_QUERY)
        token = bearer(headers) or cookie_token(headers)
        if token is None:
            raise Problem(401, "unauthenticated", "log in, or send Authorization: Bearer <token>")
        who = shim_state.verifier.caller(token)
        given = socket.path_params.get("organization_id")
        organization_id = check_organization(given, "organizationId") if given else None
        expires = shim_state.verifier.expiry(token)
        with contextlib.suppress(RedisUnavailable):  # the TUI starts without it and waits
            await run_in_threadpool(shim_state.register)
        await shim_state.viewers.view(
            socket, who, organization_in_view(who, organization_id), expires
        )
    except Problem as problem:
        await socket.send_denial_response(problem.response())
