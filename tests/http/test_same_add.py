"""The same add through Python, the command line and HTTP makes the same record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

import huey_config
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.store import keys
from tests.http.conftest import MAIL, Shim
from tests.support import wait_until
from tests.support.commands import run_command

HOOK = {
    "url": "https://api.example.com/x",
    "payload": {"n": 1},
    "secret": "s" * 24,
    "eventType": "e",
}
REPORT = {"type": "audits", "format": "json", "notifyEmail": "user@example.com"}
EXPORT = {"entities": ["stations"], "format": "json"}
TENANT = {
    "organizationName": "Acme",
    "adminEmail": "a@acme.com",
    "adminName": "Ann",
    "tier": "free",
}
OWNED = {"organizationId": "org-9", "userId": "user-123"}
FULL = {"priority": 1, "delay": 90.5, "attempts": 4, "backoff": 2.25, "timeout": 12.0}

#: Queue, payload, organization and user (given separately), options (times in seconds).
CASES: dict[str, tuple[str, dict[str, Any], str | None, str | None, dict[str, Any]]] = {
    "email": ("email", MAIL, "org-9", "user-123", {}),
    "email, all options": ("email", MAIL, "org-9", "user-123", FULL),
    "email, no owner": ("email", MAIL, None, None, {"priority": 5}),
    "report, named by its payload": ("reports", {**REPORT, **OWNED}, None, None, {}),
    "report, named beside it": ("reports", REPORT, "org-9", "user-123", FULL),
    "export, user alone": ("data-exports", {**EXPORT, "userId": "user-123"}, "org-9", None, {}),
    "webhook": ("webhooks", {**HOOK, "organizationId": "org-9"}, None, "user-123", {"delay": 0}),
    "tenant": ("tenant-onboarding", TENANT, None, "user-123", {"timeout": 0.001}),
    "cleanup": ("cleanup", {"completedHours": 1}, None, None, {"attempts": 1, "backoff": 0}),
}


@pytest.fixture
def here(shim: Shim) -> Iterator[None]:
    """This process adds to the same Redis as the shim."""
    reset_runtime()
    for huey in huey_config.QUEUES.values():
        huey._registered = None
    yield
    runtime().redis.close()
    reset_runtime()


def record(client: redis.Redis, queue: str, job_id: str) -> dict[str, Any]:
    """Returns the record in Redis without what differs by nature: times, place, request."""
    base = keys.base("hsejobs", queue)
    row: Any = client.hgetall(keys.of(base, "job", job_id))
    found: dict[str, Any] = {name.decode(): value.decode() for name, value in row.items()}
    added = int(found.pop("ct"))
    found["delay"] = int(found.pop("ra", added)) - added
    found["sg"] = found.get("sg", "").partition(" ")[0]
    text: Any = client.get(keys.of(base, "payload", job_id))
    found["payload"] = json.loads(text)
    return {name: one for name, one in found.items() if name not in ("sc", "ws", "nx")}


@pytest.mark.parametrize("case", CASES)
def test_the_records_are_the_same(
    case: str, shim: Shim, here: None, redis_client: redis.Redis
) -> None:
    queue, payload, organization, user, options = CASES[case]
    made = huey_config.QUEUES[queue].submit(
        payload, organization_id=organization, user_id=user, **options
    )
    words = ["enqueue", queue, json.dumps(payload)]
    words += ["--org", organization] if organization else []
    words += ["--user", user] if user else []
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    done = run_command(*words)
    assert done.returncode == 0, done.stderr
    seconds = ("delay", "backoff", "timeout")
    inner = {n: int(v * 1000) if n in seconds else v for n, v in options.items()}
    inner |= {} if organization is None else {"organizationId": organization}
    inner |= {} if user is None else {"userId": user}
    # An operator's token without organization; its user owns the job if no other is named.
    who = ("operator", None, "platform")
    apart = shim.ask("POST", f"/{queue}", *who, json={"payload": payload, "options": inner})
    beside = shim.ask("POST", f"/{queue}", *who, json={**payload, **inner})
    assert (apart.status_code, beside.status_code) == (202, 202), (apart.text, beside.text)
    by_http = [one.json()["jobId"] for one in (apart, beside)]
    python = record(redis_client, queue, made.id)
    assert record(redis_client, queue, done.stdout.decode().strip()) == python
    for job_id in by_http:
        theirs = record(redis_client, queue, job_id)
        if user is None and "userId" not in payload:
            assert theirs.pop("u") == "platform"
        # Given next to the payload's fields, the names become part of it, if it has such fields.
        for name in OWNED.keys() - payload.keys():
            theirs["payload"].pop(name, None)
        assert theirs == python
    job = shim.ask("GET", f"/{queue}/jobs/{made.id}", "operator").json()
    assert job["organizationId"] == (organization or payload.get("organizationId"))
    assert job["userId"] == (user or payload.get("userId"))


def test_a_job_added_for_a_user_is_theirs(shim: Shim) -> None:
    body = {**REPORT, **OWNED}
    platform, theirs = ("operator", None, "platform"), ("member", "org-9", "user-123")
    key = {"Idempotency-Key": "order-1"}
    made = shim.ask("POST", "/reports", *platform, json=body, headers=dict(key)).json()
    assert made["jobId"] == "org-9:order-1"
    # For the user it is as if they had added it: the same id, the same body.
    again = shim.ask("POST", "/reports", *theirs, json=body, headers=dict(key)).json()
    assert (again["jobId"], again["created"]) == (made["jobId"], False)
    path = f"/reports/jobs/{made['jobId']}"
    assert shim.ask("GET", path, *theirs).json()["data"] is not None
    assert shim.ask("GET", path, "member", "org-9", "eve").json()["data"] is None
    # There is no file yet; but access is not refused either.
    assert shim.ask("GET", f"{path}/artifact", *theirs).status_code == 404
    assert shim.ask("GET", f"{path}/artifact", "member", "org-9", "eve").status_code == 403


@pytest.mark.parametrize("role", ["member", "admin"])
@pytest.mark.parametrize("field", ["organizationId", "userId"])
def test_only_operators_name_others(field: str, role: str, shim: Shim) -> None:
    own = {"organizationId": "org-1", "userId": "ann"}
    for queue, payload in (("email", MAIL), ("reports", REPORT), ("webhooks", HOOK)):
        for body in ({**payload, field: "else"}, {"payload": payload, "options": {field: "else"}}):
            done = shim.ask("POST", f"/{queue}", role, json=body)
            assert (done.status_code, done.json()["code"]) == (403, "forbidden"), done.text
        done = shim.ask("POST", f"/{queue}", role, json={"payload": payload, "options": own})
        assert done.status_code == 202, done.text
    differs = {"payload": {**REPORT, field: "a"}, "options": {field: "b"}}
    done = shim.ask("POST", "/reports", "operator", json=differs)
    assert (done.status_code, done.json()["errors"][0]["field"]) == (422, field)
    wait_until(lambda: shim.ask("GET", "/stats").json()["email"]["total"] == 1, 10, "one mail")
