"""Responses with heads that HTTP does not allow: the status still counts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hsejobs.services.webhooks.address import parse_url
from hsejobs.services.webhooks.deliver import post
from hsejobs.services.webhooks.errors import WebhookUnreachable
from hsejobs.services.webhooks.head import MAX_HEAD, HeadFilter

Answering = Callable[[bytes], str]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """The URL of an endpoint that sends one response unchanged."""
    threads: list[threading.Thread] = []

    def start(reply: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with listener:
                peer, _ = listener.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(reply)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize(
    "field",
    [
        "Server: Größe",
        "X-Größe: a",
        "X-Größe: a\r\n  b",
        "My Header: x",
        "A: b\0c",
        "no colon",
        ": x",
    ],
)
def test_an_invalid_header_field_is_ignored(answering: Answering, field: str) -> None:
    reply = f"HTTP/1.1 200 Übernommen\r\n{field}\r\nContent-Length: 2\r\n\r\nok".encode("latin-1")
    until = time.monotonic() + 10
    answer = post(parse_url(answering(reply)), {}, b"{}", deadline=until, allow_private=True)
    assert (answer.status, answer.body) == (200, "ok")


def test_an_invalid_response_fails(answering: Answering) -> None:
    url = parse_url(answering(b"SSH-2.0-OpenSSH\r\nX: y\r\n\r\n"))
    with pytest.raises(WebhookUnreachable):
        post(url, {}, b"{}", deadline=time.monotonic() + 10, allow_private=True)


SENT = (
    b"HTTP/1.1 100 Continue\r\nX\xff: 1\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nX-\xf6: a\r\n b\r\nServer: x\r\n  y\r\nA\0: b\r\nContent-Length: 2\r\n\r\n"
    b"ok\r\n\r\nX\xff: 1"
)
KEPT = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nServer: x\r\n  y\r\nContent-Length: 2\r\n\r\n"
    b"ok\r\n\r\nX\xff: 1"
)


@pytest.mark.parametrize("size", range(1, len(SENT) + 1))
def test_the_head_alone_is_read_however_it_comes(size: int) -> None:
    head = HeadFilter()
    pieces = [head.feed(SENT[at : at + size]) for at in range(0, len(SENT), size)]
    assert b"".join([*pieces, head.feed(b"")]) == KEPT


def test_a_head_without_an_end_is_passed_on_unchanged() -> None:
    head = HeadFilter()
    assert head.feed(b"HTTP/1.1 2") == b""
    assert head.feed(b"") == b"HTTP/1.1 2"
    head = HeadFilter()
    endless = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (MAX_HEAD // 6)
    assert head.feed(endless) == endless
    assert head.feed(b"X\xff: 1\r\n\r\n") == b"X\xff: 1\r\n\r\n"
