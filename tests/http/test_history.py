"""The history and its marks over HTTP: who sees what, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs.store.marks import Marks
from tests.http.conftest import MAIL, Shim
from tests.store.test_acts import Store


def points(shim: Shim, query: str = "", role: str = "operator", **who: str) -> list[dict[str, Any]]:
    answer = shim.ask("GET", f"/history?queue=email{query}", role, **who)
    assert answer.status_code == 200, answer.text
    [series] = answer.json()["series"]
    assert series["queue"] == "email"
    return list(series["points"])


def test_the_last_minutes_before_any_consumer_lived(shim: Shim) -> None:
    for number in range(3):
        shim.ask("POST", "/email", json={**MAIL, "jobId": f"h{number}"})
    found = points(shim)
    assert sum(one["added"] for one in found) == 3
    assert len(found) in (180, 181)
    assert {one["waiting"] for one in found[:-2]} == {None}
    assert sum(one["added"] for one in points(shim, "&from=1h&step=10m")) == 3
    # Divided, and an admin's own.
    assert sum(one["added"] for one in points(shim, "&by=task")) == 3
    assert sum(one["added"] for one in points(shim, role="admin")) == 3
    assert sum(one["added"] for one in points(shim, "&organizationId=org-9")) == 0
    every = shim.ask("GET", "/history", "operator").json()
    assert {one["queue"] for one in every["series"]} >= {"email", "reports"}
    assert every["by"] is None
    assert every["step"] == 60_000


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=40d", "from"),
        ("from=1h&to=2h", "from"),
        ("step=90s", "step"),
        ("from=20d&step=1m", "step"),
        ("from=20h&step=1m", "step"),
        ("by=user", "by"),
        ("by=", "by"),
        ("until=1h", "until"),
    ],
)
def test_what_is_refused_names_the_field(shim: Shim, query: str, field: str) -> None:
    answer = shim.ask("GET", f"/history?{query}", "operator")
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_roles(shim: Shim) -> None:
    assert shim.ask("GET", "/history", "member").status_code == 403
    assert shim.ask("GET", "/history?organizationId=org-2", "admin").status_code == 403
    assert shim.ask("GET", "/history?by=org", "admin").status_code == 403
    assert shim.ask("GET", "/history?queue=nope", "operator").status_code == 404
    assert shim.ask("GET", "/marks", "member").status_code == 403
    assert shim.ask("POST", "/marks", "admin", json={"text": "deploy"}).status_code == 403


def test_marks(shim: Shim, redis_url: str) -> None:
    answer = shim.ask("POST", "/marks", "operator", json={"text": " deploy 4f1c "})
    assert answer.status_code == 201
    made = answer.json()
    assert made == {**made, "kind": "deploy", "text": "deploy 4f1c", "queue": None}
    store = Store(redis_url)
    Marks(store.redis, "hsejobs").add(
        "act", "retry 3", "ann", queue="email", organization_id="org-1"
    )
    store.redis.close()
    assert [one["text"] for one in shim.ask("GET", "/marks", "operator").json()["marks"]] == [
        "deploy 4f1c",
        "retry 3",
    ]
    assert [one["text"] for one in shim.ask("GET", "/marks", "admin").json()["marks"]] == [
        "retry 3"
    ]
    reports = shim.ask("GET", "/history?queue=reports", "operator").json()["marks"]
    assert reports == [made]
    for body in ({}, {"text": ""}, {"text": "a\nb"}, {"text": "x" * 201}, {"text": "a", "at": 1}):
        assert shim.ask("POST", "/marks", "operator", json=body).status_code == 422


def test_acts_are_marks(shim: Shim) -> None:
    ids = [
        shim.ask("POST", "/email", json={**MAIL, "jobId": f"a{n}"}).json()["jobId"] for n in (1, 2)
    ]
    assert shim.ask("POST", "/email/pause", "operator").status_code == 200
    for job_id in ids:
        assert shim.ask("POST", f"/email/jobs/{job_id}/cancel", "admin").status_code == 200
    marks = shim.ask("GET", "/marks", "operator").json()["marks"]
    assert [(one["kind"], one["text"], one["queue"]) for one in marks] == [
        ("act", "pause", "email"),
        ("act", "cancel", "email"),
        ("act", "cancel", "email"),
    ]
    own = shim.ask("GET", "/marks", "admin").json()["marks"]
    assert [one["text"] for one in own] == ["cancel", "cancel"]
