"""GET /api/jobs/dashboard and the addresses below it: the TUI in a browser, and its login."""

from __future__ import annotations

import contextlib
import re
import time
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.websockets import WebSocket

from hsejobs.errors import InvalidOption, RedisUnavailable
from hsejobs.model import check_organization
from hsejobs_http import bodies
from hsejobs_http.answers import answer
from hsejobs_http.pages import PLAIN, login_page, view_page
from hsejobs_http.problems import Problem
from hsejobs_http.queries import check_names
from hsejobs_http.state import Shim, caller, organization_in_view, scope, shim
from hsejobs_http.tokens import Caller, bearer, check_once
from hsejobs_http.viewing import Look
from hsejobs_tui.session.addresses import (
    LONGEST,
    ROOT,
    UnknownAddress,
    address_of,
    read_address,
)
from hsejobs_tui.session.places import JobPlace, Place, QueuePlace

PATH = ROOT
LOGIN = f"{PATH}/login"
_PLAIN = re.compile(rf"{PLAIN}(/[a-z][a-z0-9-]{{0,39}}(/jobs/[A-Za-z0-9._:@+=%-]{{1,600}})?)?")
COOKIE = "hsejobs_session"
#: What the terminal's script and ours send in the address of its socket.
SOCKET_QUERY = ("width", "height", "place", "theme")
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
    ours = f"{path}/".startswith(f"{PATH}/") and not path.startswith(f"{PATH}/static/")
    return ours and b"text/html" in headers.get(b"accept", b"")


def refusal(problem: Problem, scope: Any, headers: dict[bytes, bytes]) -> Response:
    """Returns the login page with the reason, and the status of the refusal."""
    # A first visit, without a cookie, has not been refused anything.
    reason = problem.detail if cookie_token(headers) else ""
    page = login_page(reason, after_login(address_in(scope)))
    page.status_code = problem.status
    page.headers.update(problem.headers)
    return page


def address_in(scope: Any) -> str:
    """Returns the path and query of a request, as they were sent."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (path + b"?" * bool(query) + query).decode("latin-1")


def after_login(address: str) -> str:
    """Returns an address to go to after the login: this one, if it is a page of the dashboard.

    It is written again from what was read, so that nothing else in it can lead elsewhere.
    """
    path, _, query = address.partition("?")
    given = parse_qs(query, max_num_fields=20) if len(query) <= LONGEST else {}
    chosen = [("organizationId", one) for one in given.get("organizationId", [])[:1]]
    if _PLAIN.fullmatch(path):
        return f"{path}{'?' * bool(chosen)}{urlencode(chosen)}"
    try:
        found = address_of(*read_address(address, int(time.time() * 1000)))
    except (InvalidOption, ValueError):
        return PATH
    return found + ("&" if "?" in found else "?") * bool(chosen) + urlencode(chosen)


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
        form = parse_qs(body, max_num_fields=10)
    except ValueError:
        form = {}
    token = form.get("token", [""])[0].strip().removeprefix("Bearer ").strip()
    wanted = after_login(form.get("next", [PATH])[0])
    try:
        if len(token) > 4000:
            raise Problem(401, "unauthenticated", "the token is too long for a cookie")
        shim_state.verifier.caller(token)
    except Problem as problem:
        page = login_page(problem.detail, wanted)
        page.status_code = problem.status
        return page
    response = RedirectResponse(wanted, 303)
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


@router.get("/view")
def check_view(request: Request) -> Response:
    """Answers whether the caller would get a view now, for the page whose socket was refused."""
    shim(request).viewers.seats.check(caller(request))
    return answer({"status": "ok"})


@router.get("/{path:path}")
def show_place(request: Request, path: str) -> Response:
    """Shows the TUI with a queue, a job or another screen."""
    return page(request, scope(request), {})


def page(request: Request, organization_id: str | None, stats: dict[str, Any]) -> Response:
    """Returns the page at the request's address, for a caller who may see these stats.

    Raises Problem 404, InvalidOption.
    """
    shim_state = shim(request)
    try:
        place, _ = read_address(address_in(request.scope), int(time.time() * 1000))
    except UnknownAddress:
        raise Problem(404, "not_found", "there is nothing at this path") from None
    _, sockets = _origins(shim_state, request.headers, request.url.scheme)
    # The terminal's script appends its own query to the address.
    where = f"{sockets}{PATH}/ws"
    chosen = organization_id if caller(request).role == "operator" else None
    if chosen is not None:
        where += f"/{quote(chosen, safe='')}"
    plain = plain_address(place, chosen)
    response = view_page(where, sockets, plain, stats, describe_caller(caller(request)))
    keep_token(request, response)
    return response


def keep_token(request: Request, response: Response) -> None:
    """Sets the login cookie if the request brought its token in another way."""
    token = request.scope["token"]
    if token != cookie_token(dict(request.scope["headers"])) and len(token) <= 4000:
        # Requests of the page itself have no Authorization header.
        _set_cookie(shim(request), request, response, token)


def plain_address(place: Place, organization_id: str | None) -> str:
    """Returns the address of the page without a terminal that is nearest to a place."""
    path = PLAIN
    if isinstance(place, QueuePlace | JobPlace):
        path += f"/{place.queue}"
    if isinstance(place, JobPlace):
        path += f"/jobs/{quote(place.job_id, safe=':@+=')}"
    return (
        path
        if organization_id is None
        else f"{path}?{urlencode({'organizationId': organization_id})}"
    )


def describe_caller(who: Caller) -> str:
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
        look = Look(
            organization_in_view(who, organization_id),
            socket.query_params.get("place", "")[: LONGEST + 1],
            socket.query_params.get("theme", "dark"),
        )
        await shim_state.viewers.view(socket, who, look, expires)
    except Problem as problem:
        await socket.send_denial_response(problem.response())
