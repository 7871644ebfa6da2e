"""The data-exports queue end to end: real consumers, kills, deadlines, mails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine import AddKeywords, JobFailed
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidPayload
from hsejobs.model import State
from hsejobs.services.artifacts.store import open_store
from hsejobs.store.work import WorkerStore
from tasks import queue_data_export
from tasks.shared.platform.database import database
from tasks.shared.platform.sample import fill
from tests.exports.conftest import read_workbook, read_zip
from tests.reports.test_jobs import content, files, mails
from tests.support import wait_until
from tests.support.consumers import Consumers

#: The document's example.
EXAMPLE: dict[str, Any] = {
    "organizationId": "org-123",
    "entities": ["stations", "audits", "incidents", "work-permits", "contractors", "users"],
    "format": "json",
    "userId": "user-123",
    "notifyEmail": "user@example.com",
}


def test_the_documents_example(platform_workers: Consumers, tmp_path: Path) -> None:
    platform_workers.start("huey_config.data_exports", "-w", "1")
    platform_workers.start("huey_config.email", "-w", "1")
    job = queue_data_export(EXAMPLE)
    result = job.wait(60)
    found = json.loads(content(tmp_path, result))
    assert result["entities"] == {name: len(found[name]) for name in EXAMPLE["entities"]}
    assert result["rows"] == sum(result["entities"].values()) > 100
    record = job.refresh()
    assert (record.organization_id, record.user_id) == ("org-123", "user-123")
    assert record.progress == 100
    wait_until(lambda: mails(tmp_path), 60, "the mail")
    (mail,) = mails(tmp_path)
    assert mail["Subject"] == "The data export of Northwind Energy is ready"
    assert result["artifact"]["name"] in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize(("form", "count"), [("csv", 150_000), ("xlsx", 15_000)])
def test_killed_half_way_and_recovered(
    platform_workers: Consumers, tmp_path: Path, form: str, count: int
) -> None:
    fill(database(None, tmp_path), 1, count)
    first = platform_workers.start("huey_config.data_exports", "-w", "1", QUEUE_LEASE_MS="1500")
    job = queue_data_export(EXAMPLE | {"format": form})
    reader = runtime().reader
    work = WorkerStore(runtime().redis, runtime().prefix, "data-exports")
    wait_until(lambda: reader.job("data-exports", job.id).progress > 12, 60, "the export's begin")
    wait_until(lambda: work.checkpointed(job.id), 60, "a place to continue from")
    platform_workers.kill(first)
    assert reader.status("data-exports", job.id) is State.ACTIVE
    platform_workers.start("huey_config.data_exports", "-w", "1", QUEUE_LEASE_MS="1500")
    result = job.wait(90)
    # Of the first run too: the second one removed what the kill had left.
    assert not list((tmp_path / "tmp").glob("*"))
    data = content(tmp_path, result)
    found = read_zip(data) if form == "csv" else read_workbook(data)
    found.pop("notes", None)
    assert result["rows"] == sum(len(rows) for rows in found.values()) == count - 3
    for rows in found.values():
        assert len({row["id"] for row in rows}) == len(rows)
    assert job.refresh().stalls == 1
    lines, _ = reader.logs("data-exports", job.id)
    assert [line for line in lines if line.startswith("continued after")]
    open_store(None, tmp_path).sweep(older_than=0)
    assert len(files(tmp_path)) == 1 + -(-result["artifact"]["bytes"] // (8 * 1024 * 1024))
    assert reader.stats(["email"])[0].waiting == 1


def test_an_export_ends_at_its_deadline(platform_workers: Consumers, tmp_path: Path) -> None:
    fill(database(None, tmp_path), 1, 100_000)
    platform_workers.start("huey_config.data_exports", "-w", "1")
    job = queue_data_export(EXAMPLE, timeout=0.4, attempts=1)
    with pytest.raises(JobFailed) as caught:
        job.wait(60)
    assert caught.value.failure_code == "timeout"
    assert queue_data_export(EXAMPLE | {"entities": ["stations"]}).wait(60)["rows"] > 0
    open_store(None, tmp_path).sweep(older_than=0)
    assert len(files(tmp_path)) == 2


def test_of_whom(platform_workers: Consumers) -> None:
    platform_workers.start("huey_config.data_exports", "-w", "1")
    unnamed = {"entities": ["stations"]}
    for payload, options, said in (
        (
            EXAMPLE,
            AddKeywords(organization_id="org-124"),
            "organizationId: must be the organization",
        ),
        (unnamed, AddKeywords(), "is required"),
        (unnamed, AddKeywords(organization_id="org-none"), "no such organization"),
    ):
        job = queue_data_export(payload, **options)
        with pytest.raises(JobFailed, match=said):
            job.wait(60)
        assert job.refresh().attempts_made == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"entities": []}, "entities"),
        ({"entities": ["passwords"]}, "entities"),
        ({"entities": ["users", "users"]}, "entities"),
        ({"format": "xls"}, "format"),
        ({"notifyEmail": "nobody"}, "notifyEmail"),
    ],
)
def test_a_bad_payload_adds_nothing(
    platform_workers: Consumers, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidPayload, match=field):
        queue_data_export(EXAMPLE | change)
    assert runtime().reader.stats(["data-exports"])[0].waiting == 0


def test_an_unreachable_database(
    platform_workers: Consumers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", f"postgresql://u:s3cr3t-pw@/x?host={tmp_path}")
    platform_workers.start("huey_config.data_exports", "-w", "1")
    job = queue_data_export(EXAMPLE, attempts=2, backoff=0.01)
    with pytest.raises(JobFailed) as caught:
        job.wait(60)
    assert caught.value.failure_code == "platform_unavailable"
    record = job.refresh()
    assert record.attempts_made == 2
    assert "s3cr3t-pw" not in str(record.errors)
