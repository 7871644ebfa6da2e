"""An organization's quota in Python: which adds it refuses, and which pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huey.api import chord

from hsejobs.control import making
from hsejobs.engine import JobHuey
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.errors import BacklogFull, InvalidOption
from hsejobs.store.write import Cancel
from tests.engine import jobs


@pytest.fixture
def one_each(trial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_TRIAL_TENANT_BACKLOG", "1")
    reset_runtime()


def test_an_add_and_a_bulk_add(one_each: None) -> None:
    jobs.echo.add({}, organization_id="org-1", job_id="first")
    with pytest.raises(BacklogFull) as full:
        jobs.echo.add({}, organization_id="org-1")
    assert full.value.retry_after == 30
    assert not jobs.echo.add({}, organization_id="org-1", job_id="first").created
    with pytest.raises(BacklogFull, match=r"^1 of 2 jobs were refused"):
        jobs.echo.add_many([{}, {}], organization_id="org-2")
    jobs.echo.add_system([("sys:x", "org-1", {})])
    jobs.echo({})
    assert runtime().reader.stats(["trial"])[0].waiting == 4


def test_the_callback_of_a_chord_is_added_to_a_full_backlog(one_each: None) -> None:
    member = jobs.add.s(1, 2)
    member.organization_id = "org-1"
    jobs.huey.enqueue(chord([member], jobs.hear.s()))
    runtime().writer.cancel_many("trial", [member.id], Cancel("ann"))
    jobs.echo.add({}, organization_id="org-1")
    assert jobs.huey.report_end(member.id)
    assert runtime().reader.stats(["trial"], "org-1")[0].waiting == 2


class _Parent:
    organization_id, user_id, trace = "org-1", None, ""

    def family(self, organization_id: str | None) -> str:
        return f"queue/parent for {organization_id}"


@pytest.mark.parametrize(
    ("more", "quota"), [({}, 7), ({"parent": _Parent()}, 0), ({"internal": True}, 0)]
)
def test_what_a_running_job_or_the_system_adds_has_no_quota(
    more: dict[str, Any], quota: int
) -> None:
    target = making.TaskTarget("m.task", 3, 1, 0, 0, lambda one: (one, ""), tenant_backlog=7)
    assert making.make(target, {}, **more).tenant_backlog == quota


def test_the_environment_takes_precedence_over_the_code(
    trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = JobHuey("quotas", tenant_backlog=5)
    assert queue.describe().tenant_backlog == 5
    monkeypatch.setenv("QUEUE_QUOTAS_TENANT_BACKLOG", "0")
    reset_runtime()
    assert queue.describe().tenant_backlog == 0
    for wrong in (-1, True, 1.5):
        with pytest.raises(InvalidOption, match=r"^tenant_backlog: "):
            JobHuey("quotas", tenant_backlog=wrong)  # type: ignore[arg-type]
