"""Cleanup by a real consumer: what it removes, what it keeps, and what the job reports."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hsejobs.engine import JobFailed
from hsejobs.engine.runtime import runtime
from hsejobs.model import State
from hsejobs.services.artifacts.store import open_store
from hsejobs.services.mail.outbox import sweep_outbox
from tasks.cleanup import clean_up
from tasks.email import queue_email
from tests.schedules.conftest import Board
from tests.support.consumers import Consumers

CLEANUP = "tasks.cleanup.hourly_cleanup"


def save(home: Path, artifact_id: str, expires_at: int, job_id: str | None = None) -> None:
    with open_store(None, home).write(
        "o",
        artifact_id,
        name="n",
        content_type="t/t",
        expires_at=expires_at,
        queue="foreign" if job_id else None,
        job_id=job_id,
    ) as out:
        out.write(b"content")


def test_the_hourly_run_keeps_what_is_young(
    board: Board, platform_workers: Consumers, tmp_path: Path
) -> None:
    board.register("foreign")
    for queue in ("foreign", "email"):
        board.finished(queue, State.COMPLETED, 1_203, 25)
        board.finished(queue, State.COMPLETED, 7, 23)
        board.finished(queue, State.FAILED, 11, 169)
        board.finished(queue, State.FAILED, 13, 167)
    waiting = queue_email({"to": "a@example.com", "subject": "s", "text": "t"}, delay=9999)
    now = int(time.time() * 1000)
    for number in range(3):
        save(tmp_path, f"old-{number}", now - 1)
    save(tmp_path, "kept", now + 9_999_999)
    left = tmp_path / "artifacts" / ("a" * 64) / f"{'b' * 64}.{'9' * 15}.{'c' * 16}.000000"
    left.parent.mkdir()
    left.write_bytes(b"half")
    (tmp_path / "outbox").mkdir()
    mail = tmp_path / "outbox" / ".m.tmp"
    mail.touch()
    for path in (left, mail):
        os.utime(path, (time.time() - 90_000,) * 2)
    board.command("ZADD", board.key("foreign", "workers"), 1, "dead:1")

    board.due("cleanup", CLEANUP, 60)
    platform_workers.start("huey_config.cleanup")
    run = board.run_of("cleanup", CLEANUP)
    assert run.startswith(f"periodic:{CLEANUP}:")
    assert board.ended("cleanup", run) is State.COMPLETED
    record = runtime().reader.job("cleanup", run)
    gone = {"completed": 1203, "failed": 11}
    assert record.result == {
        "jobs": {"email": gone, "foreign": gone},
        "artifacts": 3,
        "temporaries": 2,
        "workers": 1,
    }
    lines, _ = runtime().reader.logs("cleanup", run)
    assert lines == [
        "jobs: email 1214, foreign 1214; dead workers: 1",
        "artifacts: 3; temporary files: 2",
    ]
    for queue in ("foreign", "email"):
        assert board.count(queue, State.COMPLETED) == 7
        assert board.count(queue, State.FAILED) == 13
    assert waiting.refresh().status is State.DELAYED
    assert open_store(None, tmp_path).get("o", "kept").bytes == 7
    assert sum(path.is_file() for path in (tmp_path / "artifacts").rglob("*")) == 2
    assert not list((tmp_path / "outbox").iterdir())
    # No key of a removed job is left.
    assert not runtime().redis.command("EXISTS", board.key("foreign", "job", "completed-25-0"))


def test_a_manual_run_keeps_jobs_as_long_as_its_payload_says(
    board: Board, platform_workers: Consumers
) -> None:
    board.register("foreign")
    board.finished("foreign", State.COMPLETED, 3, 2)
    board.finished("foreign", State.FAILED, 3, 2)
    platform_workers.start("huey_config.cleanup")
    result = clean_up.add({"completedHours": 1, "failedHours": 3}).wait(30)
    assert result["jobs"] == {"foreign": {"completed": 3}}
    assert result["workers"] == 0


def test_a_job_stays_as_long_as_its_file_and_a_manual_cleanup_takes_it(
    board: Board, platform_workers: Consumers, tmp_path: Path
) -> None:
    board.register("foreign")
    board.finished("foreign", State.COMPLETED, 3, 25)
    now = int(time.time() * 1000)
    # One file can still be loaded, the other has expired.
    for number, expires in enumerate((now + 9_999_999, now - 1)):
        key = board.key("foreign", "job", f"completed-25-{number}")
        board.command("HSET", key, "o", "o", "af", f"file-{number}", "ae", expires)
        save(tmp_path, f"file-{number}", expires, f"completed-25-{number}")
    platform_workers.start("huey_config.cleanup")
    board.due("cleanup", CLEANUP, 60)
    assert board.ended("cleanup", board.run_of("cleanup", CLEANUP)) is State.COMPLETED
    assert board.count("foreign", State.COMPLETED) == 1
    assert open_store(None, tmp_path).get("o", "file-0").bytes == 7
    assert sum(path.is_file() for path in (tmp_path / "artifacts").rglob("*")) == 2
    result = clean_up.add({"completedHours": 1}).wait(30)
    assert result["jobs"]["foreign"] == {"completed": 1}
    assert result["artifacts"] == 1
    assert not [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert not board.command("EXISTS", board.key("foreign", "gone"))


def test_a_spoilt_store_fails_the_run_after_the_jobs_went(
    board: Board, platform_workers: Consumers, tmp_path: Path
) -> None:
    board.register("foreign")
    board.finished("foreign", State.COMPLETED, 3, 25)
    platform_workers.start(
        "huey_config.cleanup",
        ARTIFACTS_URL="s3://kept",
        AWS_REGION="none",
        AWS_ACCESS_KEY_ID="x",
        AWS_SECRET_ACCESS_KEY="x",
        AWS_ENDPOINT_URL="ftp://127.0.0.1",
    )
    job = clean_up.add({})
    with pytest.raises(JobFailed, match="ARTIFACTS_URL"):
        job.wait(60)
    assert board.total("foreign") == 0


def test_counters_of_minutes_end_by_themselves(board: Board) -> None:
    board.finished("foreign", State.COMPLETED, 3, 0)
    found = board.client.keys(board.key("foreign", "minute", "*"))
    assert found
    for key in found:
        assert 0 < board.client.ttl(key) <= 48 * 3600


def test_the_outbox_keeps_mails_and_what_is_being_written(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    folder.mkdir()
    for name in (".young.tmp", ".old.tmp", "old.eml"):
        (folder / name).touch()
        if "old" in name:
            os.utime(folder / name, (1, 1))
    assert sweep_outbox(tmp_path) == 1
    assert sorted(path.name for path in folder.iterdir()) == [".young.tmp", "old.eml"]
    assert sweep_outbox(tmp_path / "nowhere") == 0
