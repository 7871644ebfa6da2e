"""Adds that are answered without a task are answered as if they had one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import time
from typing import Any

import pytest
import redis
from uvicorn import Config
from uvicorn.server import ServerState

from hsejobs_http.wire import _BODY as BODY
from hsejobs_http.wire import Wire
from tests.http.conftest import MAIL, Shim, token
from tests.support import wait_until

Answer = tuple[str, list[str], bytes]


@pytest.fixture
def shim(shim: Shim) -> Shim:
    """One that knows the queue: the first add asks Redis for it, in a thread."""
    assert shim.ask("POST", "/email", json={**MAIL, "jobId": "first"}).status_code == 202
    os.truncate(shim.log, 0)
    return shim


def request(body: bytes, *more: str, path: str = "/api/jobs/email", auth: str = "") -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: t",
        f"Authorization: Bearer {auth or token()}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read(stream: Any) -> Answer:
    """The next answer: its status line, headers and body."""
    status = stream.readline().decode().strip()
    if " 100 " in status:
        assert stream.readline() == b"\r\n"
        return read(stream)
    headers = [line.decode().strip() for line in iter(stream.readline, b"\r\n")]
    found = {one.partition(":")[0].lower(): one.partition(": ")[2] for one in headers}
    return status, headers, stream.read(int(found["content-length"]))


def ask(shim: Shim, *pieces: bytes, answers: int = 1) -> list[Answer]:
    with socket.create_connection(("127.0.0.1", shim.port), 20) as sent:
        sent.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sent.sendall(piece)
        with sent.makefile("rb") as stream:
            return [read(stream) for _ in range(answers)]


def told(answer: Answer) -> tuple[str, list[str], str]:
    """What does not differ between two answers to the same request."""
    status, headers, body = answer
    changes = ("date", "x-request-id", "location")
    shown = [one for one in headers if one.partition(":")[0].lower() not in changes]
    return status, shown, re.sub(r'"jobId":"[^"]+"', "", body.decode())


@pytest.mark.parametrize(
    ("status", "body", "more"),
    [
        (202, MAIL, ()),
        (202, {**MAIL, "delay": 60_000}, ()),
        (202, {"payload": MAIL, "options": {"priority": 1}}, ()),
        (202, MAIL, ("Connection: close",)),
        (202, MAIL, ("X-Request-ID: abc",)),
        (422, {**MAIL, "to": "nobody"}, ()),
        (422, {**MAIL, "subject": "x" * 2000}, ()),
        (422, {**MAIL, "jobId": "not one"}, ()),
        (422, [MAIL], ()),
        (400, None, ()),
        (403, {"payload": MAIL, "options": {"organizationId": "org-2"}}, ()),
        (400, MAIL, ("Host: other",)),
    ],
)
def test_with_and_without_a_task(shim: Shim, status: int, body: Any, more: tuple[str, ...]) -> None:
    sent = b"{" if body is None else json.dumps(body).encode()
    (direct,) = ask(shim, request(sent, *more))
    # `Expect` makes an add an ordinary request.
    (ordinary,) = ask(shim, request(sent, *more, "Expect: 100-continue"))
    assert told(direct) == told(ordinary)
    assert int(direct[0].split()[1]) == status


def test_the_log_has_the_same(shim: Shim) -> None:
    names = ("direct", "ordinary")
    ask(shim, request(json.dumps(MAIL).encode(), "X-Request-ID: direct"))
    ask(shim, request(json.dumps(MAIL).encode(), "X-Request-ID: ordinary", "Expect: 100-continue"))

    def lines() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in shim.log.read_text().splitlines()]
        return [one for one in found if one.get("requestId") in names and one["event"] == "request"]

    wait_until(lambda: len(lines()) == 2, 10, "the lines of two requests")
    first, second = lines()
    assert (first.pop("requestId"), second.pop("requestId")) == names
    for one in (first, second):
        assert one.pop("duration") > 0
        del one["time"]
    assert first == second
    assert first["organizationId"] == "org-1"


@pytest.mark.parametrize(
    ("direct", "headers", "body"),
    [
        (True, [], MAIL),
        (True, [(b"idempotency-key", b"k-1")], MAIL),
        (False, [], {**MAIL, "to": "nobody"}),
        (False, [(b"host", b"other")], MAIL),
        (False, [], {**MAIL, "attachments": [{"artifactId": "a-1"}]}),
    ],
)
def test_what_needs_no_task(
    gate: Any, direct: bool, headers: list[tuple[bytes, bytes]], body: dict[str, Any]
) -> None:
    sent = json.dumps(body).encode()
    own = [(b"host", b"t"), (b"authorization", f"Bearer {token()}".encode())]
    scope = {
        "method": "POST",
        "path": "/api/jobs/email",
        "headers": [*own, (b"content-length", b"%d" % len(sent)), *headers],
        "client": ("127.0.0.1", 1),
    }
    answers: list[int] = []

    async def take() -> bool:
        await gate.app.state.shim.info_soon("email")
        loop = asyncio.get_running_loop()
        answered = asyncio.Event()

        def write(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
            answers.append(status)
            answered.set()

        taken: bool = gate.direct.take(scope, "email", sent, write, loop)
        if taken:
            await asyncio.wait_for(answered.wait(), 20)
        return taken

    assert asyncio.run(take()) is direct
    assert answers == ([202] if direct else [])


def test_adds_that_come_together_are_answered_in_order(shim: Shim) -> None:
    add = request(json.dumps({**MAIL, "delay": 60_000}).encode())
    bad = request(b"{}")
    answers = ask(shim, add + bad + add + add, answers=4)
    assert [int(status.split()[1]) for status, _, _ in answers] == [202, 422, 202, 202]
    ids = [json.loads(body)["jobId"] for status, _, body in answers if " 202 " in status]
    assert len(set(ids)) == 3


def test_a_body_in_many_pieces(shim: Shim) -> None:
    sent = request(json.dumps(MAIL).encode())
    pieces = [sent[at : at + 40] for at in range(0, len(sent), 40)]
    ((status, _, _),) = ask(shim, *pieces)
    assert " 202 " in status


def test_a_body_above_what_is_direct(shim: Shim) -> None:
    ((status, _, _),) = ask(shim, request(json.dumps({**MAIL, "text": "x" * 90_000}).encode()))
    assert " 202 " in status


def test_a_wrong_token_is_refused_before_the_body(shim: Shim) -> None:
    head = request(b"{}" + b" " * 1000, auth="wrong").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    ((status, _, body),) = ask(shim, head)
    assert " 401 " in status, body


def test_the_same_key_again(shim: Shim) -> None:
    first = request(json.dumps(MAIL).encode(), "Idempotency-Key: k-1")
    other = request(json.dumps({**MAIL, "subject": "Other"}).encode(), "Idempotency-Key: k-1")
    answers = [ask(shim, sent)[0] for sent in (first, first, other)]
    assert [int(status.split()[1]) for status, _, _ in answers] == [202, 202, 409]
    made = [json.loads(body) for _, _, body in answers[:2]]
    assert [one["created"] for one in made] == [True, False]
    assert made[0]["jobId"] == made[1]["jobId"]


def test_a_caller_that_leaves_changes_nothing(shim: Shim, redis_client: redis.Redis) -> None:
    redis_client.client_pause(1000, all=False)
    with socket.create_connection(("127.0.0.1", shim.port), 20) as gone:
        gone.sendall(request(json.dumps(MAIL).encode()))
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    redis_client.client_unpause()
    ((status, _, _),) = ask(shim, request(json.dumps(MAIL).encode()))
    assert " 202 " in status
    wait_until(
        lambda: redis_client.zcard("hsejobs:{email}:waiting") == 3, 10, "the job of the other one"
    )


def test_what_is_open_when_the_shim_stops_is_answered(
    own_shim: Shim, redis_client: redis.Redis
) -> None:
    """While Redis is frozen: it is answered in the end, and never with success."""
    sent = request(json.dumps(MAIL).encode())
    assert " 202 " in ask(own_shim, sent)[0][0]
    redis_client.client_pause(60_000, all=False)
    try:
        with socket.create_connection(("127.0.0.1", own_shim.port), 60) as connection:
            connection.sendall(sent)
            own_shim.process.send_signal(signal.SIGTERM)
            with connection.makefile("rb") as stream:
                status, _, body = read(stream)
        assert " 503 " in status, body
    finally:
        redis_client.client_unpause()


def test_a_peer_that_does_not_read_gets_a_task(gate: Any) -> None:
    """Which waits until the peer reads: answers written without one would pile up."""

    async def run() -> list[str | None]:
        state = ServerState()
        config = Config(gate, http=Wire, log_config=None, proxy_headers=False)
        config.load()
        server = await asyncio.get_running_loop().create_server(
            lambda: Wire(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = request(b"{}").partition(b"{}")[0]
        found: list[str | None] = []
        for paused in (False, True):
            while not state.connections:
                await asyncio.sleep(0.001)
            wire: Any = next(iter(state.connections))
            wire.flow.write_paused = paused
            writer.write(head)
            while wire._state != BODY:
                await asyncio.sleep(0.001)
            found.append(wire._direct)
            writer.close()
            while state.connections:
                await asyncio.sleep(0.001)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        server.close()
        return found

    assert asyncio.run(run()) == ["email", None]


def test_a_body_of_tiny_chunks_blocks_no_one(shim: Shim) -> None:
    """Each piece costs the same, however many there were before; also without a token."""
    for auth in ("", "wrong"):
        head = request(b"", "Transfer-Encoding: chunked", auth=auth).partition(b"\r\n\r\n")[0]
        head = head.replace(b"Content-Length: 0\r\n", b"")
        began = time.monotonic()
        ask(shim, head + b"\r\n\r\n" + b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n")
        # Quadratic, it took 6 s on a machine on which this takes 0.05 s.
        assert time.monotonic() - began < 3


def test_a_caller_that_leaves_in_a_body_is_logged(shim: Shim) -> None:
    sent = request(json.dumps(MAIL).encode(), "X-Request-ID: gone")
    with socket.create_connection(("127.0.0.1", shim.port), 20) as gone:
        gone.sendall(sent[:-5])
        wait_until(lambda: shim.client.get("/healthz").status_code == 200, 10, "the shim")
    wait_until(lambda: '"gone"' in shim.log.read_text(), 10, "the line of the request")
