"""How organizations share a queue, over HTTP: for operators alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hsejobs.store.client import RedisClient
from hsejobs.store.work import Done, WorkerStore
from tests.http.conftest import MAIL, Shim

ROW = {
    "organizationId": "org-1",
    "waiting": 0,
    "active": 0,
    "delayed": 0,
    "failed": 0,
    "rate": 0,
    "share": 0,
    "weight": 1,
    "limit": None,
    "paused": False,
}


def test_an_operator_sees_all_tenants_and_others_none(shim: Shim, redis_url: str) -> None:
    for org, count in (("org-1", 1), ("org-2", 3)):
        for _ in range(count):
            assert shim.ask("POST", "/email", "member", org, json=MAIL).status_code == 202
    later = {**MAIL, "delay": 60_000}
    assert shim.ask("POST", "/email", "operator", None, json=later).status_code == 202
    listed = shim.ask("GET", "/email/tenants", "operator", None).json()
    assert listed == {
        "queue": "email",
        "tenants": [
            {**ROW, "organizationId": "org-2", "waiting": 3},
            {**ROW, "organizationId": "org-1", "waiting": 1},
            {**ROW, "organizationId": None, "delayed": 1},
        ],
        "next": None,
    }
    pages, cursor = [], ""
    while True:
        page = shim.ask("GET", f"/email/tenants?limit=1{cursor}", "operator").json()
        pages += page["tenants"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert pages == listed["tenants"]
    for org, rows in (
        ("org-2", listed["tenants"][:1]),
        ("org-9", [{**ROW, "organizationId": "org-9"}]),
    ):
        alone = shim.ask("GET", f"/email/tenants?organizationId={org}", "operator").json()
        assert alone == {"queue": "email", "tenants": rows, "next": None}
    client = RedisClient(redis_url)
    work = WorkerStore(client, "hsejobs", "email", patience=2)
    _, claims = work.step([], 1, "t", 30_000)
    work.step([Done(claims[0].id, "t", 5_000, b"null")], 0, "none", 0)
    client.close()
    busiest = shim.ask("GET", "/email/tenants?limit=1", "operator").json()["tenants"]
    assert busiest == [{**ROW, "rate": 0.2, "share": 1}]
    for role in ("member", "admin"):
        for org in ("org-1", "org-2"):
            for done in (
                shim.ask("GET", "/email/tenants", role, org),
                shim.ask("PUT", f"/email/tenants/{org}", role, org, json={"weight": 1000}),
                shim.ask("PUT", f"/email/tenants/{org}", role, org, content=b"not JSON"),
                shim.ask("GET", "/nope/tenants", role, org),
            ):
                assert (done.status_code, done.json()["code"]) == (403, "forbidden")
    assert shim.client.get("/api/jobs/email/tenants").status_code == 401


#: An id may have any printable character, and be the name of a key.
ODD = ("org-1", "a b/../c:d", "ü", "t")


def test_what_is_set_is_answered_listed_and_audited(shim: Shim, tmp_path: Path) -> None:
    def put(org: str, body: dict[str, Any]) -> Any:
        where = f"/email/tenants/{quote(org, safe='')}"
        done = shim.ask("PUT", where, "operator", None, "olga", json=body)
        assert done.status_code == 200, done.text
        return done.json()

    for org in ODD:
        row = {**ROW, "organizationId": org}
        there = {**row, "weight": 3, "paused": True}
        assert put(org, {"weight": 3.0}) == {**row, "weight": 3}
        assert put(org, {"limit": 5, "paused": True}) == {**there, "limit": 5}
        assert put(org, {"limit": None}) == there
        assert shim.ask("GET", "/email/tenants", "operator").json()["tenants"] == [there]
        assert put(org, {"paused": False, "weight": 1}) == row
        assert shim.ask("GET", "/email/tenants", "operator").json()["tenants"] == []
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    told = [(one["act"], one["who"], one["door"], one["queue"], one["where"]) for one in lines]
    assert told == [
        ("tenants set", "olga", "http", "email", f"org={org} {rest}")
        for org in ODD
        for rest in ("weight=3", "limit=5 paused=true", "limit=none", "weight=1 paused=false")
    ]


WRONG: tuple[tuple[Any, list[str]], ...] = (
    ({"weight": 0, "limit": 0, "paused": "no"}, ["weight", "limit", "paused"]),
    ({"weight": None}, ["weight"]),
    ({"weight": 1.5}, ["weight"]),
    ({"weight": "3"}, ["weight"]),
    ({"limit": 1_000_001}, ["limit"]),
    ({"limit": True}, ["limit"]),
    ({"paused": None}, ["paused"]),
    ({"wieght": 3, "weight": 2}, ["wieght"]),
    ({"wieght": 3}, ["wieght", "weight"]),
    ({}, ["weight"]),
    ([], ["body"]),
)


def test_an_invalid_setting_is_named_and_nothing_is_set(shim: Shim) -> None:
    for body, fields in WRONG:
        done = shim.ask("PUT", "/email/tenants/org-1", "operator", json=body)
        assert (done.status_code, done.json()["code"]) == (422, "invalid_option"), body
        assert [one["field"] for one in done.json()["errors"]] == fields
    assert shim.ask("GET", "/email/tenants", "operator").json()["tenants"] == []


def test_refusals(shim: Shim) -> None:
    for path, status, code, field in (
        ("/nope/tenants", 404, "unknown_queue", ""),
        ("/email/tenants?limit=0", 422, "invalid_option", "limit"),
        ("/email/tenants?limit=x", 422, "invalid_option", "limit"),
        ("/email/tenants?cursor=x", 422, "invalid_option", "cursor"),
        ("/email/tenants?organization=org-1", 422, "invalid_option", "organization"),
    ):
        done = shim.ask("GET", path, "operator")
        assert (done.status_code, done.json()["code"]) == (status, code), path
        assert [one["field"] for one in done.json().get("errors", ())] == [field] * bool(field)
    for path, status in (
        ("/nope/tenants/a", 404),
        ("/email/tenants/", 422),
        ("/email/tenants/%00", 422),
    ):
        done = shim.ask("PUT", path, "operator", json={"weight": 2})
        assert done.status_code == status, (path, done.text)
    assert shim.ask("PUT", "/email/tenants/a", "operator", content=b"{").status_code == 400
    assert shim.ask("DELETE", "/email/tenants/a", "operator").status_code == 405
