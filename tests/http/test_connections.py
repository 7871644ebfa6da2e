"""An unfinished request costs one connection for a limited time, and other clients nothing."""

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
    """Reads until the connection closes; returns status and document, or 0 if nothing came."""
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
def test_incomplete_heads_do_not_block_others(
    processes: str, redis_url: str, tmp_path: Path
) -> None:
    with (
        running(tmp_path, "--workers", processes, JOBS_HTTP_CONNECTIONS="200") as shim,
        connections(shim, 300, HALF) as made,
    ):
        # From the same address too: a waiting connection gives way to a new one.
        for _ in range(20):
            assert httpx.get(f"{shim.url}/healthz", timeout=20, trust_env=False).status_code == 200
        assert made


def test_unread_answers_do_not_block_others(redis_url: str, tmp_path: Path) -> None:
    """An unread answer occupies a place like an incomplete request, and needs no token."""
    many = b"GET /docs/swagger-ui.js HTTP/1.1\r\nHost: x\r\n\r\n" * 20
    with (
        running(tmp_path, JOBS_HTTP_CONNECTIONS="16") as shim,
        connections(shim, 16, many) as made,
    ):

        def health() -> int:
            return httpx.get(f"{shim.url}/healthz", timeout=60, trust_env=False).status_code

        # Until the first of them stops reading, all are being answered, so the result is 503.
        wait_until(lambda: health() == 200, 60, "an answer that is not taken")
        for _ in range(20):
            assert health() == 200
        assert made
        # A closed connection is not an error of the shim.
        assert not lines(shim, "unexpected")


def test_heads_and_bodies_have_a_time_limit(quick: Shim) -> None:
    head = f"POST /api/jobs/email HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n"
    body = f"{head}Content-Length: 100\r\n\r\n{{".encode()
    for sent, what in ((HALF, "headers"), (body, "body")):
        with connections(quick, 1, sent) as (one,):
            status, problem = answer_of(one)
            assert (status, problem["code"]) == (408, "request_timeout")
            assert what in problem["detail"]
    wait_until(lambda: [one["status"] for one in lines(quick)][-1:] == [408], 10, "its line")
    # Without a request, or after an answer, there is no client to send an answer to.
    with connections(quick, 1, b"") as (one,):
        assert answer_of(one) == (0, {})
    with connections(quick, 1, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as (one,):
        found = b""
        while piece := one.recv(65_536):
            found += piece
        assert found.startswith(b"HTTP/1.1 200 ")
        assert found.count(b"HTTP/1.1") == 1


def test_only_a_steady_body_extends_its_time_limit(redis_url: str, tmp_path: Path) -> None:
    text = json.dumps({**MAIL, "text": "x" * 60_000}).encode()
    times = {"JOBS_HTTP_BODY_TIMEOUT": "400", "JOBS_HTTP_BODY_RATE": "10000"}
    with running(tmp_path, **times) as shim:

        def pieces() -> Iterator[bytes]:
            for at in range(0, len(text), 3_000):
                # Longer in total than the time for a body: only the rate counts.
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


def test_a_slow_answer_is_not_cut(quick: Shim, redis_server: Any) -> None:
    redis_server.freeze()
    asked = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connections(quick, 1, asked) as (one,):
        one.settimeout(60)
        # Redis hangs for longer than any of the shim's time limits.
        assert one.recv(65_536).startswith(b"HTTP/1.1 503 ")
    redis_server.thaw()


def test_one_address_gets_half_and_a_trusted_proxy_more(redis_url: str, tmp_path: Path) -> None:
    for trusted, most in (("", 20), ("127.0.0.1", 40)):
        settings = {"JOBS_HTTP_CONNECTIONS": "40", "JOBS_TRUSTED_PROXIES": trusted}
        with running(tmp_path, **settings) as shim, connections(shim, 60, HALF) as made:
            assert httpx.get(f"{shim.url}/healthz", timeout=20, trust_env=False).status_code == 200

            wait_until(functools.partial(open_are, made, most), 20, "those that went")


def open_are(made: list[socket.socket], most: int) -> bool:
    """Returns whether about this many are open: two or three belong to the test's own client."""
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


def test_the_log_names_the_caller_behind_trusted_proxies(redis_url: str, tmp_path: Path) -> None:
    def client(shim: Shim, *forwarded: str) -> str:
        sent = [("X-Forwarded-For", one) for one in forwarded]
        asked = f"r{time.monotonic_ns()}"
        shim.client.get("/healthz", headers=[*sent, ("X-Request-ID", asked)])
        wait_until(lambda: any(one["requestId"] == asked for one in lines(shim)), 10, "the line")
        found = next(one for one in lines(shim) if one["requestId"] == asked)
        return str(found["client"])

    with running(tmp_path) as shim:
        assert client(shim) == "127.0.0.1"
        # Any client can send this header.
        assert client(shim, "203.0.113.9") == "127.0.0.1"
    with running(tmp_path, JOBS_TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8") as shim:
        assert client(shim) == "127.0.0.1"
        assert client(shim, "203.0.113.9") == "203.0.113.9"
        assert client(shim, "1.1.1.1, 203.0.113.9:4711, 10.1.2.3") == "203.0.113.9"
        assert client(shim, "1.1.1.1", "[2001:db8::1]:80") == "2001:db8::1"
        assert client(shim, "1.1.1.1, rubbish, 10.9.9.9") == "10.9.9.9"
        assert client(shim, "10.2.2.2, 10.1.1.1") == "10.2.2.2"


def test_an_invalid_proxy_address_refuses_to_start(redis_url: str) -> None:
    from tests.http.test_serve import run

    done = run("serve", JOBS_TRUSTED_PROXIES="nginx", JOBS_JWT_SECRET="x" * 32)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "JOBS_TRUSTED_PROXIES" in done.stderr
