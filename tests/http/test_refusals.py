"""All refusals have one form; unknown queries and repeated headers are reported."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from hsejobs.engine import runtime
from hsejobs.engine.runtime import Runtime
from hsejobs.settings import load_settings
from hsejobs.store import keys
from hsejobs_http import queries
from hsejobs_http.app import all_routes, create_app
from hsejobs_http.openapi_routes import OTHER_QUEUES, ROUTES
from hsejobs_http.problems import Problem
from hsejobs_http.seats import Seat, Seats
from hsejobs_http.tokens import Caller
from tests.http.conftest import MAIL, SECRET, Shim, token
from tests.http.test_connections import lines
from tests.support import wait_until


def test_a_500_is_a_problem_with_one_line(shim: Shim, redis_client: Redis) -> None:
    # A malformed consumer record, which no release writes.
    base = keys.base("hsejobs", "email")
    redis_client.zadd(keys.of(base, "workers"), {"w": 1})
    redis_client.set(keys.of(base, "worker", "w"), "[]")
    done = shim.ask("GET", "/workers", "operator", headers={"X-Request-ID": "asked-1"})
    assert done.status_code == 500
    assert done.headers["content-type"] == "application/problem+json"
    assert done.json()["code"] == "error"
    wait_until(lambda: lines(shim, "unexpected"), 10, "the line")
    (logged,) = lines(shim, "unexpected")
    assert logged["requestId"] == done.headers["x-request-id"] == "asked-1"
    assert "TypeError" in logged["cause"]
    assert "read.py:" in logged["at"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/jobs/stats",
        "/api/jobs/dashboard",
        "/api/jobs/alerts",
        "/api/jobs/workers",
        "/api/jobs/schedules",
        "/api/jobs/email/jobs",
        "/api/jobs/email/jobs/x",
        "/healthz",
        "/readyz",
        "/metrics",
    ],
)
def test_unknown_parameters_are_named(path: str, shim: Shim) -> None:
    who = {"Authorization": f"Bearer {token('operator')}"}
    done = shim.client.get(f"{path}?organization_id=org-1&b=", headers=who)
    assert done.status_code == 422, done.text
    assert [one["field"] for one in done.json()["errors"]] == ["organization_id", "b"]


def test_parameters_of_acts_and_repeated_ones(shim: Shim) -> None:
    assert shim.ask("POST", "/email?delay=5", json=MAIL).status_code == 422
    assert shim.ask("POST", "/email/clean?limit=1", "admin", json={}).status_code == 422
    twice = shim.ask("GET", "/email/jobs?limit=1&limit=200")
    assert (twice.status_code, twice.json()["errors"][0]["field"]) == (422, "limit")


def test_every_route_refuses_a_parameter_that_it_does_not_declare(
    shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_JWT_SECRET", SECRET)
    monkeypatch.setattr(runtime, "_runtime", Runtime(load_settings()))
    routes = all_routes(create_app().app)
    assert len(routes) > 30
    names = {"queue": "email", "job_id": "x", "organization_id": "o", "token": "t", "name": "n"}
    names |= {"act": "pause", "path": "failures", "job": "x", "task": "send_email"}
    for route in routes:
        path = route.path_format.format(**names)
        for method in route.methods - {"HEAD"}:
            declared = queries.declared(method, route.path_format)
            query = "&".join([*(f"{name}=" for name in declared), "surplus=1"])
            who = {"Authorization": f"Bearer {token('operator')}"}
            done = shim.client.request(method, f"{path}?{query}", headers=who)
            assert done.status_code == 422, (method, path, done.text)
            assert [one["field"] for one in done.json()["errors"]] == ["surplus"]


#: The acts that have no fields. An add to any other queue has a payload instead.
PLAIN = [
    path
    for (method, path), route in ROUTES.items()
    if method == "post" and not route.body and path != OTHER_QUEUES
]


@pytest.mark.parametrize("path", PLAIN)
def test_every_act_without_fields_refuses_those_of_a_body(path: str, shim: Shim) -> None:
    job = shim.ask("POST", "/email", json=MAIL).json()["jobId"]
    where = path.removeprefix("/api/jobs").format(queue="email", job_id=job)
    for content, status, problem in (
        (b'{"reason": "x"}', 422, "reason: is unknown; remove it"),
        (b"[]", 422, "body: must be {}, or empty"),
        (b"{", 400, "the body"),
    ):
        done = shim.ask("POST", where, "operator", content=content)
        assert done.status_code == status, done.text
        assert problem in done.json()["detail"]
    assert shim.ask("GET", "/stats", "operator").json()["email"]["isPaused"] is False
    for content in (b"", b"{}"):
        assert shim.ask("POST", where, "operator", content=content).status_code in (200, 409)


@pytest.mark.parametrize("name", ["Authorization", "Origin"])
def test_headers_that_may_occur_only_once(name: str, shim: Shim) -> None:
    value = {"Authorization": f"Bearer {token()}", "Origin": "http://a"}[name]
    given = [("Authorization", f"Bearer {token()}"), (name, value)]
    given += [(name, value)] if name != "Authorization" else []
    done = shim.client.get("/api/jobs/stats", headers=given)
    assert (done.status_code, done.json()["code"]) == (400, "bad_request")
    assert name in done.json()["detail"]


def test_head_is_answered_where_get_is(shim: Shim) -> None:
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/api/jobs/stats"):
        who = {"Authorization": f"Bearer {token()}"}
        got, head = shim.client.get(path, headers=who), shim.client.head(path, headers=who)
        assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert shim.client.head("/api/jobs/email", headers=who).status_code == 405


def test_quoted_keys_and_equal_numbers(shim: Shim) -> None:
    hook = {"url": "https://a.example.com/x", "eventType": "e"}

    def add(key: str, number: str) -> Any:
        body = f'{json.dumps(hook)[:-1]}, "payload": {{"n": [{number}]}}}}'
        return shim.ask("POST", "/webhooks", content=body, headers={"Idempotency-Key": key})

    first = add("order-7", "1").json()
    for key, number in (('"order-7"', "1"), ("order-7", "1.0"), ('"order-7"', "10e-1")):
        again = add(key, number)
        assert (again.status_code, again.json()["jobId"]) == (202, first["jobId"])
        assert again.json()["created"] is False
    for number in ("2", "true", '"1"', "1.5"):
        assert add("order-7", number).status_code == 409
    assert add('"', "1").status_code == add('"a"b"', "1").status_code == 422


def test_sockets_are_refused_in_the_same_form(shim: Shim) -> None:
    base = shim.url.replace("http", "ws") + "/api/jobs/dashboard/ws"
    for path, status in (("", 403), ("?x=1", 403)):
        with pytest.raises(InvalidStatus) as refused:
            connect(base + path, proxy=None)
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["code"]
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    for lacking in ("", key, "Sec-WebSocket-Version: 13\r\n", f"{key}Sec-WebSocket-Version: 8\r\n"):
        asked = f"GET /api/jobs/dashboard/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{lacking}"
        with socket.create_connection(("127.0.0.1", shim.port), 20) as one:
            one.sendall(f"{asked}Connection: Upgrade, close\r\n\r\n".encode())
            found = b"".join(iter(lambda one=one: one.recv(65_536), b""))  # type: ignore[misc]
        assert found.startswith(b"HTTP/1.1 401 "), found
        assert b"application/problem+json" in found


def test_workers_have_iso_times(shim: Shim, redis_client: Redis) -> None:
    record = {
        "id": "w",
        "host": "h",
        "pid": 1,
        "queue": "email",
        "workers": "threads",
        "concurrency": 1,
        "startedAt": 1767268800000,
        "hung": 0,
        "slots": [None],
    }
    redis_client.set("hsejobs:{email}:w:w", json.dumps(record))
    seconds, micros = redis_client.time()
    redis_client.zadd("hsejobs:{email}:workers", {"w": seconds * 1000 + micros // 1000})
    (found,) = shim.ask("GET", "/workers", "operator").json()
    assert found["startedAt"] == "2026-01-01T12:00:00.000Z"


def test_views_are_shared_out_fairly(tmp_path: Path) -> None:
    seats = Seats(load_settings({"JOBS_HOME": str(tmp_path), "JOBS_HTTP_VIEWERS": "10"}))
    taken: list[tuple[Seat, Seat | None]] = []
    refused: list[tuple[int, str]] = []

    def take(role: str, organization: str | None, user: str) -> str:
        """Takes a seat; returns whose was given up, or the reason of a refusal."""
        try:
            seats.check(who := Caller(user, organization, role))
            taken.append(seats.take(who))
        except Problem as problem:
            refused.append((problem.status, problem.code))
            return problem.detail
        lost = taken[-1][1]
        return lost.who.user_id if lost else ""

    assert [take("member", "a", f"u{n}") for n in range(40)].count("") == 4
    reason = take("admin", "a", "u4")
    assert "your organization has 4 views open" in reason
    assert "/api/jobs/dashboard/plain" in reason
    assert [take("admin", "b", "x") for _ in range(3)] == [""] * 3
    assert "you have 3 views open" in take("admin", "b", "x")
    assert take("member", "c", "y") == ""
    # The two remaining views are for operators, of any organization.
    assert "all views for members and admins are in use" in take("member", "d", "z")
    assert [take("operator", None, "o"), take("operator", "a", "u9")] == ["", ""]
    # Beyond that, a member's or an admin's view is given up: the one unused for the longest time.
    taken[0][0].used += 60
    assert take("operator", None, "p") == "u1"
    lost = taken[-1][1]
    assert lost is not None
    assert lost.taken.is_set()
    seats.release(lost)
    # An operator's fourth view ends its own first one.
    assert [take("operator", None, "o") for _ in range(3)] == ["u2", "u3", "o"]
    assert taken[-1][1] is taken[8][0]
    # Members' and admins' share of what is left is as it was.
    assert "all views for members and admins are in use" in take("member", "a", "u8")
    assert set(refused) == {(503, "too_many_viewers")}
    for seat, _ in taken:
        seats.release(seat)
    assert take("member", "a", "u8") == ""


def test_operators_have_the_last_view_too(tmp_path: Path) -> None:
    seats = Seats(load_settings({"JOBS_HOME": str(tmp_path), "JOBS_HTTP_VIEWERS": "1"}))
    first, _ = seats.take(Caller("o", None, "operator"))
    assert seats.take(Caller("p", None, "operator"))[1] is first
    with pytest.raises(Problem):
        seats.take(Caller("x", "a", "admin"))
    none = Seats(load_settings({"JOBS_HOME": str(tmp_path), "JOBS_HTTP_VIEWERS": "0"}))
    with pytest.raises(Problem, match="JOBS_HTTP_VIEWERS"):
        none.take(Caller("o", None, "operator"))


def test_the_share_of_an_organization_can_be_set(tmp_path: Path) -> None:
    env = {
        "JOBS_HOME": str(tmp_path),
        "JOBS_HTTP_VIEWERS": "10",
        "JOBS_HTTP_VIEWERS_SHARE": "1",
    }
    seats = Seats(load_settings(env))
    seats.take(Caller("x", "a", "member"))
    with pytest.raises(Problem, match="JOBS_HTTP_VIEWERS_SHARE"):
        seats.take(Caller("y", "a", "admin"))
    seats.take(Caller("x", "b", "member"))
