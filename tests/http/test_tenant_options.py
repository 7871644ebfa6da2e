"""Options that members and admins may not use: many attempts, and no backoff before calling others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import MAIL, Shim

HOOK = {"url": "https://receiver.example/x", "payload": {}, "eventType": "x"}


@pytest.mark.parametrize("role", ["member", "admin"])
@pytest.mark.parametrize(
    ("queue", "body", "options", "fields"),
    [
        # 443 calls to another party's host in six seconds.
        ("webhooks", HOOK, {"attempts": 1000, "backoff": 0}, ["attempts", "backoff"]),
        ("webhooks", HOOK, {"attempts": 21}, ["attempts"]),
        ("webhooks", HOOK, {"backoff": 999}, ["backoff"]),
        ("webhooks", HOOK, {"backoff": {"type": "exponential", "delay": 0}}, ["backoff"]),
        ("email", MAIL, {"backoff": 0}, ["backoff"]),
        ("email", MAIL, {"attempts": 21}, ["attempts"]),
        ("webhooks", HOOK, {"attempts": 20, "backoff": 1000}, []),
        ("email", MAIL, {"attempts": 20, "backoff": {"delay": 1000}}, []),
        ("email", MAIL, {"attempts": None, "backoff": None}, []),
    ],
)
def test_tenants_cannot_flood_other_servers(
    shim: Shim,
    role: str,
    queue: str,
    body: dict[str, Any],
    options: dict[str, Any],
    fields: list[str],
) -> None:
    for sent in ({**body, **options}, {"payload": body, "options": options}):
        if queue == "webhooks":
            # If a payload has a field `payload`, only the wrapped form is unambiguous.
            sent = {"payload": body, "options": options}
        answer = shim.ask("POST", f"/{queue}", role, json=sent)
        assert answer.status_code == (422 if fields else 202), answer.text
        assert [one["field"] for one in answer.json().get("errors", [])] == fields


def test_an_operator_may(shim: Shim) -> None:
    options = {"attempts": 1000, "backoff": 0}
    for queue, body in (("webhooks", HOOK), ("email", MAIL)):
        sent = {"payload": body, "options": options}
        answer = shim.ask("POST", f"/{queue}", "operator", None, json=sent)
        assert answer.status_code == 202, answer.text


def test_the_document_says_so(shim: Shim) -> None:
    schemas = shim.client.get("/openapi.json").json()["components"]["schemas"]
    for name, least in (("WebhooksJob", 1000), ("EmailJob", 1000), ("ReportsJob", 0)):
        options = schemas[name]["properties"]
        assert options["attempts"]["maximum"] == 20
        assert options["backoff"]["anyOf"][0]["minimum"] == least
