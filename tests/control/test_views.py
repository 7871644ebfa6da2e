"""Which parts of a job are masked or hidden when it is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsejobs.control import views
from hsejobs.control.actors import Actor
from hsejobs.model import JobRecord, State
from hsejobs.store.circuits import Circuit
from hsejobs.store.registry import QueueInfo, TaskInfo

SECRET = "sig-0815-4711"
INFO = QueueInfo(
    "q", [TaskInfo("t.a", None, ["sig", "login.key"]), TaskInfo("t.b", None, ["other"])]
)
ALL = Actor("cli")


def record(**fields: Any) -> JobRecord:
    made = JobRecord(
        id="a",
        queue="q",
        name="t.a",
        status=State.FAILED,
        organization_id="org-1",
        user_id="ann",
        priority=3,
        attempts_made=1,
        attempts=1,
        backoff=0,
        timeout=0,
        created_at=1,
    )
    return replace(made, **fields)


def shown(**fields: Any) -> dict[str, Any]:
    return views.job(record(**fields), INFO, ALL)


def test_a_secret_field_is_masked_in_payload_and_result() -> None:
    data = {"sig": SECRET, "login": {"key": 5, "n": 1}, "other": "stays"}
    masked = {"sig": "***", "login": {"key": "***", "n": 1}, "other": "stays"}
    assert shown(data=data)["data"] == masked
    assert shown(data={}, result=data)["result"] == masked
    assert data["sig"] == SECRET


def test_of_a_task_that_is_not_listed_every_tasks_secrets_are_masked() -> None:
    assert shown(name="t.gone", data={"sig": 1, "other": 2, "n": 3})["data"] == {
        "sig": "***",
        "other": "***",
        "n": 3,
    }
    assert views.masked_data({"sig": 1}, views.secret_paths(None, "t.a")) == {"sig": 1}


def test_a_secrets_value_is_masked_wherever_it_appears() -> None:
    error = {"error": f"no {SECRET}", "traceback": f'File "x": {SECRET}', "code": "error"}
    found = shown(
        data={"sig": SECRET},
        result=[f"a {SECRET}", {SECRET: 1}],
        errors=(error,),
        progress_message=f"at {SECRET}",
    )
    assert SECRET not in str(found)
    assert found["result"] == ["a ***", {"***": 1}]
    assert (found["failedReason"], found["progressMessage"]) == ("no ***", "at ***")
    assert found["errors"][0]["traceback"] == 'File "x": ***'
    assert error["error"] == f"no {SECRET}"


def test_of_more_secrets_than_can_be_looked_for_the_texts_are_masked_whole() -> None:
    error = {"error": "e" * 300, "traceback": "t" * 8_000, "attempt": 1, "code": "error"}
    data = {"sig": [f"{n:05x}" for n in range(12_000)]}
    found = shown(data=data, errors=(error,), result={"said": "r" * 400})
    assert (found["errors"][0]["traceback"], found["errors"][0]["attempt"]) == ("***", 1)
    assert found["result"] == "***"


def test_a_value_under_a_secret_name_is_masked_without_a_model() -> None:
    found = shown(data={"n": 1}, result={"list": [{"Password": "x", "user": "ann"}]})
    assert found["result"] == {"list": [{"Password": "***", "user": "ann"}]}


def test_a_broken_payload_is_hidden_and_a_text_as_a_result_is_not() -> None:
    found = shown(data='{"sig": "' + SECRET, result="done")
    assert (found["data"], found["result"]) == (views.BROKEN, "done")


class _Lines:
    """A reader of two log lines."""

    @staticmethod
    def logs(queue: str, job_id: str, *, start: int) -> tuple[list[str], int]:
        return [f"used {SECRET}", "ended"][start:], 7


def test_log_lines_are_masked_and_hidden_by_the_same_rules() -> None:
    reader: Any = _Lines()
    one = record(data={"sig": SECRET})
    assert views.logs(reader, one, INFO, ALL) == (["used ***", "ended"], 7)
    assert views.logs(reader, one, INFO, ALL, tail=1) == (["ended"], 7)
    bob = Actor("http", "member", "org-1", "bob")
    assert views.logs(reader, one, INFO, bob) == (None, 7)


@pytest.mark.parametrize(
    ("role", "org", "user", "sees"),
    [
        ("operator", None, None, True),
        ("operator", "org-1", None, True),
        ("admin", "org-1", "bob", True),
        ("admin", "org-2", "ann", False),
        ("member", "org-1", "ann", True),
        ("member", "org-1", "bob", False),
        ("member", "org-2", "ann", False),
    ],
)
def test_who_sees_what_is_in_a_job(role: str, org: str | None, user: str, sees: bool) -> None:
    fields: dict[str, Any] = {
        "data": {"n": 1},
        "result": 5,
        "progress_message": "x",
        "errors": ({"error": "it broke", "attempt": 1},),
        "code": "error",
        "cancel": {"by": "ann", "reason": "too late", "at": 1},
    }
    actor = Actor("http", role, org, user)
    found = views.job(record(**fields), INFO, actor)
    assert all((found[name] is not None) == sees for name in views.CONTENTS)
    assert (found["id"], found["status"]) == ("a", "failed")
    kept = views.hidden(record(**fields), actor)
    assert (kept.data == views.HIDDEN, kept.result is None, kept.code == "hidden") == (
        (not sees,) * 3
    )
    assert kept.errors[0]["attempt"] == 1
    assert ("it broke" in str(kept.errors)) == sees


def test_a_member_sees_of_circuits_that_they_are_there() -> None:
    one = Circuit("webhook:org-1:a.example:443", "open", 3, 1, None, True, "said no")
    assert views.circuits([one], Actor("http", "admin", "org-1")) == [one]
    [hidden] = views.circuits([one], Actor("http", "member", "org-1"))
    assert "a.example" not in str(hidden)
    assert (hidden.state, hidden.last_error) == ("open", views.HIDDEN)
