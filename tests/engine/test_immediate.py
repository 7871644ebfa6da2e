"""Immediate mode: tasks that use their job run in the program that adds them, without Redis."""

from __future__ import annotations

from typing import Any

import pytest
from huey.exceptions import TaskException

from hsejobs.engine import JobHuey, current_job
from hsejobs.errors import InvalidInput, JobsError

SEEN: list[dict[str, Any]] = []


@pytest.fixture
def huey(monkeypatch: pytest.MonkeyPatch) -> JobHuey:
    # Nothing listens there: any use of Redis would fail.
    monkeypatch.setenv("QUEUE_REDIS_URL", "redis://127.0.0.1:1")
    SEEN.clear()
    return JobHuey("trial", immediate=True, attempts=3)


def test_a_task_uses_its_job(huey: JobHuey) -> None:
    @huey.task()
    def work(payload: dict[str, Any]) -> int:
        job = current_job()
        before = job.resumed_from
        job.progress(50, "half")
        job.log("a line")
        job.check()
        job.checkpoint({"row": job.attempt})
        seen = {"id": job.id, "attempt": job.attempt, "of": job.attempts, "before": before}
        SEEN.append({**seen, "once": job.once("mail"), "done": job.done("call")})
        job.mark_done("call")
        assert (job.cancelled, job.queue, job.name) == (False, "trial", work.full_name)
        assert (job.organization_id, job.user_id, job.priority) == ("org-1", "ann", 2)
        assert job.artifact_id(1) == job.artifact_id(2)
        if job.attempt < payload["succeeds"]:
            raise ValueError("not yet")
        child.add({})
        return job.attempt

    @huey.task()
    def child(payload: dict[str, Any]) -> None:
        SEEN.append({"id": current_job().id, "org": current_job().organization_id})

    def add(succeeds: int) -> Any:
        return work.add(
            {"succeeds": succeeds},
            job_id="one",
            priority=2,
            organization_id="org-1",
            user_id="ann",
        )

    assert add(2).get() == 2
    (first, second, nested) = SEEN
    begun = {"id": "one", "attempt": 1, "of": 3, "before": None}
    assert first == {**begun, "once": True, "done": False}
    assert second == {**first, "attempt": 2, "before": {"row": 1}, "once": False, "done": True}
    assert nested["org"] == "org-1"
    assert nested["id"] != "one"
    with pytest.raises(JobsError, match="no job is running"):
        current_job()
    with pytest.raises(TaskException, match="not yet"):
        add(9).get()
    assert [one["attempt"] for one in SEEN[3:]] == [1, 2, 3]


def test_its_rules_hold(huey: JobHuey) -> None:
    @huey.task()
    def work(payload: dict[str, Any]) -> str:
        with pytest.raises(ValueError, match="0 to 100"):
            current_job().progress(101)
        with pytest.raises(InvalidInput, match="at most 16,384"):
            current_job().checkpoint("x" * 20_000)
        current_job().checkpoint({"token": payload["password"]})
        return str(current_job().time_remaining)

    added: Any = work.add({"password": "hunter2"})
    assert added.get() == "inf"
    assert work({"password": "hunter2"}).get() == "inf"


def test_a_delayed_task_waits(huey: JobHuey) -> None:
    """Nothing in this mode runs a task later, as in Huey: adding one must return all the same."""

    @huey.task()
    def work(payload: dict[str, Any]) -> None:
        SEEN.append(payload)

    work.schedule(({},), delay=60)
    assert SEEN == []
