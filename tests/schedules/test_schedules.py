"""`hsejobs schedules`: cron, next and last run, outcome; and a manual run."""

from __future__ import annotations

import datetime

import pytest

from hsejobs.engine.runtime import runtime
from hsejobs.model import State
from tests.cli.test_commands import document, run
from tests.schedules.conftest import Board
from tests.support.consumers import Consumers

CLEANUP, WEEKLY = "tasks.cleanup.hourly_cleanup", "tasks.reports.weekly_compliance"


def schedules() -> dict[str, dict[str, str | None]]:
    return {one["name"]: one for one in document("schedules")}


def test_cron_and_next_before_any_run(board: Board) -> None:
    found = schedules()
    assert set(found) == {"hourly_cleanup", "weekly_compliance"}
    hourly, weekly = found["hourly_cleanup"], found["weekly_compliance"]
    assert (hourly["queue"], hourly["cron"]) == ("cleanup", "0 * * * *")
    assert (weekly["queue"], weekly["cron"]) == ("reports", "0 0 * * 0")
    assert weekly["last"] is weekly["lastJob"] is weekly["outcome"] is None
    now = datetime.datetime.now(datetime.UTC)
    for one, most in ((hourly, datetime.timedelta(hours=1)), (weekly, datetime.timedelta(days=7))):
        assert one["next"] is not None
        after = datetime.datetime.fromisoformat(one["next"])
        assert now - datetime.timedelta(minutes=1) < after <= now + most
        assert (after.minute, after.second) == (0, 0)
    assert datetime.datetime.fromisoformat(str(weekly["next"])).isoweekday() == 7


@pytest.mark.parametrize("name", ["hourly_cleanup", CLEANUP])
def test_a_manual_run_is_the_last_one_and_outlives_its_record(
    board: Board, platform_workers: Consumers, name: str
) -> None:
    board.hold("cleanup", CLEANUP)
    made = run("schedules", "run", name)
    assert made.returncode == 0, made.stderr
    job_id = made.stdout.strip()
    waiting = schedules()["hourly_cleanup"]
    assert (waiting["lastJob"], waiting["outcome"]) == (job_id, "waiting")
    platform_workers.start("huey_config.cleanup")
    assert board.ended("cleanup", job_id) is State.COMPLETED
    after = schedules()["hourly_cleanup"]
    assert (after["lastJob"], after["outcome"]) == (job_id, "completed")
    assert after["last"] == waiting["last"]
    assert after["last"] is not None
    assert run("remove", "cleanup", job_id, "--yes").returncode == 0
    assert runtime().reader.status("cleanup", job_id) is None
    gone = schedules()["hourly_cleanup"]
    assert gone | {"next": None} == after | {"next": None}
    shown = run("schedules")
    assert "0 * * * *" in shown.stdout
    assert "completed" in shown.stdout


def test_a_failed_run_is_shown_until_the_next(board: Board, platform_workers: Consumers) -> None:
    board.due("cleanup", CLEANUP, 60)
    wrong = platform_workers.start("huey_config.cleanup", ARTIFACTS_URL="az://x/y")
    job_id = board.run_of("cleanup", CLEANUP)
    assert board.ended("cleanup", job_id) is State.FAILED
    assert schedules()["hourly_cleanup"]["outcome"] == "failed"
    platform_workers.kill(wrong)
    runtime().writer.clean("cleanup", State.FAILED, 0)
    assert schedules()["hourly_cleanup"]["outcome"] == "failed"
    platform_workers.start("huey_config.cleanup")
    again = run("schedules", "run", "hourly_cleanup").stdout.strip()
    assert board.ended("cleanup", again) is State.COMPLETED
    found = schedules()["hourly_cleanup"]
    assert (found["lastJob"], found["outcome"]) == (again, "completed")


def test_an_unknown_schedule_is_refused(redis_url: str) -> None:
    refused = run("schedules", "run", "nightly")
    assert refused.returncode == 1
    assert "hsejobs schedules" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_an_obliterated_queue_forgets_its_runs(board: Board, platform_workers: Consumers) -> None:
    board.hold("cleanup", CLEANUP)
    consumer = platform_workers.start("huey_config.cleanup")
    job_id = run("schedules", "run", "hourly_cleanup").stdout.strip()
    board.ended("cleanup", job_id)
    platform_workers.kill(consumer)
    runtime().writer.obliterate("cleanup")
    assert runtime().reader.last_outcomes("cleanup") == {}
    left = runtime().redis.command("EXISTS", board.key("cleanup", "lastends"))
    assert left == 0
