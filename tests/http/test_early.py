"""Mails and webhooks that the shim accepts or refuses: notations, numbers, and what cannot be sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.conftest import MAIL, Shim, running
from tests.support.commands import run_command

CALL = {"url": "https://a.example/hook", "payload": {}, "eventType": "a.b"}
#: As `JSON.stringify` writes 1e20, 1e21, -1e-7 and 2^53.
NUMBERS = b"[100000000000000000000,1e+21,-1e-7,9007199254740992]"


@pytest.fixture
def shim(redis_url: str, tmp_path: Path) -> Iterator[Shim]:
    with running(tmp_path, SMTP_FROM="HSE <noreply@hse.digital>") as started:
        yield started


def body_of(payload: bytes) -> bytes:
    return json.dumps(CALL).encode().replace(b'"payload": {}', b'"payload":{"n":' + payload + b"}")


def refused(shim: Shim, queue: str, body: dict[str, Any]) -> list[str]:
    done = shim.ask("POST", f"/{queue}", json=body)
    assert (done.status_code, done.json()["code"]) == (422, "invalid_payload"), done.text
    return [error["field"] for error in done.json()["errors"]]


def test_recipients_as_nodemailer_takes_them(shim: Shim) -> None:
    to = [{"name": "Doe, Ann", "address": "ann@faß.example"}, "b@x.example, C <c@x.example>"]
    done = shim.ask("POST", "/email", json={**MAIL, "to": to, "cc": "d@x.example; e@x.example"})
    assert done.status_code == 202, done.text
    data = shim.ask("GET", f"/email/jobs/{done.json()['jobId']}").json()["data"]
    assert data["to"] == ['"Doe, Ann" <ann@faß.example>', "b@x.example", "C <c@x.example>"]
    assert data["cc"] == ["d@x.example", "e@x.example"]


def test_payloads_that_no_attempt_could_send_are_refused(shim: Shim) -> None:
    assert refused(shim, "email", {**MAIL, "from": "x@evil.example"}) == ["from"]
    assert refused(shim, "email", {**MAIL, "subject": "x" * 999}) == ["subject"]
    assert refused(shim, "email", {**MAIL, "to": "a@x.example, b"}) == ["to.1"]
    artifact = {"attachments": [{"artifactId": "../x"}]}
    assert refused(shim, "email", {**MAIL, **artifact}) == ["attachments.0.artifactId"]
    assert refused(shim, "webhooks", {**CALL, "url": "http://169.254.169.254/"}) == ["url"]
    assert refused(shim, "webhooks", {**CALL, "secret": "whsec_not base64"}) == ["secret"]


def test_numbers_as_javascript_writes_them(shim: Shim) -> None:
    done = shim.ask("POST", "/webhooks", content=body_of(NUMBERS))
    assert done.status_code == 202, done.text
    text = shim.ask("GET", f"/webhooks/jobs/{done.json()['jobId']}").text
    assert json.loads(text)["data"]["payload"]["n"] == json.loads(NUMBERS)
    assert "100000000000000000000," in text
    lossy = {**CALL, "payload": {"n": [2**53 + 1]}}
    assert refused(shim, "webhooks", lossy) == ["payload.n.0"]
    for endless in (b"9" * 5000, b"1" + b"0" * 400):
        done = shim.ask("POST", "/webhooks", content=body_of(endless))
        assert done.status_code in {400, 422}
        assert done.headers["content-type"] == "application/problem+json"


def test_the_command_line_takes_the_same(redis_url: str) -> None:
    call = body_of(NUMBERS).decode()
    done = run_command("enqueue", "webhooks", call)
    shown = run_command("job", "webhooks", done.stdout.decode().strip(), "--json")
    assert json.loads(shown.stdout)["data"]["payload"]["n"] == json.loads(NUMBERS)
