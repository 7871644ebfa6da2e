"""Jobs of the webhooks queue through a real consumer, against endpoints of every kind."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import redis

from hsejobs.engine import JobFailed
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidPayload
from hsejobs.services.breaker import FAILURES, Breaker
from hsejobs.store.circuits import Circuits
from tasks import queue_webhook
from tests.support import wait_until
from tests.support.server import Server
from tests.webhooks.conftest import Consumer
from tests.webhooks.endpoints import Connection, Script, hang, ok, serving
from tests.webhooks.node import Node
from tests.webhooks.test_post import (
    answering,
    close_at_once,
    drip_head,
    drip_status,
)
from tests.webhooks.test_signing import asked
from tests.webhooks.test_signing import node as node  # the fixture itself

Start = Callable[..., Consumer]
#: Short times, and a circuit that these tests never open.
QUICK = {"TRIAL_BREAKER": json.dumps({"FAILURES": 1000})}


def call(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "payload": {"event": "a.b", "data": {}}, "eventType": "a.b", **more}


def failure(job: Any) -> tuple[str, str]:
    with pytest.raises(JobFailed) as caught:
        job.wait(30)
    return caught.value.failure_code, str(caught.value)


def test_the_call_of_the_document(consumer: Start, node: Node) -> None:
    consumer(**QUICK)
    data = {"10": 1, "9": 1.0, "big": 1e21, "text": "é\u2028\ud800", "n": [1e16, -0.0, None]}
    with serving(ok) as endpoint:
        payload = {
            "url": endpoint.url(),
            "payload": {"event": "incident.created", "data": data},
            "secret": "webhook-secret",
            "eventType": "incident.created",
            "organizationId": "org-123",
        }
        job = queue_webhook(payload)
        result = job.wait(30)
    assert result["status"] == 200
    assert result["body"] == "thanks"
    assert result["address"] == "127.0.0.1"
    assert 0 <= result["durationMs"] < 30_000
    [request] = endpoint.requests
    assert request.headers["x-webhook-event"] == "incident.created"
    assert job.refresh().organization_id == "org-123"
    assert asked(node, request.headers, request.body, "webhook-secret") == [True, True]
    lines, _ = runtime().reader.logs("webhooks", job.id)
    assert "answered 200" in lines[0]


def test_the_url_is_never_logged(consumer: Start) -> None:
    worker = consumer(**QUICK)
    with serving(ok) as endpoint:
        job = queue_webhook(call(endpoint.url() + "?key=in-the-address"))
        assert job.wait(30)["status"] == 200
    wait_until(lambda: '"completed"' in worker.log.read_text(), 10, "the line of the job")
    assert "in-the-address" not in worker.log.read_text()


def test_every_attempt_has_the_same_id_and_its_own_time(consumer: Start) -> None:
    consumer(**QUICK)

    def script(connection: Connection) -> None:
        connection.read()
        first = len(connection.endpoint.requests) == 1
        connection.answer("500 No" if first else "204 Fine", b"s3cr3t-s3cr3t is wrong" * first)

    with serving(script) as endpoint:
        job = queue_webhook(call(endpoint.url(), secret="s3cr3t-s3cr3t"), backoff=1.1)
        assert job.wait(30)["status"] == 204
    one, two = (request.headers for request in endpoint.requests)
    assert one["x-webhook-id"] == one["webhook-id"] == two["x-webhook-id"] == two["webhook-id"]
    assert job.id not in one["x-webhook-id"]
    assert int(two["x-webhook-timestamp"]) > int(one["x-webhook-timestamp"])
    record = job.refresh()
    assert record.attempts_made == 2
    assert record.errors[0]["code"] == "webhook_rejected"
    assert "answered 500" in record.errors[0]["error"]
    assert "*** is wrong" in record.errors[0]["error"]
    assert "s3cr3t" not in str(record.errors) + str(runtime().reader.logs("webhooks", job.id))


def test_a_worker_that_dies_before_it_records_the_call_makes_it_again(consumer: Start) -> None:
    running = [consumer("-w", "1", **QUICK)]

    def script(connection: Connection) -> None:
        connection.read()
        if len(connection.endpoint.requests) == 1:
            running[0].kill_all()
        connection.answer("200 OK")

    with serving(script) as endpoint:
        job = queue_webhook(call(endpoint.url()))
        wait_until(lambda: endpoint.requests, 30, "the first call")
        consumer("-w", "1", **QUICK)
        assert job.wait(30)["status"] == 200
    one, two = (request.headers for request in endpoint.requests)
    assert one["x-webhook-id"] == two["x-webhook-id"]


def test_retry_after_delays_the_next_attempt(consumer: Start) -> None:
    consumer(**QUICK)
    with serving(answering("503 Away", b"", "Retry-After: 1")) as endpoint:
        job = queue_webhook(call(endpoint.url()), attempts=2, backoff=0.05)
        assert failure(job)[0] == "webhook_rejected"
    first, second = job.refresh().errors
    assert second["startedAt"] - first["failedAt"] >= 990


@pytest.mark.parametrize(
    ("script", "attempts", "code"),
    [
        (answering("410 Gone"), 1, "webhook_gone"),
        (answering("400 Bad"), 2, "webhook_rejected"),
        (answering("302 Found", b"", "Location: http://169.254.169.254/"), 2, "webhook_rejected"),
        (close_at_once, 2, "webhook_unreachable"),
        (hang, 2, "timeout"),
        (drip_head, 2, "timeout"),
        (drip_status, 2, "timeout"),
    ],
)
def test_endings_and_the_worker_continues(
    consumer: Start, script: Script, attempts: int, code: str
) -> None:
    consumer("-w", "1", **QUICK)
    with serving(script) as endpoint, serving(ok) as other:
        job = queue_webhook(call(endpoint.url()), attempts=2, backoff=0.05, timeout=1)
        found, _ = failure(job)
        assert found == code
        assert job.refresh().attempts_made == attempts == endpoint.connections
        assert queue_webhook(call(other.url())).wait(30)["status"] == 200


def test_only_public_addresses(consumer: Start) -> None:
    names = {
        "four.example": ["127.0.0.1"],
        "six.example": ["::1"],
        "both.example": ["127.0.0.1", "::1"],
    }
    env = {**QUICK, "WEBHOOK_ALLOW_PRIVATE": "0", "TRIAL_NAMES": json.dumps(names)}
    consumer("-w", "1", **env)
    with serving(ok) as four, serving(ok, "::1") as six:
        for name, port in (("four", four.port), ("six", six.port), ("both", four.port)):
            job = queue_webhook(call(f"http://{name}.example:{port}/"), attempts=2, backoff=0.05)
            code, text = failure(job)
            assert code == "address_refused"
            assert "127.0.0.1" not in text
            assert job.refresh().attempts_made == 2
        literal = queue_webhook(call(six.url()), attempts=2)
        assert failure(literal)[0] == "address_refused"
        assert literal.refresh().attempts_made == 1
        assert four.connections == six.connections == 0


def test_a_certificate_is_checked(consumer: Start, trusted: ssl.SSLContext) -> None:
    consumer(
        **QUICK, TRIAL_NAMES=json.dumps({"localhost": ["127.0.0.1"], "b.example": ["127.0.0.1"]})
    )
    with serving(ok, tls=trusted) as endpoint:
        good = queue_webhook(call(f"https://localhost:{endpoint.port}/"))
        assert good.wait(30)["status"] == 200
        bad = queue_webhook(call(f"https://b.example:{endpoint.port}/"), attempts=1)
        assert failure(bad)[0] == "webhook_unreachable"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"payload": {"data": {"id": 2**53 + 1}}}, "payload.data.id"),
        ({"payload": {"data": [float("nan")]}}, "payload.data.0"),
        ({"payload": []}, "payload"),
        ({"url": "http://u:p@a.example/"}, "url"),
        ({"url": "gopher://a.example/"}, "url"),
        ({"url": "http://2130706433/"}, "url"),
        ({"eventType": "a\r\nX-Evil: 1"}, "eventType"),
        ({"secret": ""}, "secret"),
    ],
)
def test_refused_when_added(fresh: None, change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        queue_webhook(call("https://a.example/") | change)
    assert caught.value.field == field
    assert "u:p" not in str(caught.value)


# -- the circuit breaker, with times that a test can wait for

FAST = {"OPEN_MS": 600, "LONGEST_MS": 2000, "TRIAL_SECONDS": 0.1, "HELD_SECONDS": 0.2}


class Switch:
    """An endpoint that fails until it is repaired."""

    def __init__(self, how: Script) -> None:
        self.how = how
        self.repaired = False

    def __call__(self, connection: Connection) -> None:
        (ok if self.repaired else self.how)(connection)


@pytest.mark.parametrize("how", [answering("500 No"), answering("429 Slow"), close_at_once])
def test_several_workers_share_a_circuit(consumer: Start, circuits: Circuits, how: Script) -> None:
    env = {"TRIAL_BREAKER": json.dumps(FAST)}
    consumer("-w", "3", **env)
    consumer("-w", "3", **env)
    switch = Switch(how)
    with serving(switch) as endpoint, serving(ok) as other:
        # More attempts than the circuit lets through.
        jobs = [
            queue_webhook(call(endpoint.url(), organizationId="org-1"), attempts=50, backoff=0.01)
            for _ in range(12)
        ]
        name = f"webhook:org-1:127.0.0.1:{endpoint.port}"
        wait_until(lambda: name in [one.name for one in circuits.all()], what="a failure")
        wait_until(lambda: circuits.get(name).state == "open", what="the opening")
        # Another organization's calls to the same host, and this one's to another, go on.
        assert queue_webhook(call(other.url(), organizationId="org-1")).wait(30)
        again = endpoint.connections
        theirs = queue_webhook(call(endpoint.url(), organizationId="org-2"), attempts=1)
        failure(theirs)
        assert endpoint.connections > again

        wait_until(lambda: circuits.get(name).failures >= 7, 30, "failed trials")
        made = sum(job.refresh().attempts_made for job in jobs)
        # Six workers, five failures: the calls that had begun when it opened, and then one at a time.
        assert made <= 5 + 6 + (circuits.get(name).failures - 5)
        switch.repaired = True
        for job in jobs:
            assert job.wait(30)["status"] == 200
        assert circuits.get(name).state == "closed"


def test_without_redis_the_call_is_made(
    redis_server: Server, circuits: Circuits, caplog: pytest.LogCaptureFixture
) -> None:
    patient = Circuits(circuits.redis, runtime().prefix, patience=0.0)
    redis_server.stop()
    made = []
    try:
        with Breaker(patient, "smtp:h:1", token="t", seconds=1) as breaker:
            made.append(1)
            breaker.succeeded()
    finally:
        redis_server.start()
    assert made == [1]
    assert "could not be asked" in caplog.text
    assert "could not be reported" in caplog.text


def test_a_secret_is_sealed_until_it_signs(
    consumer: Start, node: Node, monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    monkeypatch.setenv("JOBS_SECRET_KEY", base64.b64encode(bytes(range(32))).decode())
    with serving(ok) as endpoint:
        job = queue_webhook(call(endpoint.url(), secret="s3cr3t-s3cr3t"))
        stored = redis_client.get(f"hsejobs:{{webhooks}}:p:{job.id}")
        assert isinstance(stored, bytes)
        assert b"s3cr3t" not in stored
        consumer(**QUICK)
        job.wait(30)
    [request] = endpoint.requests
    assert asked(node, request.headers, request.body, "s3cr3t-s3cr3t") == [True, True]


def test_a_storm_of_4xx_opens_the_circuit(consumer: Start, circuits: Circuits) -> None:
    """One job with many attempts and no backoff, which an operator may set, ends after five calls."""
    consumer("-w", "1")
    with serving(answering("404 Not here")) as endpoint:
        name = f"webhook:-:127.0.0.1:{endpoint.port}"
        job = queue_webhook(call(endpoint.url()), attempts=1000, backoff=0)
        wait_until(lambda: [one.state for one in circuits.all()] == ["open"], 30, "the circuit")
        wait_until(lambda: job.refresh().status == "delayed", 30, "the postponed job")
        assert len(endpoint.requests) == FAILURES
        assert circuits.get(name).last_error == "the endpoint answered 404"


def test_410_opens_nothing(consumer: Start, circuits: Circuits) -> None:
    consumer("-w", "1")
    with serving(answering("410 Gone")) as endpoint:
        jobs = [queue_webhook(call(endpoint.url())) for _ in range(FAILURES + 2)]
        for job in jobs:
            assert failure(job)[0] == "webhook_gone"
        assert len(endpoint.requests) == FAILURES + 2
    assert circuits.all() == []


def test_postponed_for_too_long_is_failed(consumer: Start, circuits: Circuits) -> None:
    consumer("-w", "1", TRIAL_BREAKER=json.dumps({**FAST, "GIVE_UP": 0.5}))
    with serving(ok) as endpoint:
        name = f"webhook:-:127.0.0.1:{endpoint.port}"
        circuits.open(name)
        job = queue_webhook(call(endpoint.url()))
        code, text = failure(job)
        assert code == "circuit_open"
        assert name in text
        assert "held open" in text
        assert job.refresh().attempts_made == 1
        assert endpoint.connections == 0
        circuits.close(name)
        assert queue_webhook(call(endpoint.url())).wait(30)["status"] == 200


def test_a_killed_workers_trial_blocks_no_job(consumer: Start, circuits: Circuits) -> None:
    env = {"TRIAL_BREAKER": json.dumps({**FAST, "FAILURES": 1})}
    one = consumer("-w", "1", **env)
    switch = Switch(answering("500 No"))
    with serving(switch) as endpoint:
        name = f"webhook:-:127.0.0.1:{endpoint.port}"
        failure(queue_webhook(call(endpoint.url()), attempts=1))
        switch.how = hang
        before = endpoint.connections
        # Its trial may take 3 s (and 5 s are added), and nothing will report it.
        job = queue_webhook(call(endpoint.url()), timeout=4)
        wait_until(lambda: endpoint.connections > before, 20, "the trial")
        one.kill_all()
        switch.repaired = True
        assert circuits.get(name).state == "half-open"
        consumer("-w", "1", **env)
        assert job.wait(30)["status"] == 200
        assert circuits.get(name).state == "closed"
