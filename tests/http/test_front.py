"""An add passes the layers of the framework by, and is answered as if it had not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from hsejobs.errors import RedisUnavailable
from hsejobs_http import creating
from tests.http.conftest import MAIL, token

Answer = tuple[int, bytes, list[tuple[str, str]]]


def ask(gate: Any, path: str, body: bytes, **headers: str) -> httpx.Response:
    async def one() -> httpx.Response:
        transport = httpx.ASGITransport(app=gate)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            given = {"Authorization": f"Bearer {token()}", **headers}
            return await client.post(path, content=body, headers=given)

    return asyncio.run(one())


def both(gate: Any, path: str, body: bytes, **headers: str) -> list[httpx.Response]:
    """The answers to an add that passes the framework by, and to one that goes through it."""
    front = ask(gate, path, body, **headers)
    kept, gate.entry = gate.entry, gate.app
    through = ask(gate, path, body, **headers)
    gate.entry = kept
    return [front, through]


def told(answer: httpx.Response) -> Answer:
    shown = [one for one in answer.headers.multi_items() if one[0] != "x-request-id"]
    return answer.status_code, answer.content, shown


@pytest.mark.parametrize(
    ("status", "path", "body"),
    [
        (404, "/api/jobs/nothing", MAIL),
        (404, "/api/jobs/Not%20a%20name", MAIL),
        (405, "/api/jobs/stats", MAIL),
        (405, "/api/jobs/email/jobs", MAIL),
        (404, "/api/jobs/", MAIL),
        (422, "/api/jobs/email?x=1", MAIL),
        (422, "/api/jobs/email", {"to": "nobody"}),
        (422, "/api/jobs/email", {**MAIL, "priority": 9}),
        (422, "/api/jobs/email", {**MAIL, "jobId": "not one"}),
        (422, "/api/jobs/email", [MAIL]),
        (403, "/api/jobs/email", {"payload": MAIL, "options": {"organizationId": "org-2"}}),
        (413, "/api/jobs/email", {**MAIL, "text": "x" * 200_000}),
        (400, "/api/jobs/email", None),
    ],
)
def test_what_is_refused(gate: Any, status: int, path: str, body: Any) -> None:
    front, through = both(gate, path, b"{" if body is None else json.dumps(body).encode())
    assert told(front) == told(through)
    assert front.status_code == status


def test_what_is_added(gate: Any) -> None:
    front, through = both(gate, "/api/jobs/email", json.dumps(MAIL).encode())
    assert front.status_code == through.status_code == 202
    assert front.json().keys() == through.json().keys()
    assert [*front.headers] == [*through.headers]
    assert front.headers["location"] == f"/api/jobs/email/jobs/{front.json()['jobId']}"
    ids = [one.headers["x-request-id"] for one in (front, through)]
    assert len(set(ids)) == 2
    assert {len(one) for one in ids} == {32}


@pytest.mark.parametrize(
    ("status", "error"), [(500, RuntimeError("secret")), (503, RedisUnavailable("down"))]
)
def test_errors(gate: Any, status: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(creating, "_new_job", fails)
    front, through = both(gate, "/api/jobs/email", json.dumps(MAIL).encode())
    assert told(front) == told(through)
    assert front.status_code == status
    assert b"secret" not in front.content
