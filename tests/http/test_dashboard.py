"""The dashboard: login, cookie, origin, and the TUI behind its socket."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.websockets import WebSocket
from websockets import Origin
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from hsejobs.settings import load_settings
from hsejobs_http.tokens import Caller
from hsejobs_http.viewing import Look, Viewers
from tests.http.conftest import FAR, MAIL, Shim, running, signed, token
from tests.http.test_serve import command
from tests.support import wait_until

PATH = "/api/jobs/dashboard"
PAGE = {"Accept": "text/html,application/xhtml+xml"}


def cookie(text: str) -> dict[str, str]:
    return {"Cookie": f"hsejobs_session={text}"}


def login(shim: Shim, text: str, origin: str | None = None) -> Any:
    return shim.client.post(
        f"{PATH}/login", data={"token": text}, headers={"Origin": origin or shim.url}
    )


def view(
    shim: Shim, text: str, origin: str | None = None, path: str = "", place: str = ""
) -> ClientConnection:
    address = shim.url.replace("http", "ws") + f"{PATH}/ws{path}?width=120&height=30"
    address += f"&place={quote(place, safe='')}" if place else ""
    return connect(
        address,
        origin=Origin(origin or shim.url),
        additional_headers=cookie(text),
        proxy=None,
        # What a test does not read must not keep pings from being answered.
        max_queue=None,
    )


def shows(socket: ClientConnection, *words: str) -> str:
    """Reads until all the words have been drawn, or told to the page around the terminal."""
    seen, end = "", time.monotonic() + 30
    while not all(word in seen for word in words):
        assert time.monotonic() < end, f"not drawn: {words}; but {seen[-4_000:]}"
        piece = socket.recv(timeout=30)
        seen += piece if isinstance(piece, str) else piece.decode("utf-8", "replace")
    return seen


def ended(socket: ClientConnection) -> bool:
    """Reads until the connection closes."""
    try:
        while True:
            socket.recv(timeout=30)
    except ConnectionClosed:
        return True


def press(socket: ClientConnection, keys: str) -> None:
    socket.send(json.dumps(["stdin", keys]))


def viewers(shim: Shim) -> list[int]:
    """Returns the TUI processes that this shim started."""
    pid = shim.process.pid
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(one) for one in " ".join(texts).split() if b"hsejobs_tui.web" in command(int(one))]


@pytest.fixture
def shim(own_shim: Shim) -> Shim:
    """One of its own: a view that has not ended yet would be seen by the next test."""
    return own_shim


def test_a_browser_gets_the_login_a_program_a_401(shim: Shim) -> None:
    done = shim.client.get(PATH, headers=PAGE)
    assert done.status_code == 401
    assert "<textarea" in done.text
    done = shim.client.get(PATH)
    assert (done.status_code, done.json()["code"]) == (401, "unauthenticated")
    for name in ("textual.js", "xterm.css", "mono.ttf", "dashboard.js"):
        assert shim.client.get(f"{PATH}/static/{name}").status_code == 401


def test_login_keeps_the_token_in_a_cookie_for_this_page_only(shim: Shim) -> None:
    done = login(shim, token())
    assert (done.status_code, done.headers["location"]) == (303, PATH)
    kept = done.headers["set-cookie"].lower()
    assert all(word in kept for word in ("httponly", "samesite=strict", f"path={PATH}", "max-age="))
    assert "secure" not in kept
    shim.client.cookies.clear()
    done = shim.client.get(PATH, headers={**PAGE, **cookie(token())})
    assert done.status_code == 200
    assert "textual-terminal" in done.text
    policy = done.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    # On other paths the cookie is not accepted: only requests of the page itself cannot be forged.
    assert shim.client.get("/api/jobs/stats", headers=cookie(token())).status_code == 401
    done = shim.client.post("/api/jobs/email", json=MAIL, headers=cookie(token()))
    assert done.status_code == 401
    for name, kind in (("textual.js", "javascript"), ("mono.ttf", "font"), ("xterm.css", "css")):
        done = shim.client.get(f"{PATH}/static/{name}", headers=cookie(token()))
        assert done.status_code == 200
        assert kind in done.headers["content-type"]
    for name in ("app.py", "..%2fdashboard.py", "nothing"):
        done = shim.client.get(f"{PATH}/static/{name}", headers=cookie(token()))
        assert done.status_code == 404


def test_behind_https_the_cookie_is_secure(shim: Shim) -> None:
    headers = {**PAGE, "Authorization": f"Bearer {token()}", "X-Forwarded-Proto": "https"}
    done = shim.client.get(PATH, headers=headers)
    assert "; secure" in done.headers["set-cookie"].lower()
    assert "data-session-websocket-url='wss://" in done.text


def test_login_explains_an_invalid_token(shim: Shim) -> None:
    for text, expected in (
        ("rubbish", "not valid"),
        ("", "not valid"),
        (signed(exp=1), "expired"),
        (signed("another-secret-of-thirty-two-bytes!"), "not valid"),
        ("x" * 5000, "too long"),
    ):
        done = login(shim, text)
        assert done.status_code == 401, text
        assert expected in done.text
        assert "set-cookie" not in done.headers
        assert text == "" or text not in done.text
    done = shim.client.get(PATH, headers={**PAGE, **cookie(signed(exp=1))})
    assert done.status_code == 401
    assert "expired" in done.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_another_site_can_neither_log_in_nor_open_a_view(shim: Shim, origin: str) -> None:
    done = login(shim, token(), origin)
    assert (done.status_code, done.json()["code"]) == (403, "foreign_origin")
    with pytest.raises(InvalidStatus) as refused:
        view(shim, token(), origin)
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["code"] == "foreign_origin"
    done = shim.client.post(f"{PATH}/logout", headers={"Origin": origin, **cookie(token())})
    assert done.status_code == 403


def test_the_socket_refuses_like_any_request(shim: Shim) -> None:
    for text, status in (
        ("rubbish", 401),
        (signed(exp=1), 401),
        (signed(role="king"), 403),
        (signed(), 403),
    ):
        with pytest.raises(InvalidStatus) as refused:
            view(shim, text)
        assert refused.value.response.status_code == status
    with pytest.raises(InvalidStatus) as refused:
        view(shim, token(), path="/org-2")
    assert refused.value.response.status_code == 403
    wait_until(lambda: not viewers(shim), 20, "the end of earlier viewers")


def test_keys_and_screens_pass_through_the_socket(shim: Shim) -> None:
    assert shim.ask("POST", "/email", json={**MAIL, "jobId": "mine"}).status_code == 202
    other = shim.ask("POST", "/email", "member", "org-2", json={**MAIL, "jobId": "theirs"})
    assert other.status_code == 202
    with view(shim, token("admin")) as socket:
        assert "ORG org-1" in shows(socket, "email", "1 waiting", "ORG org-1")
        socket.send(json.dumps(["resize", {"width": 100, "height": 40}]))
        socket.send(json.dumps(["ping", "7"]))
        press(socket, ":")
        shows(socket, "Go to job")
        press(socket, "org-2:theirs\r")
        shows(socket, "no queue has a job with this id")
        # The line stays, to be corrected: Ctrl+U empties it.
        press(socket, "\x15org-1:mine\r")
        shows(socket, "user@exam")
        press(socket, "q")
        assert ended(socket)
    wait_until(lambda: not viewers(shim), 20, "the end of the viewer")


def test_a_member_reads_and_an_operator_sees_all_or_one(shim: Shim) -> None:
    assert shim.ask("POST", "/email", "member", "org-2", json=MAIL).status_code == 202
    with view(shim, token()) as socket:
        shows(socket, "0 waiting", "READ-ONLY EXCEPT K")
    operator = token("operator", None)
    with view(shim, operator) as socket:
        shows(socket, "1 waiting", "Workers")
    with view(shim, operator, path="/org-2") as socket:
        shows(socket, "1 waiting", "ORG org-2")


@pytest.mark.parametrize(
    ("user", "expected"), [("ann", "cancelled job"), ("bob", "added by another user")]
)
def test_a_member_cancels_its_own_job(shim: Shim, user: str, expected: str) -> None:
    body = {**MAIL, "jobId": "one", "userId": user, "organizationId": "org-1"}
    assert shim.ask("POST", "/email", "operator", json=body).status_code == 202
    with view(shim, token()) as socket:
        shows(socket, "READ-ONLY EXCEPT K", "email")
        press(socket, ":")
        shows(socket, "Go to job")
        press(socket, "org-1:one\r")
        shows(socket, "Timeline")
        press(socket, "K")
        shows(socket, "Reason, kept with the job")
        press(socket, "enough\r")
        shows(socket, expected)


def test_files_in_the_working_folder_do_not_break_a_view(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with running(tmp_path) as shim:
        (tmp_path / "textual.py").write_text("raise RuntimeError\n")
        with view(shim, token("operator", None)) as socket:
            shows(socket, "Workers")


def test_a_view_ends_with_the_token(shim: Shim) -> None:
    with view(shim, signed(organizationId="org-1", exp=int(time.time()) + 5)) as socket:
        shows(socket, "email")
        assert ended(socket)
    wait_until(lambda: not viewers(shim), 20, "the end of the viewer")


def test_the_number_of_views_is_limited(few: Shim) -> None:
    with view(few, token()) as first, view(few, token(user="bob")):
        shows(first, "email")
        with pytest.raises(InvalidStatus) as refused:
            view(few, token(user="eve"))
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"]
    wait_until(lambda: not viewers(few), 20, "the end of both")

    def opened() -> ClientConnection | None:
        try:
            return view(few, token(user="eve"))
        except InvalidStatus:
            return None

    # The shim counts a viewer until it has seen the end of its process.
    socket = wait_until(opened, 20, "a free view")
    assert socket is not None
    with socket:
        shows(socket, "email")


def test_forty_viewers_of_an_organization_keep_no_one_out(redis_url: str, tmp_path: Path) -> None:
    """With four places, an organization's share is one, and two are for operators."""
    refused: list[int] = []

    def opened(text: str) -> ClientConnection | None:
        try:
            return stack.enter_context(view(found, text))
        except InvalidStatus as error:
            refused.append(error.response.status_code)
            return None

    with running(tmp_path, JOBS_HTTP_VIEWERS="4") as found, ExitStack() as stack:
        every = [opened(token("member", "org-1", f"user{n}")) for n in range(40)]
        [first] = [one for one in every if one is not None]
        assert refused == [503] * 39
        shows(first, "email")
        other = opened(token("member", "org-2", "eve"))
        assert other is not None
        shows(other, "email")
        # The two that are reserved, then that of the member who has done nothing for the longest time.
        for n in range(3):
            operator = opened(token("operator", None, f"op{n}"))
            assert operator is not None
            shows(operator, "Workers")
        shows(first, "an operator needed the place")
        assert ended(first)
        press(other, "7")
        shows(other, "Events")


class Browser:
    """The far end of a websocket: takes ``most`` messages, then none until it goes."""

    def __init__(self, most: float) -> None:
        self.taken: list[Any] = []
        self._most, self._gone = most, asyncio.Event()
        scope = {"type": "websocket", "query_string": b"width=80&height=24", "headers": []}
        self.socket = WebSocket(scope, self._receive, self._send)

    def go(self) -> None:
        """It closes the connection."""
        self._gone.set()

    async def _receive(self) -> Any:
        if not self.taken:
            return {"type": "websocket.connect"}
        await self._gone.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def _send(self, message: Any) -> None:
        if len(self.taken) >= self._most:
            await self._gone.wait()
        self.taken.append(message)


@pytest.mark.anyio
async def test_a_browser_that_takes_nothing_any_more_does_not_keep_its_place(
    redis_url: str, tmp_path: Path
) -> None:
    env = {"JOBS_HOME": str(tmp_path), "QUEUE_REDIS_URL": redis_url, "JOBS_HTTP_VIEWERS": "1"}
    viewers, look = Viewers(load_settings(env)), Look(None, "", "dark")
    asleep, operator = Browser(2), Browser(math.inf)

    async def seen(browser: Browser, messages: int) -> None:
        async with asyncio.timeout(30):
            while len(browser.taken) < messages:
                await asyncio.sleep(0.01)

    tasks = [
        asyncio.create_task(viewers.view(asleep.socket, Caller("a", None, "member"), look, FAR))
    ]
    try:
        await seen(asleep, 2)
        caller = Caller("o", None, "operator")
        tasks.append(asyncio.create_task(viewers.view(operator.socket, caller, look, FAR)))
        await seen(operator, 2)
        assert operator.taken[1]["type"] == "websocket.send"
    finally:
        for browser in (asleep, operator):
            browser.go()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_invalid_messages_from_a_browser_do_no_harm(shim: Shim) -> None:
    for text in ("{", "[]", '["resize", {"width": "a", "height": null}]', '["stdin", 7]', "7"):
        with view(shim, token()) as socket:
            socket.send(text)
            press(socket, "7")
            try:
                shows(socket, "Events")
            except ConnectionClosed:
                assert text in ("{", "[]", "7")
    assert shim.client.get("/healthz").status_code == 200


def test_a_shim_that_stops_leaves_no_viewer(redis_url: str, tmp_path: Path) -> None:
    for how in ("terminate", "kill"):
        with running(tmp_path) as shim, view(shim, token()) as socket:
            shows(socket, "email")
            [left] = viewers(shim)
            getattr(shim.process, how)()
            shim.process.wait(20)
            wait_until(functools.partial(_ended, left), 20, f"the viewer's end after {how}")
            assert "Traceback" not in shim.log.read_text()


def _ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    # Without an init process, nothing reaps the orphan of a killed shim.
    return state == "Z"
