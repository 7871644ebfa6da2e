"""One call against endpoints that behave well, and against faulty ones."""

from __future__ import annotations

import gzip
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from hsejobs.services.webhooks import deliver, transport
from hsejobs.services.webhooks.address import parse_url
from hsejobs.services.webhooks.deliver import Answer, judge, post
from hsejobs.services.webhooks.errors import (
    AddressRefused,
    HostRefused,
    WebhookDeadline,
    WebhookGone,
    WebhookRejected,
    WebhookUnreachable,
)
from hsejobs.services.webhooks.transport import Clock
from tests.support import wait_until
from tests.webhooks.endpoints import Connection, Script, hang, ok, serving


def call(
    url: str, *, seconds: float = 10, private: bool = True, secret: str | None = None
) -> Answer:
    return post(
        parse_url(url),
        {"X-Webhook-Id": "msg_1"},
        b'{"a":1}',
        deadline=time.monotonic() + seconds,
        allow_private=private,
        secret=secret,
    )


def answering(status: str, body: bytes = b"", *headers: str) -> Script:
    def script(connection: Connection) -> None:
        connection.read()
        connection.answer(status, body, *headers)

    return script


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_call(host: str) -> None:
    with serving(ok, host) as endpoint:
        answer = call(endpoint.url("/a/b?c=%20d"))
    assert (answer.status, answer.body, answer.address) == (200, "thanks", host)
    [request] = endpoint.requests
    assert request.line == "POST /a/b?c=%20d HTTP/1.1"
    assert request.body == b'{"a":1}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["x-webhook-id"] == "msg_1"
    assert request.headers["host"] in (f"127.0.0.1:{endpoint.port}", f"[::1]:{endpoint.port}")


def test_tls_with_the_name_and_the_first_address_that_answers(
    names: dict[str, list[str]], trusted: ssl.SSLContext
) -> None:
    names["localhost"] = ["127.0.0.2", "127.0.0.1"]
    with serving(ok, tls=trusted) as endpoint:
        answer = call(f"https://localhost:{endpoint.port}/")
        assert (answer.status, answer.address) == (200, "127.0.0.1")
        assert endpoint.requests[0].headers["host"] == f"localhost:{endpoint.port}"
        names["other.example"] = ["127.0.0.1"]
        with pytest.raises(WebhookUnreachable, match="certificate"):
            call(f"https://other.example:{endpoint.port}/")


def test_an_untrusted_certificate(certificate: Any) -> None:
    with (
        serving(ok, tls=certificate.context()) as endpoint,
        pytest.raises(WebhookUnreachable, match="certificate is not trusted"),
    ):
        call(endpoint.url())


def test_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ok) as endpoint, serving(ok) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        call(endpoint.url())
        assert (endpoint.connections, proxy.connections) == (1, 0)


@pytest.mark.parametrize(
    "leads_to",
    [
        ["127.0.0.1"],
        ["::1"],
        ["8.8.8.8", "127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["fe80::1%lo"],
    ],
)
def test_a_name_that_resolves_to_a_private_address(
    names: dict[str, list[str]], leads_to: list[str]
) -> None:
    with serving(ok) as endpoint:
        names["evil.example"] = leads_to
        with pytest.raises(AddressRefused, match="not public"):
            call(f"http://evil.example:{endpoint.port}/", private=False)
        assert endpoint.connections == 0


def test_a_private_address_in_the_url_is_refused_permanently() -> None:
    with serving(ok) as endpoint, pytest.raises(HostRefused):
        call(endpoint.url(), private=False)
    assert endpoint.connections == 0


def test_the_checked_address_is_the_one_called(names: dict[str, list[str]]) -> None:
    """A name is resolved once: a second answer, which could differ, is never used."""
    asked = []

    class Rebinding(list[str]):
        def __iter__(self):
            asked.append(1)
            return iter(["127.0.0.3"] if len(asked) == 1 else ["127.0.0.1"])

    names["evil.example"] = Rebinding()
    with serving(ok) as endpoint, pytest.raises(WebhookUnreachable):
        call(f"http://evil.example:{endpoint.port}/")
    assert endpoint.connections == 0
    assert asked == [1]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(status: str) -> None:
    with serving(answering(status, b"", "Location: http://169.254.169.254/latest")) as endpoint:
        answer = call(endpoint.url())
        with pytest.raises(WebhookRejected, match="not followed"):
            judge(answer)
        assert endpoint.connections == 1


def test_how_a_status_is_judged() -> None:
    for status in (200, 201, 202, 204, 299):
        assert judge(Answer(status, 5, "x", "192.0.2.1"))["status"] == status
    with pytest.raises(WebhookGone, match="410"):
        judge(Answer(410, 5, "x", None))
    for status in (304, 400, 404, 429, 500, 503):
        with pytest.raises(WebhookRejected, match=f"{status} in 5 ms.*: said"):
            judge(Answer(status, 5, "said", None))


def test_retry_after() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    for value, least, most in (
        ("120", 120, 120),
        ("0", 0, 0),
        ("999999999999", 3600, 3600),
        (soon, 97, 101),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ):
        with serving(answering("503 Away", b"", f"Retry-After: {value}")) as endpoint:
            answer = call(endpoint.url())
        assert answer.retry_after is not None
        assert least <= answer.retry_after <= most
        with pytest.raises(WebhookRejected) as caught:
            judge(answer)
        assert caught.value.retry_after == answer.retry_after
    far = "9" * 20
    for value in (
        "soon",
        "-5",
        "²",
        "1.5",
        f"Mon, 01 Jan {far} 00:00:00 GMT",
        f"Mon, 01 Jan 2024 00:00:00 +{far}",
        f"Mon, 01 Jan 2024 {far}:00:00 GMT",
    ):
        with serving(
            answering("503 Away", b"", f"Retry-After: {value}".encode().decode("latin-1"))
        ) as endpoint:
            assert call(endpoint.url()).retry_after is None


def test_a_kilobyte_is_kept_without_the_secret() -> None:
    secret = "s3cr3t-s3cr3t"
    body = b"x" * 1015 + secret.encode() + b"y" * 5_000_000
    with serving(answering("200 OK", body)) as endpoint:
        answer = call(endpoint.url(), secret=secret)
    assert len(answer.body) == 1024
    assert answer.body.startswith("x" * 1015 + "***y")
    with serving(answering("200 OK", b"caf\xe9 \xf0\x9f\x98\x80")) as endpoint:
        assert call(endpoint.url()).body == "caf\ufffd 😀"


def test_a_gzip_bomb_is_not_opened() -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    with serving(answering("200 OK", bomb, "Content-Encoding: gzip")) as endpoint:
        answer = call(endpoint.url())
    assert "gzip" in answer.body
    assert len(answer.body) < 100


def drip_head(connection: Connection) -> None:
    connection.read()
    connection.drip(b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n")


def drip_body(connection: Connection) -> None:
    connection.read()
    connection.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x")


def drip_early(connection: Connection) -> None:
    connection.read()
    connection.drip(b"HTTP/1.1 103 Early Hints\r\n\r\n")


def drip_status(connection: Connection) -> None:
    connection.read()
    connection.drip(b"H")


def never_reads(connection: Connection) -> None:
    connection.endpoint.over.wait(60)


def close_at_once(connection: Connection) -> None:
    connection.read()


def nonsense(connection: Connection) -> None:
    connection.read()
    connection.raw.sendall(b"+OK POP3 ready\r\n\r\n")


def endless_head(connection: Connection) -> None:
    connection.read()
    connection.drip(b"HTTP/1.1 200 OK\r\n", b"X-Long: " + b"x" * 10_000 + b"\r\n", every=0)


@pytest.mark.parametrize("script", [hang, drip_head, drip_early, never_reads])
def test_the_deadline_is_a_total(script: Script) -> None:
    with serving(script) as endpoint:
        begun = time.monotonic()
        with pytest.raises(WebhookDeadline):
            call(endpoint.url(), seconds=0.5)
        assert 0.4 < time.monotonic() - begun < 3


def test_an_endpoint_that_does_not_read() -> None:
    body = b"[" + b"1," * 8_000_000 + b"1]"
    with serving(never_reads) as endpoint, pytest.raises(WebhookDeadline):
        post(
            parse_url(endpoint.url()), {}, body, deadline=time.monotonic() + 0.5, allow_private=True
        )


def test_a_lookup_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    over = threading.Event()
    monkeypatch.setattr(transport, "resolve", lambda host, port: over.wait(60) and [])
    with pytest.raises(WebhookDeadline):
        call("http://slow.example/", seconds=0.3)
    over.set()


def test_abandoned_lookups_are_bounded_per_organization(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import threading

    over = threading.Event()
    begun: list[str] = []

    def never(host: str, port: int) -> list[str]:
        begun.append(host)
        over.wait(60)
        return []

    monkeypatch.setattr(transport, "resolve", never)
    for number in range(12):
        with pytest.raises(OSError, match=r"not resolved in time|too many lookups"):
            transport.look_up(f"h{number}.example", 80, Clock(time.monotonic() + 0.4), "org-1")
    assert len(begun) == transport.LOOK_UPS_OF_ONE
    # Another organization's names are still looked up, until there are too many for the process.
    with pytest.raises(TimeoutError):
        transport.look_up("other.example", 80, Clock(time.monotonic() + 0.4), "org-2")
    assert begun[-1] == "other.example"
    over.set()
    wait_until(lambda: not transport._looking, timeout=20, what="the look-ups to end")


def test_a_lookup_whose_time_is_over_says_so() -> None:
    with pytest.raises(TimeoutError, match="its name was not resolved in time"):
        transport.look_up("localhost", 80, Clock(time.monotonic() - 1), "org-1")


def test_the_status_is_the_answer_when_its_text_drips() -> None:
    with serving(drip_body) as endpoint:
        answer = call(endpoint.url(), seconds=0.5)
    assert answer.status == 200
    assert answer.body.startswith("x")


def test_an_answer_that_drips_does_not_take_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "BODY_SECONDS", 0.3)
    with serving(drip_body) as endpoint:
        answer = call(endpoint.url(), seconds=60)
    # To read all that is kept would take until the deadline.
    assert answer.status == 200
    assert 0 < len(answer.body) < deliver.KEPT // 4


@pytest.mark.parametrize("script", [close_at_once, nonsense, endless_head])
def test_no_http(script: Script) -> None:
    with serving(script) as endpoint, pytest.raises(WebhookUnreachable):
        call(endpoint.url())


def test_no_endpoint(names: dict[str, list[str]]) -> None:
    with serving(ok) as endpoint:
        url = endpoint.url()
    with pytest.raises(WebhookUnreachable, match="refused"):
        call(url)
    with pytest.raises(WebhookUnreachable, match="resolved"):
        call("http://nowhere.example/")
