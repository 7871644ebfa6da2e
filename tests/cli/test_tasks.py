"""`hsejobs tasks`: the tasks of a queue, held and let go."""

from __future__ import annotations

from pathlib import Path

import pytest

import huey_config
from hsejobs.errors import UnknownTask
from tests.cli.test_commands import MAIL
from tests.cli.test_tenants import document, here, run
from tests.conformance.doors import Cli

__all__ = ["here"]

TASK = "tasks.email.send_email"
ROW = {"task": TASK, "paused": False, "pausedAt": None, "pausedBy": None, "aside": 0}


def test_a_task_is_held_listed_and_let_go(tmp_path: Path) -> None:
    run("enqueue", "email", MAIL)
    assert ROW in document("tasks", "email")["tasks"]
    assert document("tasks", "list", "email") == document("tasks", "email")
    done = run("tasks", "set", "send_email", "--queue", "email", "--paused")
    assert done == f"{TASK} in email is held: its running jobs finish, no others start\n"
    [first, *_] = document("tasks", "email")["tasks"]
    assert (first["task"], first["paused"], first["aside"]) == (TASK, True, 0)
    assert first["pausedBy"]
    assert first["pausedAt"]
    assert "held" in run("tasks", "email")
    assert "email (1 task held)" in run("stats")
    assert "its task is paused in this queue: by " in run("job", "email", _waiting())
    # Python sees the same, by any name of the task.
    queue = huey_config.QUEUES["email"]
    assert queue.list_tasks().tasks[0].public() == first
    assert document("tasks", "set", TASK, "--queue", "email", "--resumed") == ROW
    acts = [one for one in document("audit")["entries"] if one["act"] == "tasks set"]
    assert [(one["where"], one["count"]) for one in acts] == [
        (f"task={TASK} paused=false", 1),
        (f"task={TASK} paused=true", 1),
    ]
    marks = document("history", "email")["marks"]
    texts = [one["text"] for one in marks if one["kind"] == "act"]
    assert [text for text in texts if "tasks set" in text] == [
        f"tasks set task={TASK} paused=true",
        f"tasks set task={TASK} paused=false",
    ]
    with pytest.raises(UnknownTask):
        queue.set_task("nope", paused=True)


def _waiting() -> str:
    job_id: str = document("jobs", "email", "--status", "waiting")["jobs"][0]["id"]
    return job_id


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["nope"], 1, "unknown_queue"),
        (["set", "send_email"], 2, "queue"),
        (["set", "send_email", "--queue", "email"], 2, "--resumed"),
        (["set", "nope", "--queue", "email", "--paused"], 1, "unknown_task"),
        (["set", "send_email", "--queue", "nope", "--paused"], 1, "unknown_queue"),
    ],
)
def test_what_is_refused_says_why(words: list[str], status: int, says: str) -> None:
    found, out, told = Cli.run("tasks", *words)
    assert (found, says in told, out) == (status, True, ""), told
