"""Holding a task over HTTP: for operators who see all organizations."""

from __future__ import annotations

from typing import Any

from tests.http.conftest import MAIL, Shim

TASK = "tasks.email.send_email"
FREE = {"task": TASK, "paused": False, "pausedAt": None, "pausedBy": None, "aside": 0}


def test_an_operator_holds_a_task_and_lets_it_go(shim: Shim) -> None:
    made = shim.ask("POST", "/email", "member", "org-1", json=MAIL).json()
    listed = shim.ask("GET", "/email/tasks", "operator", None).json()
    assert listed["queue"] == "email"
    assert FREE in listed["tasks"]
    for name in (TASK, "send_email"):
        done = shim.ask(
            "PUT", f"/email/tasks/{name}", "operator", None, "olga", json={"paused": True}
        )
        assert done.status_code == 200, done.text
        held = done.json()
        assert held == {**FREE, "paused": True, "pausedAt": held["pausedAt"], "pausedBy": "olga"}
    assert shim.ask("GET", "/email/tasks", "operator", None).json()["tasks"][0] == held
    whys = [
        shim.ask("GET", f"/email/jobs/{made['jobId']}", role, org).json()["why"]
        for role, org in (("operator", None), ("admin", "org-1"))
    ]
    assert [one["code"] for one in whys] == ["task_paused"] * 2
    assert ["olga" in one["text"] for one in whys] == [True, False]
    done = shim.ask("PUT", f"/email/tasks/{TASK}", "operator", None, json={"paused": False})
    assert (done.status_code, done.json()) == (200, FREE)


def test_others_may_not_even_list_them(shim: Shim) -> None:
    for role in ("member", "admin"):
        for done in (
            shim.ask("GET", "/email/tasks", role, "org-1"),
            shim.ask("PUT", f"/email/tasks/{TASK}", role, "org-1", json={"paused": True}),
            shim.ask("PUT", f"/email/tasks/{TASK}", role, "org-1", content=b"not JSON"),
            shim.ask("GET", "/nope/tasks", role, "org-1"),
        ):
            assert (done.status_code, done.json()["code"]) == (403, "forbidden")
    assert shim.client.get("/api/jobs/email/tasks").status_code == 401


WRONG: tuple[tuple[Any, list[str]], ...] = (
    ({}, ["paused"]),
    ({"paused": None}, ["paused"]),
    ({"paused": "yes"}, ["paused"]),
    ({"paused": 1}, ["paused"]),
    ({"paused": True, "weight": 2}, ["weight"]),
    ([], ["body"]),
)


def test_what_cannot_be_set_is_named_and_nothing_is_held(shim: Shim) -> None:
    for body, fields in WRONG:
        done = shim.ask("PUT", "/email/tasks/send_email", "operator", json=body)
        assert (done.status_code, done.json()["code"]) == (422, "invalid_option"), body
        assert [one["field"] for one in done.json()["errors"]] == fields
    done = shim.ask("PUT", "/email/tasks/nope", "operator", json={"paused": True})
    assert (done.status_code, done.json()["code"]) == (404, "unknown_task")
    assert FREE in shim.ask("GET", "/email/tasks", "operator", None).json()["tasks"]
