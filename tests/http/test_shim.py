"""The answers of the shim: the requests of the document, separation of tenants, errors."""

from __future__ import annotations

import contextlib
import json
import select
import socket
from typing import Any

import httpx
from redis import Redis

from hsejobs.engine.runtime import runtime
from hsejobs.store import scripts
from hsejobs.store.write import NewJob
from tests.http.conftest import MAIL, SECRET, Shim, signed
from tests.support import wait_until
from tests.support.server import Server
from tests.support.waiting import tick

BODIES: dict[str, dict[str, Any]] = {
    "email": {**MAIL, "html": "<p>Hello!</p>", "from": "noreply@hse.digital", "priority": 2},
    "reports": {
        "type": "audits",
        "filters": {"status": "Completed"},
        "format": "json",
        "notifyEmail": "user@example.com",
    },
    "data-exports": {
        "entities": ["stations", "audits", "incidents"],
        "format": "json",
        "notifyEmail": "user@example.com",
    },
    "webhooks": {
        "url": "https://api.example.com/webhook",
        "payload": {"event": "test"},
        "secret": "webhook-secret",
        "eventType": "test.event",
    },
    "tenant-onboarding": {
        "organizationName": "Acme Corp",
        "adminEmail": "admin@acme.com",
        "adminName": "John Doe",
        "tier": "professional",
    },
}


def test_every_creating_request_of_the_document(shim: Shim) -> None:
    for queue, body in BODIES.items():
        done = shim.ask("POST", f"/{queue}", "operator", json=body)
        assert done.status_code == 202, done.text
        made = done.json()
        assert made.keys() == {"jobId", "queue", "status", "created"}
        assert (made["queue"], made["status"], made["created"]) == (queue, "waiting", True)
        where = done.headers["Location"]
        assert where == f"/api/jobs/{queue}/jobs/{made['jobId']}"
        job = shim.ask("GET", where.removeprefix("/api/jobs"), "operator").json()
        payload = {name: value for name, value in body.items() if name != "priority"}
        if queue == "webhooks":
            payload["secret"] = "***"
        if queue == "email":
            payload["to"] = ["user@example.com"]
        assert job["data"] == payload
        assert (job["organizationId"], job["userId"]) == ("org-1", "ann")
    stats = shim.ask("GET", "/stats").json()
    assert {name: one["waiting"] for name, one in stats.items()} == {
        **dict.fromkeys(BODIES, 1),
        "cleanup": 0,
    }


def test_options_both_ways_and_refusals(shim: Shim) -> None:
    options = {"priority": 1, "delay": 60_001, "attempts": 7, "timeout": 1234, "jobId": "a"}
    assert shim.ask("POST", "/email", json={**MAIL, **options}).json()["jobId"] == "org-1:a"
    options["jobId"] = "b"
    wrapped = {"payload": MAIL, "options": options}
    assert shim.ask("POST", "/email", json=wrapped).status_code == 202
    for name in "ab":
        job = shim.ask("GET", f"/email/jobs/org-1:{name}").json()
        assert (job["priority"], job["attempts"], job["timeout"]) == (1, 7, 1234)
        assert job["status"] == "delayed"
    for wrong in ({"priority": 9}, {"delay": -1}, {"attempts": 0}, {"jobId": "../x"}, {"to": 1}):
        done = shim.ask("POST", "/email", json={**MAIL, **wrong})
        assert (done.status_code, done.json()["errors"][0]["field"]) in (
            (422, next(iter(wrong))),
            (422, "to"),
        )
    assert shim.ask("POST", "/email", json={**MAIL, "text": "x" * 100_000}).status_code == 202
    assert shim.ask("POST", "/email", content=b"{").status_code == 400
    assert shim.ask("POST", "/email", content=b'{"to":"\xff"}').status_code == 400
    assert shim.ask("POST", "/email", content=b"[" * 100_000).status_code == 400
    assert shim.ask("POST", "/email", json={**MAIL, "text": "x" * 103_000}).status_code == 413
    # The size is checked before anything that takes longer.
    deep = "[" * 90 + ",".join(["{}"] * 100_000) + "]" * 90
    call = f'{{"url": "not one", "payload": {{"a": {deep}}}, "eventType": "a"}}'
    assert shim.ask("POST", "/webhooks", content=call.encode()).status_code == 413
    assert shim.ask("POST", "/email", content=b"x" * 500_000).status_code == 413
    pieces = (b"x" * 10_000 for _ in range(50))
    assert shim.ask("POST", "/email", content=pieces).status_code == 413


def test_a_cancel_and_its_body(shim: Shim) -> None:
    for name in ("a", "b", "c"):
        shim.ask("POST", "/email", json={**MAIL, "delay": 3_600_000, "jobId": name})
    path = "/email/jobs/org-1:{}/cancel".format
    for wrong, status, field in (
        (b"{", 400, None),
        (b"[]", 422, "body"),
        (b'{"reason":5}', 422, "reason"),
        (b'{"reason":"a\\nb"}', 422, "reason"),
        (json.dumps({"reason": "x" * 501}).encode(), 422, "reason"),
        (b'{"why":"x"}', 422, "why"),
        (b'{"reason":"\\ud800"}', 422, "reason"),
    ):
        done = shim.ask("POST", path("a"), content=wrong)
        assert (done.status_code, done.json().get("errors", [{"field": None}])[0]["field"]) == (
            status,
            field,
        )
    assert shim.ask("GET", "/email/jobs/org-1:a").json()["cancel"] is None
    done = shim.ask("POST", path("a"), json={"reason": "zu spät!"})
    assert (done.status_code, done.json()["status"]) == (200, "failed")
    assert done.json()["cancel"] == {
        "by": "ann",
        "reason": "zu spät!",
        "at": done.json()["finishedAt"],
    }
    assert done.json()["failedReason"] == "cancelled by ann: zu spät!"
    assert shim.ask("POST", path("a")).json()["code"] == "wrong_state"
    for name, body in (("b", b""), ("c", b'{"reason":null}')):
        done = shim.ask("POST", path(name), content=body)
        assert (done.status_code, done.json()["cancel"]["reason"]) == (200, None)
    assert shim.ask("POST", path("nope")).status_code == 404


def test_how_deep_a_body_may_be(shim: Shim) -> None:
    def answer(depth: int) -> tuple[int, str]:
        body = '{"grace":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
        done = shim.ask("POST", "/email/clean", "operator", content=body)
        return done.status_code, done.json()["detail"]

    assert answer(200)[0] == 422
    for depth in (201, 900, 5000, 100_000):
        assert answer(depth) == (400, "the body must not be nested more than 200 levels deep")
    wide = '{"grace":[' + ",".join(["[]"] * 500) + "]}"
    assert shim.ask("POST", "/email/clean", "operator", content=wide).status_code == 422


def test_every_wrong_field_is_named(shim: Shim) -> None:
    def named(path: str, body: Any, **headers: str) -> tuple[str, list[str]]:
        done = shim.ask("POST", path, "operator", json=body, headers=dict(headers))
        assert done.status_code == 422, done.text
        return done.json()["code"], [one["field"] for one in done.json()["errors"]]

    wrong = {"priority": "2", "delay": -1, "jobId": "-", "timeout": 0}
    fields = ["priority", "delay", "timeout", "jobId"]
    assert named("/email", {**MAIL, **wrong}) == ("invalid_option", fields)
    both = named("/email", {**MAIL, **wrong, "to": 1, "x": 2})
    assert both == ("invalid_payload", [*fields, "to", "x"])
    options = {"prio": 1, "attempts": True, "a\nb": 0}
    assert named("/email", {"payload": MAIL, "options": options}) == (
        "invalid_option",
        ["options.prio", "options.a?b", "attempts"],
    )
    assert named("/email", {"payload": MAIL, "options": [1]}) == ("invalid_option", ["options"])
    long = "x" * 198
    assert named("/email", MAIL, **{"Idempotency-Key": long}) == (
        "invalid_job_id",
        ["Idempotency-Key"],
    )
    assert named("/email", {**MAIL, "jobId": long}) == ("invalid_job_id", ["jobId"])
    assert named("/email/clean", {"grace": "1", "limit": 5}) == (
        "invalid_option",
        ["grace", "status", "limit"],
    )
    assert shim.ask("GET", "/stats").json()["email"]["total"] == 0


def test_numbers_and_nulls_of_options(shim: Shim) -> None:
    given = {"priority": 1.0, "attempts": 7.0, "timeout": 1234.0, "delay": None, "backoff": 1000.0}
    made = shim.ask("POST", "/email", json={"payload": MAIL, "options": given}).json()["jobId"]
    job = shim.ask("GET", f"/email/jobs/{made}").json()
    assert (job["priority"], job["attempts"], job["timeout"]) == (1, 7, 1234)
    done = shim.ask("POST", "/email", json={"payload": MAIL, "options": None})
    assert (done.status_code, done.json()["status"]) == (202, "waiting")


def test_two_keys_that_differ_are_refused(shim: Shim) -> None:
    def status(*keys: str) -> int:
        headers = [("Authorization", f"Bearer {signed(organizationId='o')}")]
        headers += [("Idempotency-Key", key) for key in keys]
        return shim.client.post("/api/jobs/email", json=MAIL, headers=headers).status_code

    assert (status("a", "a"), status("a", "b"), status("b", "a")) == (202, 422, 422)


def test_idempotency_is_scoped_to_the_tenant(shim: Shim) -> None:
    key = {"Idempotency-Key": "k1"}
    first = shim.ask("POST", "/email", json=MAIL, headers=dict(key)).json()
    again = shim.ask("POST", "/email", json=MAIL, headers=dict(key)).json()
    assert (first["created"], again["created"]) == (True, False)
    assert first["jobId"] == again["jobId"] == "org-1:k1"
    other = shim.ask("POST", "/email", json={**MAIL, "subject": "No"}, headers=dict(key))
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    theirs = shim.ask("POST", "/email", "member", "org-2", json=MAIL, headers=dict(key)).json()
    assert (theirs["created"], theirs["jobId"]) == (True, "org-2:k1")
    both = shim.ask("POST", "/email", json={**MAIL, "jobId": "k2"}, headers=dict(key))
    assert both.status_code == 422
    # An organization whose id looks like another's job id must not reach its jobs.
    sly = shim.ask("POST", "/email", "member", "org-1:k", json={**MAIL, "jobId": "x"}).json()
    plain = shim.ask("POST", "/email", json={**MAIL, "jobId": "k:x"}).json()
    assert sly["created"]
    assert plain["created"]


def test_invalid_tokens(shim: Shim) -> None:
    def status(text: str) -> int:
        return shim.ask("GET", "/stats", headers={"Authorization": text}).status_code

    good = {"organizationId": "o"}
    assert status(f"Bearer {signed(**good)}") == 200
    assert status(f"Bearer {signed(org=7, sub=12)}") == 200
    assert status(f"Bearer {signed(aud='else', iss='who', **good)}") == 200
    assert status("") == status("Basic YTpi") == status("Bearer x.y.z") == 401
    assert status(f"Bearer {signed(exp=1, **good)}") == 401
    assert status(f"Bearer {signed(secret='f' * 32, **good)}") == 401
    assert status(f"Bearer {signed(secret=SECRET * 2, algorithm='HS512', **good)}") == 401
    assert status(f"Bearer {signed(secret='', algorithm='none', **good)}") == 401
    assert status(f"Bearer {signed(sub=None, **good)}") == 401
    assert status(f"Bearer {signed()}") == 403
    assert status(f"Bearer {signed(role='root', **good)}") == 403
    assert status(f"Bearer {signed(role='operator')}") == 200


def test_problems_for_everything_else(shim: Shim) -> None:
    for method, path, wanted in (
        ("GET", "/api/jobs/nope/jobs", 404),
        ("GET", "/nothing", 404),
        ("GET", "/api/jobs/email", 405),
        ("PUT", "/api/jobs/stats", 405),
        ("GET", "/api/jobs/email/jobs?limit=0", 422),
        ("GET", "/api/jobs/email/jobs?limit=x", 422),
        ("GET", "/api/jobs/email/jobs?status=lost", 422),
        ("GET", "/api/jobs/email/jobs?cursor=%00", 422),
        ("GET", "/api/jobs/email/jobs/%F0%9F%98%80", 404),
        ("GET", "/api/jobs/email/jobs/" + "x" * 10_000, 404),
        ("GET", "/artifacts/a.b", 404),
        ("POST", "/api/jobs/email/clean", 400),
    ):
        done = shim.client.request(
            method, path, headers={"Authorization": f"Bearer {signed(role='operator')}"}
        )
        assert done.status_code == wanted, (path, done.text)
        assert done.headers["content-type"] == "application/problem+json"
        assert done.json()["code"]
    for path, allowed in (
        ("/email", "POST"),
        ("/email/jobs", "GET, HEAD"),
        ("/email/jobs/a", "DELETE, GET, HEAD"),
        ("/email/jobs/a/retry", "POST"),
        # No queue can have these names, so nothing can be added there.
        *(
            (f"/{name}", "GET, HEAD")
            for name in ("stats", "dashboard", "alerts", "workers", "schedules")
        ),
    ):
        for method in ("PATCH", *{"POST", "DELETE"} - {*allowed.split(", ")}):
            done = shim.ask(method, path)
            assert (done.status_code, done.headers["allow"]) == (405, allowed), (method, path)
    for name in ("circuits", "jobs", "queues", "events"):
        done = shim.ask("POST", f"/{name}", json={})
        assert (done.status_code, done.json()["code"]) == (404, "not_found"), name
    page = shim.client.get("/metrics").text
    assert 'hsejobs_jobs{queue="email",state="waiting"} 0' in page
    assert "/api/jobs/email" in shim.client.get("/openapi.json").json()["paths"]
    asked = shim.client.get("/readyz", headers={"X-Request-ID": "r-1"})
    assert asked.headers["x-request-id"] == "r-1"


def test_redis_outage_and_recovery(shim: Shim, redis_server: Server) -> None:
    redis_server.stop()
    for method, path in (("GET", "/stats"), ("POST", "/email")):
        away = shim.ask(method, path, json=MAIL)
        assert (away.status_code, away.json()["code"]) == (503, "redis_unavailable"), away.text
        assert away.headers["Retry-After"]
    redis_server.start()
    wait_until(lambda: shim.ask("POST", "/email", json=MAIL).status_code == 202, 20, "recovery")


def test_a_hanging_redis_does_not_block_health_checks(shim: Shim, redis_server: Server) -> None:
    asked = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    redis_server.freeze()
    with contextlib.ExitStack() as stack:
        waiting = []
        # More than the threads that wait for Redis.
        for _ in range(60):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", shim.port)))
            one.sendall(asked.encode())
            waiting.append(one)
        # On a separate connection that comes after theirs.
        assert httpx.get(f"{shim.url}/healthz", timeout=60, trust_env=False).status_code == 200
        answered, _, _ = select.select(waiting, [], [], 0)
        assert not answered
        assert waiting[0].recv(1000).startswith(b"HTTP/1.1 503 ")
    redis_server.thaw()


def test_redis_comes_back_empty(shim: Shim, redis_client: Redis) -> None:
    assert shim.ask("POST", "/email", json=MAIL).status_code == 202
    known = shim.ask("GET", "/stats").json().keys()
    redis_client.flushall()
    assert shim.ask("GET", "/stats").json().keys() == known
    redis_client.flushall()
    # The cached description of the other queue plays no part in it.
    assert shim.ask("GET", "/reports/jobs").status_code == 200
    assert shim.ask("POST", "/webhooks", json=BODIES["webhooks"]).status_code == 202
    assert shim.ask("POST", "/email", json=MAIL).status_code == 202
    assert shim.ask("GET", "/stats").json().keys() == known


def test_clean_covers_jobs_from_before_its_request(shim: Shim, redis_client: Redis) -> None:
    """The body may arrive later, and jobs are added in the meantime."""
    from tests.http.test_fuzz import Wire, head

    client, sha = runtime().redis, scripts.STATS.sha

    def add(job_id: str) -> None:
        new = NewJob(job_id, "m.task", b"{}", 3, 1, 1000, 0, delay=600_000, nonce="n")
        runtime().writer.add("email", new)

    add("early")
    # From here on Redis knows the script: an unknown one is sent a second time.
    runtime().reader.now("email")
    body = b'{"grace":0,"status":"delayed"}'
    wire = Wire(shim)
    monitoring: Any = redis_client
    with monitoring.monitor() as seen:
        wire.raw.sendall(head("POST", b"/api/jobs/email/clean", b"Content-Length: %d" % len(body)))
        # The read of Redis' clock; the watch for alerts also asks for some minutes.
        words = [""]
        while (words[0], words[1:2], words[-1]) != ("EVALSHA", [sha], "0"):
            words = seen.next_command()["command"].split()
    tick(client)
    add("late")
    status, _, answer = wire.ask(body)
    wire.close()
    assert (status, json.loads(answer)) == (200, {"removed": 1})
    assert runtime().reader.status("email", "late")
