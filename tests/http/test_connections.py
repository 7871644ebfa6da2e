"""A caller that begins and does not end costs a connection for so long, and nobody else anything."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.conftest import MAIL, Shim, running, token
from tests.support import wait_until

HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half: "


@contextlib.contextmanager
def connections(shim: Shim, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", shim.port), 20))
            one.sendall(sent)
            made.append(one)
        yield made


def answer_of(one: socket.socket) -> tuple[int, dict[str, Any]]:
    """All that comes until the connection ends: status and document; 0 for nothing."""
    one.settimeout(30)
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := one.recv(65_536):
            found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    if not head:
        return 0, {}
    assert b"application/problem+json" in head, found
    return int(head.split(b" ")[1]), json.loads(body)


def lines(shim: Shim, event: str = "request") -> list[dict[str, Any]]:
    found = (json.loads(line) for line in shim.log.read_text().splitlines())
    return [one for one in found if one["event"] == event]


@pytest.fixture
def quick(redis_url: str, tmp_path: Path) -> Iterator[Shim]:
    times = {
        "JOBS_HTTP_HEAD_TIMEOUT": "600",
        "JOBS_HTTP_BODY_TIMEOUT": "600",
        "JOBS_HTTP_IDLE_TIMEOUT": "600",
    }
    with running(tmp_path, **times) as found:
        yield found


@pytest.mark.parametrize("processes", ["1", "2"])
def test_half_heads_shut_nobody_out(processes: str, redis_url: str, tmp_path: Path) -> None:
    with (
        running(tmp_path, "--workers", processes, JOBS_HTTP_CONNECTIONS="200") as shim,
        connections(shim, 300, HALF) as made,
    ):
        # Of this address too: what waits gives way to what comes.
        for _ in range(20):
            assert httpx.get(f"{shim.url}/healthz", timeout=20, trust_env=False).status_code == 200
        assert made


def test_whoever_does_not_take_an_answer_shuts_nobody_out(redis_url: str, tmp_path: Path) -> None:
    """A place is held by half an answer as it is by half a request, and that needs no token."""
    many = b"GET /docs/swagger-ui.js HTTP/1.1\r\nHost: x\r\n\r\n" * 20
    with (
        running(tmp_path, JOBS_HTTP_CONNECTIONS="16") as shim,
        connections(shim, 16, many) as made,
    ):

        def health() -> int:
            return httpx.get(f"{shim.url}/healthz", timeout=60, trust_env=False).status_code

        # Until the first of them does not take its answer, all are being answered: 503 says so.
        wait_until(lambda: health() == 200, 60, "an answer that is not taken")
        for _ in range(20):
            assert health() == 200
        assert made
        # Whose connection was ended is no fault of the shim.
        assert not lines(shim, "unexpected")


def test_a_head_and_a_body_have_their_time(quick: Shim) -> None:
    head = f"POST /api/jobs/email HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n"
    body = f"{head}Content-Length: 100\r\n\r\n{{".encode()
    for sent, what in ((HALF, "headers"), (body, "body")):
        with connections(quick, 1, sent) as (one,):
            status, told = answer_of(one)
            assert (status, told["code"]) == (408, "request_timeout")
            assert what in told["detail"]
    wait_until(lambda: [one["status"] for one in lines(quick)][-1:] == [408], 10, "its line")
    # Nothing came, or nothing more after an answer: there is nobody to be told.
    with connections(quick, 1, b"") as (one,):
        assert answer_of(one) == (0, {})
    with connections(quick, 1, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as (one,):
        found = b""
        while piece := one.recv(65_536):
            found += piece
        assert found.startswith(b"HTTP/1.1 200 ")
        assert found.count(b"HTTP/1.1") == 1


def test_drops_of_a_body_buy_no_time_and_a_stream_does(redis_url: str, tmp_path: Path) -> None:
    text = json.dumps({**MAIL, "text": "x" * 60_000}).encode()
    times = {"JOBS_HTTP_BODY_TIMEOUT": "400", "JOBS_HTTP_BODY_RATE": "10000"}
    with running(tmp_path, **times) as shim:

        def pieces() -> Iterator[bytes]:
            for at in range(0, len(text), 3_000):
                # Longer together than the time for a body: the rate is what is kept.
                time.sleep(0.05)
                yield text[at : at + 3_000]

        assert shim.ask("POST", "/email", content=pieces()).status_code == 202
        head = f"POST /api/jobs/email HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n"
        with connections(shim, 1, f"{head}Content-Length: 1000\r\n\r\n".encode()) as (one,):
            until = time.monotonic() + 20
            with contextlib.suppress(ConnectionError):
                while time.monotonic() < until:
                    one.sendall(b"{")
                    time.sleep(0.02)
            assert time.monotonic() < until


def test_an_answer_that_takes_long_is_not_cut(quick: Shim, redis_server: Any) -> None:
    redis_server.freeze()
    asked = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connections(quick, 1, asked) as (one,):
        one.settimeout(60)
        # Redis hangs for longer than any of the shim's times.
        assert one.recv(65_536).startswith(b"HTTP/1.1 503 ")
    redis_server.thaw()


def test_one_address_has_half_and_a_proxy_more(redis_url: str, tmp_path: Path) -> None:
    for trusted, most in (("", 20), ("127.0.0.1", 40)):
        settings = {"JOBS_HTTP_CONNECTIONS": "40", "JOBS_TRUSTED_PROXIES": trusted}
        with running(tmp_path, **settings) as shim, connections(shim, 60, HALF) as made:
            assert httpx.get(f"{shim.url}/healthz", timeout=20, trust_env=False).status_code == 200

            wait_until(functools.partial(open_are, made, most), 20, "those that went")


def open_are(made: list[socket.socket], most: int) -> bool:
    """Whether about that many are open: two or three are of who looks at the shim."""
    count = 0
    for one in made:
        one.setblocking(False)
        try:
            count += one.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            count += 1
        except ConnectionError:
            pass
    return most - 3 <= count <= most


def test_whom_the_log_names(redis_url: str, tmp_path: Path) -> None:
    def client(shim: Shim, *forwarded: str) -> str:
        sent = [("X-Forwarded-For", one) for one in forwarded]
        asked = f"r{time.monotonic_ns()}"
        shim.client.get("/healthz", headers=[*sent, ("X-Request-ID", asked)])
        wait_until(lambda: any(one["requestId"] == asked for one in lines(shim)), 10, "the line")
        found = next(one for one in lines(shim) if one["requestId"] == asked)
        return str(found["client"])

    with running(tmp_path) as shim:
        assert client(shim) == "127.0.0.1"
        # Anybody can write this.
        assert client(shim, "203.0.113.9") == "127.0.0.1"
    with running(tmp_path, JOBS_TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8") as shim:
        assert client(shim) == "127.0.0.1"
        assert client(shim, "203.0.113.9") == "203.0.113.9"
        assert client(shim, "1.1.1.1, 203.0.113.9:4711, 10.1.2.3") == "203.0.113.9"
        assert client(shim, "1.1.1.1", "[2001:db8::1]:80") == "2001:db8::1"
        assert client(shim, "1.1.1.1, rubbish, 10.9.9.9") == "10.9.9.9"
        assert client(shim, "10.2.2.2, 10.1.1.1") == "10.2.2.2"


def test_a_proxy_that_is_no_address_ends_the_start(redis_url: str) -> None:
    from tests.http.test_serve import run

    done = run("serve", JOBS_TRUSTED_PROXIES="nginx", JOBS_JWT_SECRET="x" * 32)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "JOBS_TRUSTED_PROXIES" in done.stderr
