"""What the shim answers: the document's requests, tenants apart, errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import MAIL, SECRET, Shim, signed
from tests.support import wait_until
from tests.support.server import Server

BODIES: dict[str, dict[str, Any]] = {
    "email": {**MAIL, "html": "<p>Hello!</p>", "from": "noreply@hse.digital", "priority": 2},
    "reports": {"type": "audits", "filters": {"status": "Completed"}, "format": "json",
                "notifyEmail": "user@example.com"},
    "data-exports": {"entities": ["stations", "audits", "incidents"], "format": "json",
                     "notifyEmail": "user@example.com"},
    "webhooks": {"url": "https://api.example.com/webhook", "payload": {"event": "test"},
                 "secret": "webhook-secret", "eventType": "test.event"},
    "tenant-onboarding": {"organizationName": "Acme Corp", "adminEmail": "admin@acme.com",
                          "adminName": "John Doe", "tier": "professional"},
}  # fmt: skip


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
        **dict.fromkeys(BODIES, 1), "cleanup": 0,
    }  # fmt: skip


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
            (422, next(iter(wrong))), (422, "to"),
        )  # fmt: skip
    assert shim.ask("POST", "/email", content=b"{").status_code == 400
    assert shim.ask("POST", "/email", content=b'{"to":"\xff"}').status_code == 400
    assert shim.ask("POST", "/email", content=b"[" * 100_000).status_code == 400
    assert shim.ask("POST", "/email", json={**MAIL, "text": "x" * 103_000}).status_code == 413
    assert shim.ask("POST", "/email", content=b"x" * 500_000).status_code == 413
    pieces = (b"x" * 10_000 for _ in range(50))
    assert shim.ask("POST", "/email", content=pieces).status_code == 413


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
    # An organisation whose name reads like another's id must not reach its jobs.
    sly = shim.ask("POST", "/email", "member", "org-1:k", json={**MAIL, "jobId": "x"}).json()
    plain = shim.ask("POST", "/email", json={**MAIL, "jobId": "k:x"}).json()
    assert sly["created"]
    assert plain["created"]


ACTS = [
    # method, path after the queue, body, and what member, admin, operator get
    ("GET", "/jobs", None, (200, 200, 200)),
    ("GET", "/jobs/{id}", None, (200, 200, 200)),
    ("GET", "/jobs/{id}/logs", None, (200, 200, 200)),
    ("GET", "/jobs/{id}/artifact", None, (404, 404, 404)),
    ("POST", "/jobs/{id}/retry", None, (403, 409, 409)),
    ("POST", "/jobs/{id}/promote", None, (403, 200, 200)),
    ("DELETE", "/jobs/{id}", None, (403, 204, 204)),
    ("POST", "/clean", {"grace": 0, "status": "delayed"}, (403, 200, 200)),
    ("POST", "/pause", None, (403, 403, 200)),
    ("POST", "/resume", None, (403, 403, 200)),
]


@pytest.mark.parametrize("rank", range(3), ids=["member", "admin", "operator"])
def test_routes_by_role_tenant_and_user(shim: Shim, rank: int) -> None:
    role = ("member", "admin", "operator")[rank]
    for number, (method, path, body, wanted) in enumerate(ACTS):
        made = {}
        for org, user in (("org-1", "ann"), ("org-1", "bob"), ("org-2", "eve")):
            done = shim.ask("POST", "/email", "member", org, user,
                            json={**MAIL, "delay": 600_000, "jobId": f"{user}-{number}"})  # fmt: skip
            made[user] = done.json()["jobId"]
        for user, job_id in made.items():
            done = shim.ask(method, f"/email{path.format(id=job_id)}", role, "org-1", "ann",
                            **({"json": body} if body else {}))  # fmt: skip
            want = wanted[rank]
            if "{id}" in path and user == "eve" and role != "operator" and want != 403:
                want = 404
                nobody = shim.ask(method, f"/email{path.format(id='org-2:no')}", role)
                assert nobody.content == done.content
            if path.endswith("artifact") and user == "bob" and role == "member":
                want = 403
            assert done.status_code == want, (method, path, user, done.text)
            if path == "/jobs/{id}" and want == 200:
                hidden = user == "bob" and role == "member"
                assert (done.json()["data"] is None) == hidden
            if path == "/jobs/{id}/logs" and want == 200:
                assert (done.json()["lines"] is None) == (user == "bob" and role == "member")
            if path == "/clean" and want == 200:
                left = shim.ask("GET", f"/email/jobs/{made['eve']}", "operator").status_code
                assert left == (404 if role == "operator" else 200)
    for path in ("/alerts", "/workers", "/schedules"):
        assert shim.ask("GET", path, role).status_code == (200 if rank == 2 else 403)
    for path in ("/stats", "/dashboard"):
        assert shim.ask("GET", path, role).status_code == 200
    for queue, body in BODIES.items():
        done = shim.ask("POST", f"/{queue}", role, json=body)
        least = 2 if queue == "tenant-onboarding" else 0
        assert done.status_code == (202 if rank >= least else 403)
    users = shim.ask("POST", "/data-exports", role, json={"entities": ["users"]})
    assert users.status_code == (202 if rank else 403)
    foreign = shim.ask("POST", "/reports", role, json={"type": "audits", "organizationId": "o2"})
    assert foreign.status_code == (202 if rank == 2 else 403)


def test_tokens_that_are_no_good(shim: Shim) -> None:
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
        ("GET", "/api/jobs/nope/jobs", 404), ("GET", "/nothing", 404),
        ("GET", "/api/jobs/email", 405), ("PUT", "/api/jobs/stats", 405),
        ("GET", "/api/jobs/email/jobs?limit=0", 422), ("GET", "/api/jobs/email/jobs?limit=x", 422),
        ("GET", "/api/jobs/email/jobs?status=lost", 422),
        ("GET", "/api/jobs/email/jobs?cursor=%00", 422),
        ("GET", "/api/jobs/email/jobs/%F0%9F%98%80", 404),
        ("GET", "/api/jobs/email/jobs/" + "x" * 10_000, 404),
        ("GET", "/artifacts/a.b", 404), ("POST", "/api/jobs/email/clean", 400),
    ):  # fmt: skip
        done = shim.client.request(
            method, path, headers={"Authorization": f"Bearer {signed(role='operator')}"}
        )
        assert done.status_code == wanted, (path, done.text)
        assert done.headers["content-type"] == "application/problem+json"
        assert done.json()["code"]
    page = shim.client.get("/metrics").text
    assert 'hsejobs_jobs{queue="email",state="waiting"} 0' in page
    assert "/api/jobs/email" in shim.client.get("/openapi.json").json()["paths"]
    asked = shim.client.get("/readyz", headers={"X-Request-ID": "r-1"})
    assert asked.headers["x-request-id"] == "r-1"


def test_redis_away_and_back(shim: Shim, redis_server: Server) -> None:
    redis_server.stop()
    for method, path in (("GET", "/stats"), ("POST", "/email")):
        away = shim.ask(method, path, json=MAIL)
        assert (away.status_code, away.json()["code"]) == (503, "redis_unavailable"), away.text
        assert away.headers["Retry-After"]
    redis_server.start()
    wait_until(lambda: shim.ask("POST", "/email", json=MAIL).status_code == 202, 20, "recovery")
