"""`?where=`, downloads, and acts on the jobs that match, over HTTP."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.http.conftest import MAIL, Shim


def add(shim: Shim, n: int, org: str = "org-1") -> str:
    body = {**MAIL, "delay": 3_600_000, "jobId": f"j{n}", "subject": f"=number {n}"}
    return str(shim.ask("POST", "/email", "member", org, json=body).json()["jobId"])


def test_a_filter_limits_lists_and_downloads(shim: Shim) -> None:
    own = [add(shim, n) for n in range(3)]
    add(shim, 1, "org-2")
    listed = shim.ask("GET", "/email/jobs", "admin", params={"where": "id~:j1"}).json()
    assert (listed["status"], listed["total"], listed["next"]) == (None, 1, None)
    assert [one["id"] for one in listed["jobs"]] == [own[1]]
    for form, kind in (("csv", "text/csv"), ("jsonl", "application/x-ndjson")):
        done = shim.ask("GET", "/email/jobs", "admin", params={"where": "j", "format": form})
        assert done.headers["content-type"].startswith(kind)
        assert done.headers["content-disposition"] == f'attachment; filename="email.{form}"'
        if form == "csv":
            rows = list(csv.DictReader(io.StringIO(done.text)))
        else:
            rows = [json.loads(line) for line in done.text.splitlines()]
            job = shim.ask("GET", f"/email/jobs/{own[1]}", "admin").json()
            # Only the answer for one job says why it is where it is.
            del job["why"]
            assert job in rows
        assert {one["id"] for one in rows} == set(own)
    first = shim.ask("GET", "/email/jobs?status=delayed&format=jsonl&limit=2", "admin")
    assert [json.loads(line)["id"] for line in first.text.splitlines()] == own[:2]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("where=orgg%3D1", "where"),
        ("where=%22open", "where"),
        ("format=xml", "format"),
        ("format=csv&where=orgg%3D1", "where"),
        ("format=csv&status=nope", "status"),
        ("format=csv&limit=0", "limit"),
        ("format=csv&cursor=abc", "cursor"),
    ],
)
def test_what_is_wrong_is_named(query: str, field: str, shim: Shim) -> None:
    done = shim.ask("GET", f"/email/jobs?{query}")
    assert (done.status_code, done.json()["errors"][0]["field"]) == (422, field)
    if "orgg" in query:
        assert "the unknown field orgg; use id, name, error" in done.json()["detail"]


def test_acts_on_jobs_that_match(shim: Shim) -> None:
    own, foreign = [add(shim, n) for n in range(4)], add(shim, 0, "org-2")
    asked = {"status": "delayed", "where": "id~:j0", "dryRun": True}
    counted = {"matched": 1, "done": 0, "refused": []}
    assert shim.ask("POST", "/email/promote", "admin", json=asked).json() == counted
    assert shim.ask("POST", "/email/promote", "operator", None, json=asked).json()["matched"] == 2
    asked["dryRun"] = False
    done = {"matched": 1, "done": 1, "refused": []}
    assert shim.ask("POST", "/email/promote", "admin", json=asked).json() == done
    assert (
        shim.ask("GET", f"/email/jobs/{foreign}", "member", "org-2").json()["status"] == "delayed"
    )
    asked = {"status": "delayed", "where": "id~:j1", "reason": "wrong"}
    assert shim.ask("POST", "/email/cancel", "member", json=asked).json() == done
    assert shim.ask("GET", f"/email/jobs/{own[1]}").json()["cancel"]["reason"] == "wrong"
    asked = {"status": "failed", "where": "error~wrong since=1m"}
    assert shim.ask("POST", "/email/retry", "admin", json=asked).json() == done
    asked = {"status": "waiting", "where": f"id={own[1]}"}
    assert shim.ask("POST", "/email/remove", "admin", json=asked).json() == done
    assert shim.ask("GET", f"/email/jobs/{own[1]}").status_code == 404
    for act in ("retry", "promote", "remove"):
        assert shim.ask("POST", f"/email/{act}", "member", json=asked).status_code == 403


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ([], ["body"]),
        ({}, ["status", "where"]),
        ({"status": "failed", "where": "x=1"}, ["status", "where"]),
        ({"status": "waiting", "where": "a", "dryRun": "yes", "x": 1}, ["x", "dryRun"]),
        ({"status": "waiting", "where": ""}, ["where"]),
        ({"status": "waiting", "where": ' "" '}, ["where"]),
        ({"status": "waiting", "where": 5, "reason": "a\nb"}, ["where", "reason"]),
    ],
)
def test_bodies_that_are_refused(body: object, fields: list[str], shim: Shim) -> None:
    done = shim.ask("POST", "/email/cancel", "admin", json=body)
    assert done.status_code == 422
    assert [one["field"] for one in done.json()["errors"]] == fields
