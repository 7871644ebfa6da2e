"""Malicious paths, bodies and heads: clean refusals, constant memory."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.conftest import MAIL, Shim, token

QUIET = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Wire:
    """A connection that can send any bytes."""

    def __init__(self, shim: Shim, patience: float = 20) -> None:
        self.raw = socket.create_connection(("127.0.0.1", shim.port), timeout=patience)

    def ask(self, data: bytes) -> tuple[int, bytes, bytes]:
        """Reads status, head and body of one answer; status 0 if the connection closed without one."""
        got = b""
        # The request may be refused before all of it was read; the answer may still have arrived.
        with contextlib.suppress(OSError):
            self.raw.sendall(data)
        try:
            while b"\r\n\r\n" not in got:
                more = self.raw.recv(65536)
                if not more:
                    return 0, got, b""
                got += more
            head, _, body = got.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            while len(body) < length:
                body += self.raw.recv(65536)
        except ConnectionError:
            return 0, got, b""
        except TimeoutError:
            if self.raw.gettimeout() == 20:
                raise
            return 0, got, b""  # it waits for the rest of the request
        return int(head[9:12]), head, body

    def close(self) -> None:
        self.raw.close()


def raw(shim: Shim, data: bytes, patience: float = 20) -> tuple[int, bytes, bytes]:
    wire = Wire(shim, patience)
    try:
        return wire.ask(data)
    finally:
        wire.close()


def head(method: str, path: bytes, *more: bytes) -> bytes:
    auth = f"Authorization: Bearer {token('operator')}".encode()
    lines = [method.encode() + b" " + path + b" HTTP/1.1", b"Host: x", auth, *more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def clean(answer: tuple[int, bytes, bytes], *also: int) -> None:
    """Checks that the answer is a 4xx problem, or has one of the given statuses."""
    status, lines, body = answer
    assert status in also or 400 <= status < 500, (status, lines[:200], body[:300])
    if status >= 400:
        assert b"application/problem+json" in lines
        found = json.loads(body)
        assert found["status"] == status
        assert found["code"]


PATHS = [
    b"/api/jobs/../../etc/passwd",
    b"/api/jobs/email/jobs/..%2f..%2fetc",
    b"/api/jobs/%00/jobs",
    b"/api/jobs/email/jobs/%00",
    b"/api/jobs/email/jobs/a%2Fb",
    b"/api/jobs/email%2Fjobs%2Fa%2Fb",
    b"/api/jobs/email/jobs/%F0%9F%92%A3",
    b"/api/jobs/\xf0\x9f\x92\xa3",
    b"/api/jobs/email/jobs/%ff%fe",
    b"/api/jobs/email/jobs/" + b"x" * 10_240,
    b"/api/jobs/" + b"q" * 10_240 + b"/jobs",
    b"/api/jobs/email/jobs/a?" + b"b=c&" * 5000,
    b"/api/jobs//jobs",
    b"/api/jobs/",
    b"/api/jobs",
    b"//api/jobs/stats",
    b"/API/JOBS/stats",
    b"/api/jobs/stats/",
    b"/api/jobs/email/jobs/a/b/c",
    b"/artifacts/..%2f..%2fx",
    b"/artifacts/%00.%00",
    b"/artifacts/" + b"a." * 5000,
    b"/api/jobs/email/jobs?limit=1e3",
    b"/api/jobs/email/jobs?limit=-1",
    b"/api/jobs/email/jobs?limit=%F0%9F%92%A3",
    b"/api/jobs/email/jobs?limit=" + b"9" * 5000,
    b"/api/jobs/email/jobs?status=%00",
    b"/api/jobs/email/jobs?cursor=" + b"A" * 9000,
    b"/api/jobs/email/jobs?cursor=%ff",
    b"/api/jobs/stats?organizationId=%00",
    b"/api/jobs/stats?organizationId=" + b"x" * 9000,
    b"http://elsewhere/api/jobs/nope/jobs",
    b"*",
    b"nonsense",
    b"/api/jobs/email/jobs/a\tb",
    b"/api/jobs/email/jobs/\x01",
]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_paths(shim: Shim, method: str) -> None:
    for path in PATHS:
        answer = raw(shim, head(method, path, b"Content-Length: 0"))
        assert answer[0] != 200, path[:80]
        clean(answer)


def deep(opening: str, closing: str, n: int) -> bytes:
    return (opening * n + closing * n).encode()


BODIES: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"{",
    b"\xff\xfe",
    b'{"to":"\xff"}',
    b"\xef\xbb\xbf{}",
    b'{"to":"a@example.com","to":"b@example.com","subject":"x","text":"y"}',
    b'{"to":"\\ud800@example.com","subject":"x","text":"y"}',
    b'{"subject":"\\u0000"}',
    b'{"priority":1e400}',
    b'{"priority":NaN}',
    b'{"delay":' + b"9" * 400 + b"}",
    b'{"delay":' + b"9" * 5000 + b"}",
    b'{"attempts":-0}',
    b'{"timeout":0.5}',
    b'{"priority":true}',
    b'{"__proto__":{"a":1}}',
    b'{"payload":null}',
    b'{"payload":{},"options":[]}',
    b'{"payload":{},"options":{"x":1}}',
    b'{"payload":{"to":"a@b.c"},"options":{"jobId":{}}}',
    deep("[", "]", 100_000),
    deep('{"a":', "}", 40_000),
    b'{"to":' + deep("[", "]", 50_000) + b"}",
    b'{"context":' + deep('{"a":', "}", 1000).replace(b'"a":}', b'"a":1}') + b"}",
    b" " * 300_000,
    b"x" * 409_601,
    json.dumps({"to": ["a@example.com"] * 20_000}).encode(),
]


@pytest.mark.parametrize("path", ["/api/jobs/email", "/api/jobs/webhooks", "/api/jobs/email/clean"])
def test_bodies(shim: Shim, path: str) -> None:
    for body in BODIES:
        length = f"Content-Length: {len(body)}".encode()
        clean(raw(shim, head("POST", path.encode(), length) + body))
    stats = shim.ask("GET", "/stats", "operator").json()
    assert {name: one["total"] for name, one in stats.items()} == dict.fromkeys(stats, 0)


HEADS = [
    b"Content-Length: -1",
    b"Content-Length: 1e3",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    b"Transfer-Encoding: gzip",
    b"Content-Length: 409601",
    b"X: " + b"y" * 200_000,
    b"\r\n".join(b"X-%d: y" % n for n in range(20_000)),
    b"bad header",
    b": x",
    b"X : y",
    b"Idempotency-Key: ../x",
    b"Idempotency-Key: " + b"k" * 9000,
    b"Idempotency-Key: \xff\xfe",
    b"X-Request-ID: " + b"r" * 9000,
    b"X-Request-ID: a\xffb",
    b"traceparent: " + b"0" * 9000,
    b"Expect: 200-ok",
    b"Upgrade: websocket\r\nConnection: upgrade",
]


def test_heads(shim: Shim) -> None:
    for one in HEADS:
        answer = raw(shim, head("POST", b"/api/jobs/email", one))
        clean(answer)
    for auth in (
        b"",
        b"Bearer",
        b"Bearer " + b"a" * 9000,
        b"Bearer \xff",
        b"bearer a.b.c",
        b"Basic Og==",
        b"Bearer a.b.c, Bearer d.e.f",
    ):
        answer = raw(
            shim, b"GET /api/jobs/stats HTTP/1.1\r\nHost: x\r\nAuthorization: " + auth + b"\r\n\r\n"
        )
        assert answer[0] == 401
        clean(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "to",
        "subject",
        "text",
        "html",
        "from",
        "cc",
        "template",
        "context",
        "attachments",
        "payload",
        "options",
        "priority",
        "delay",
        "attempts",
        "timeout",
        "backoff",
        "jobId",
        "task",
        "organizationId",
        "url",
        "secret",
        "eventType",
        "type",
        "filters",
        "format",
        "entities",
    ]
)


@given(body=st.dictionaries(NAMES | st.text(max_size=8), JSON, max_size=8) | JSON)
@QUIET
def test_any_json(shim: Shim, body: Any) -> None:
    for queue in ("email", "webhooks", "reports"):
        text = json.dumps(body).encode()
        done = shim.ask("POST", f"/{queue}", "operator", content=text)
        assert done.status_code in (202, 400, 403, 409, 413, 422), done.text
        if done.status_code != 202:
            assert done.headers["content-type"] == "application/problem+json"


@given(data=st.binary(max_size=300))
@QUIET
def test_any_bytes(shim: Shim, data: bytes) -> None:
    status, lines, body = raw(shim, data + b"\r\n\r\n", 0.1)
    if status:
        clean((status, lines, body), 200)


def resident(shim: Shim) -> int:
    text = Path(f"/proc/{shim.process.pid}/statm").read_text()
    return int(text.split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_stays_flat(shim: Shim) -> None:
    def bad() -> Iterator[bytes]:
        length = b"Content-Length: %d"
        for body in BODIES:
            yield head("POST", b"/api/jobs/email", length % len(body)) + body
        yield from (head("GET", path) for path in PATHS)
        yield from (head("POST", b"/api/jobs/email", one) for one in HEADS)

    for _ in range(3):
        for data in bad():
            raw(shim, data)
    before = resident(shim)
    for _ in range(10):
        for data in bad():
            raw(shim, data)
    assert resident(shim) - before < 20_000_000
    # An endless head is refused long before it could fill the memory.
    wire = Wire(shim)
    endless = b"GET / HTTP/1.1\r\nX: " + b"x" * 50_000_000
    status, _, _ = wire.ask(endless)
    wire.close()
    assert status in (0, 431)
    assert resident(shim) - before < 20_000_000
    assert shim.ask("POST", "/email", json=MAIL).status_code == 202
