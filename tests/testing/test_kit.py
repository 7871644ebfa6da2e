"""Applications' jobs in tests: the same outcomes as with consumers, without Redis."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import huey_config  # noqa: F401  # the queues of the platform
from hsejobs.control.actors import Actor
from hsejobs.engine import JobHuey, Postpone, Unrecoverable, crontab, current_job
from hsejobs.engine.huey import loaded
from hsejobs.engine.runtime import reset_runtime
from hsejobs.errors import JobFailed, JobsError
from hsejobs.handle import Job
from hsejobs.store import client
from hsejobs.testing import TestJobs, kit, testing
from tests import test_integration_docs as docs

QUEUES = ("email", "reports", "data-exports", "webhooks", "tenant-onboarding", "cleanup")
NOON = datetime.datetime(2026, 11, 26, 12, 0, 30, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def _nothing_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    # A connection that an earlier test of this process has opened would be used.
    reset_runtime()

    def refuse(url: str) -> Any:
        raise AssertionError(f"a test without Redis connects to {url}")

    monkeypatch.setattr(client, "connect", refuse)


@pytest.fixture
def huey() -> JobHuey:
    return JobHuey("kit", attempts=3, backoff=60)


@pytest.fixture
def jobs(huey: JobHuey) -> Iterator[TestJobs]:
    with testing(huey, now=NOON) as found:
        yield found


def task(huey: JobHuey, function: Callable[..., Any], **options: Any) -> Any:
    return huey.task(**options)(function)


def test_a_job_runs_when_the_test_says_so(huey: JobHuey, jobs: TestJobs) -> None:
    def double(payload: dict[str, int]) -> int:
        current_job().progress(50, "half")
        return payload["n"] * 2

    added = task(huey, double).add({"n": 4}, organization_id="org-1", user_id="u")
    assert (type(added), added.created, added.status) == (Job, True, "waiting")
    assert [one.id for one in jobs.added("kit")] == [added.id]
    assert jobs.run() == 1
    assert added.status == "completed"
    [record] = jobs.records("kit", name="double")
    assert (record.result, record.organization_id, record.progress) == (8, "org-1", 100)
    assert added.wait() == 8
    assert jobs.run() == 0


def test_waiting_runs_the_job(huey: JobHuey, jobs: TestJobs) -> None:
    assert task(huey, lambda payload: payload["n"]).add({"n": 3}).wait(5) == 3
    with pytest.raises(JobFailed, match="no such host"):
        task(huey, _fails).add({}, attempts=1).wait()


def _fails(payload: Any) -> None:
    raise Unrecoverable("no such host")


def test_retries_wait_for_the_backoff(huey: JobHuey, jobs: TestJobs) -> None:
    runs = []

    def flaky(payload: Any) -> str:
        runs.append(jobs.now)
        if current_job().attempt < 3:
            raise ConnectionError("down")
        return "done"

    job = task(huey, flaky).add({})
    jobs.run()
    assert (job.refresh().status, job.refresh().attempts_made) == ("delayed", 1)
    assert jobs.advance(seconds=59) == 0
    jobs.advance(minutes=10)
    assert [int((at - NOON).total_seconds()) for at in runs] == [0, 60, 360]
    assert job.wait() == "done"
    assert [one["error"] for one in job.refresh().errors] == ["ConnectionError: down"] * 2


def test_delays_and_postponements(huey: JobHuey, jobs: TestJobs) -> None:
    seen = []

    def once_more(payload: Any) -> None:
        seen.append(jobs.now)
        if len(seen) == 1:
            raise Postpone("busy", delay=300)

    job = task(huey, once_more).add({}, delay=3600)
    with pytest.raises(JobsError, match=r"delayed until 2026-11-26T13:00:30.* call jobs\.advance"):
        job.wait()
    jobs.advance(hours=2)
    assert [at - NOON for at in seen] == [
        datetime.timedelta(hours=1),
        datetime.timedelta(hours=1, minutes=5),
    ]
    assert (job.refresh().status, job.refresh().attempts_made) == ("completed", 1)


def test_a_mark_outlives_the_attempt(huey: JobHuey, jobs: TestJobs) -> None:
    sent = []

    def send(payload: Any) -> None:
        if current_job().once("sent"):
            sent.append(1)
        raise ConnectionError

    job = task(huey, send).add({})
    jobs.advance(days=1)
    assert (sent, job.refresh().status, job.refresh().attempts_made) == ([1], "failed", 3)


def test_schedules_run_at_their_times(huey: JobHuey, jobs: TestJobs) -> None:
    seen = []

    @huey.periodic_task(crontab(minute="*/15"))
    def quarter() -> None:
        seen.append(jobs.now.strftime("%H:%M"))

    jobs.advance(minutes=50)
    assert seen == ["12:15", "12:30", "12:45"]
    assert [one.id for one in jobs.added()] == [
        f"periodic:{quarter.full_name}:20261126T12{minute}Z" for minute in (15, 30, 45)
    ]


def test_priorities_ids_and_follow_ups(huey: JobHuey, jobs: TestJobs) -> None:
    order = []

    def note(payload: dict[str, str]) -> str:
        order.append(payload["name"])
        if payload["name"] == "first":
            current.add({"name": "child"}, priority=1)
        return payload["name"]

    current = task(huey, note)
    current.add({"name": "last"}, priority=5)
    current.add({"name": "first"}, priority=1, job_id="mine")
    assert not current.add({"name": "again"}, job_id="mine").created
    current.add_many([{"name": "a"}, {"name": "b"}])
    assert jobs.run("kit") == 5
    assert order == ["first", "child", "a", "b", "last"]


def test_huey_s_pipelines_and_locks(huey: JobHuey, jobs: TestJobs) -> None:
    @huey.task()
    def add(one: int, other: int) -> int:
        with huey.lock_task("sum"):
            return one + other

    result = huey.enqueue(add.s(1, 2).then(add, 10).then(add, 100))
    assert jobs.run() == 3
    assert result.get() == [3, 13, 113]


def test_a_cancelled_job_does_not_run(huey: JobHuey, jobs: TestJobs) -> None:
    job = task(huey, _fails).add({})
    assert job.cancel("not now").code == "cancelled"
    assert jobs.run() == 0
    assert job.refresh().failed_reason == f"cancelled by {Actor('python').who}: not now"


def test_what_the_test_gets_wrong(
    huey: JobHuey, jobs: TestJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(JobsError, match="'other' has no part in this test; those that have: kit"):
        jobs.run("other")
    with pytest.raises(JobsError, match="time cannot go back"):
        jobs.advance(minutes=-1)
    with (
        pytest.raises(JobsError, match="time zone"),
        testing(huey, now=datetime.datetime(2026, 1, 1)),
    ):
        pass
    again = huey.task(name="again")(lambda payload: again.add({}))
    again.add({})
    monkeypatch.setattr(kit, "MOST", 30)
    with pytest.raises(JobsError, match="more than 30 runs"):
        jobs.run()


def test_nothing_is_left_after_the_block(huey: JobHuey) -> None:
    double = task(huey, lambda payload: 2)
    with testing(huey) as first:
        double.add({})
    with testing(huey) as second:
        assert second.added() == []
        assert first.added() == [] or len(first.added()) == 1


def test_a_queue_is_registered_in_redis_after_a_test(huey: JobHuey) -> None:
    """Seen: its jobs were added to a queue that no other door knew."""
    double = task(huey, lambda payload: 2)
    for _ in range(2):
        with testing(huey):
            double.add({})
        with pytest.raises(AssertionError, match="connects to"):
            huey.register()


def test_a_script_without_a_file_may_run_its_own_jobs(huey: JobHuey, jobs: TestJobs) -> None:
    """Seen: `python -c` was refused, because no consumer could import its task; here there is none."""
    double = task(huey, lambda payload: 2)
    huey.unimportable[next(iter(huey.wrappers))] = "it was not read from a file"
    assert double.add({}).wait() == 2


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestJobs]:
    """The six queues of the platform, with an empty folder of their own."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("JOBS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SMTP_FROM", "noreply@hse.example")
    with testing(*(huey_of(name) for name in QUEUES)) as found:
        yield found


def huey_of(name: str) -> JobHuey:
    found = loaded(name)
    assert found is not None
    return found


def test_the_platform_s_signup(platform: TestJobs, tmp_path: Path) -> None:
    user = SimpleNamespace(id="u-1", organization_id="org-1", name="Ann", email="ann@b.example")
    names = docs.run(
        tmp_path, "signup", create_user=lambda form: user, render_welcome_email=lambda user: "<p>Hi"
    )
    for _ in range(2):
        names["signup"]({})
    [mail] = platform.records("email")
    assert (mail.id, mail.organization_id, mail.user_id) == ("welcome-u-1", "org-1", "u-1")
    assert mail.data["to"] == ["ann@b.example"]


def test_the_platform_s_schedule(platform: TestJobs, tmp_path: Path) -> None:
    orgs = [SimpleNamespace(id=f"org-{n}", admin_email=f"a@org-{n}.example") for n in (1, 2)]
    names = docs.run(tmp_path, "schedule", organizations=lambda: orgs, this_month=lambda: "2026-11")
    start = datetime.datetime(2026, 11, 30, 23, 0, tzinfo=datetime.UTC)
    with testing(names["huey"], huey_of("reports"), now=start) as jobs:
        jobs.advance(minutes=60)
        [run] = jobs.records("monthly-reports")
        assert run.status == "completed"
        assert [one.id for one in jobs.added("reports")] == [
            "compliance:2026-11:org-1",
            "compliance:2026-11:org-2",
        ]


def test_the_platform_s_incident(platform: TestJobs, tmp_path: Path) -> None:
    hooks = [SimpleNamespace(id="h-1", url="https://one.example/hook", secret="s3cr3t-s3cr3t")]
    names = docs.run(
        tmp_path,
        "incident",
        create_incident=lambda form: {"id": "i-1", **form},
        webhooks_of=lambda tenant, event: hooks,
    )
    for _ in range(2):
        names["report_incident"]({"title": "Spill"}, "org-1")
    [call] = platform.records("webhooks")
    assert (call.id, call.organization_id) == ("i-1:created:h-1", "org-1")
    assert call.data["payload"]["data"] == {"id": "i-1", "title": "Spill"}


def test_the_platform_s_fan_out(platform: TestJobs, tmp_path: Path) -> None:
    docs.subscribe(tmp_path / "home")
    names = docs.run(tmp_path, "fan-out", create_incident=lambda form: {"id": "i-1", **form})
    for _ in range(2):
        names["report_incident"]({"title": "Spill"}, "org-1")
    [call] = platform.records("webhooks")
    assert call.data["payload"]["data"] == {"id": "i-1", "title": "Spill"}


def test_the_platform_s_new_tenant(platform: TestJobs, tmp_path: Path) -> None:
    job = docs.run(tmp_path, "tenant")["job"]
    assert job.refresh().data["organizationName"] == "Acme Corp"
    result = job.wait()
    assert result["organizationId"]
