"""A server that drops, hangs, dribbles or talks nonsense, at every stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from hsejobs.errors import Unrecoverable
from hsejobs.services.mail import (
    MailDeadline,
    MailRefusedForNow,
    MailServerUnavailable,
    Receipt,
    deliver,
)
from hsejobs.services.mail.channel import connect

if TYPE_CHECKING:
    from tests.services.conftest import BadServer, Build, Clock, Ledger

    Bad = Callable[[str, str | bytes], BadServer]

STAGES = ["banner", "EHLO", "MAIL", "RCPT", "DATA", "dot"]
BOUND = 5.0
"""Seconds that half a second's deadline may take on a busy machine."""


@pytest.fixture
def send(build: Build, ledger: Ledger) -> Callable[[str, float], Receipt]:
    def run(url: str, deadline: float) -> Receipt:
        return deliver(
            *build(),
            smtp_url=url,
            deadline=deadline,
            already=ledger.already,
            accepted=ledger.accepted,
        )

    return run


Send = Callable[[str, float], Receipt]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", ["hang", "dribble"])
def test_a_slow_server_cannot_outlast_the_deadline(
    bad_server: Bad, send: Send, soon: Clock, ledger: Ledger, stage: str, how: str
) -> None:
    server = bad_server(stage, how)
    begun = time.monotonic()
    with pytest.raises(MailDeadline) as caught:
        send(server.url, soon())
    assert time.monotonic() - begun < BOUND
    assert caught.value.code == "timeout"
    assert caught.value.ambiguous is (stage == "dot")
    assert ("may have accepted it" in str(caught.value)) is (stage == "dot")
    assert not ledger.keys


@pytest.mark.parametrize("how", ["hang", "dribble"])
def test_a_tls_handshake_keeps_the_deadline(
    bad_server: Bad, send: Send, soon: Clock, how: str
) -> None:
    server = bad_server("banner", how)
    begun = time.monotonic()
    # Bytes that are no TLS end the handshake before its deadline does.
    with pytest.raises(MailDeadline if how == "hang" else MailServerUnavailable):
        send(server.url.replace("smtp", "smtps"), soon())
    assert time.monotonic() - begun < BOUND


@pytest.mark.parametrize("stage", STAGES)
def test_a_broken_connection_is_temporary(
    bad_server: Bad, send: Send, later: Clock, ledger: Ledger, stage: str
) -> None:
    server = bad_server(stage, "drop")
    with pytest.raises(MailServerUnavailable) as caught:
        send(server.url, later())
    assert caught.value.code == "smtp_unavailable"
    assert caught.value.ambiguous is (stage == "dot")
    assert ("may have accepted it" in str(caught.value)) is (stage == "dot")
    assert not ledger.keys


@pytest.mark.parametrize("how", ["drop", "hang", "dribble", b"500 no\r\n", b"nonsense\r\n"])
def test_a_bad_goodbye_changes_nothing(
    bad_server: Bad, send: Send, later: Clock, ledger: Ledger, how: str | bytes
) -> None:
    server = bad_server("QUIT", how)
    begun = time.monotonic()
    assert send(server.url, later()) == Receipt(1)
    assert time.monotonic() - begun < BOUND
    assert len(server.mails) == len(ledger.keys) == 1


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"554 no\r\n", Unrecoverable),
        (b"421 closing\r\n", MailRefusedForNow),
        (b"nonsense\r\n", MailServerUnavailable),
        (b"\xff\xfe\0\r\n", MailServerUnavailable),
        (b"2" * 20000 + b"\r\n", MailServerUnavailable),
        (b"199 what\r\n", MailServerUnavailable),
    ],
)
def test_any_reply_at_any_stage(
    bad_server: Bad, send: Send, later: Clock, ledger: Ledger, stage: str, reply: bytes, error: type
) -> None:
    server = bad_server(stage, reply)
    if stage == "EHLO" and reply.startswith(b"554"):
        # An old server: greeted with HELO instead.
        assert send(server.url, later()) == Receipt(1)
        return
    with pytest.raises(error):
        send(server.url, later())
    assert not ledger.keys


def test_an_endless_reply_ends(bad_server: Bad, send: Send, later: Clock) -> None:
    server = bad_server("EHLO", b"250-more\r\n" * 200_000)
    with pytest.raises(MailServerUnavailable):
        send(server.url, later())


def test_a_reply_is_shown_without_secrets(bad_server: Bad, send: Send, later: Clock) -> None:
    server = bad_server("MAIL", b"550 pw-1 \x1b[31m ann.smith@example.com " + b"x" * 500 + b"\r\n")
    server.advertise = b"250-hi\r\n250 AUTH PLAIN\r\n"
    with pytest.raises(Unrecoverable) as caught:
        send(server.url.replace("://", "://u:pw-1@"), later())
    text = str(caught.value)
    assert "550 *** [31m a***@example.com x" in " ".join(text.split())
    assert len(text) < 260


def test_a_port_without_a_server(bad_server: Bad, send: Send, later: Clock) -> None:
    server = bad_server("none", b"")
    server.close()
    with pytest.raises(MailServerUnavailable, match="connecting"):
        send(server.url, later())


def test_a_name_that_is_none(send: Send, later: Clock) -> None:
    with pytest.raises(MailServerUnavailable, match="name cannot be resolved"):
        send(f"smtp://{'a' * 64}.invalid", later())


def test_a_deadline_that_has_passed(bad_server: Bad, send: Send) -> None:
    server = bad_server("none", b"")
    with pytest.raises(MailDeadline):
        send(server.url, time.monotonic())
    with pytest.raises(TimeoutError):
        connect("127.0.0.1", int(server.url.rpartition(":")[2]), time.monotonic())


def test_a_resolver_that_hangs(send: Send, soon: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import threading

    ended = threading.Event()
    numeric = socket.getaddrinfo

    def stuck(host: str, port: int, **options: int) -> object:
        if options.get("flags"):
            return numeric(host, port, **options)
        ended.wait(20)
        raise socket.gaierror(-3, "no")

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    begun = time.monotonic()
    with pytest.raises(MailDeadline):
        send("smtp://mail.invalid", soon())
    assert time.monotonic() - begun < BOUND
    ended.set()
