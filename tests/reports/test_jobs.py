"""The reports queue end to end: real consumers, artifacts, mails, kills."""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine import AddKeywords, JobFailed
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidPayload
from hsejobs.model import State
from hsejobs.services.artifacts.links import verify
from hsejobs.services.artifacts.store import open_store
from hsejobs.settings import load_settings
from tasks import queue_report
from tasks.shared.platform.database import database
from tasks.shared.platform.rows import PlatformTenant
from tasks.shared.platform.sample import fill
from tasks.shared.platform.schema import AUDITS
from tests.reports.conftest import text_of
from tests.support import wait_until
from tests.support.consumers import Consumers

#: The document's example.
EXAMPLE: dict[str, Any] = {
    "type": "audits",
    "organizationId": "org-123",
    "filters": {"status": "Completed"},
    "format": "json",
    "userId": "user-123",
    "notifyEmail": "user@example.com",
}


def content(home: Path, result: dict[str, Any], organization: str = "org-123") -> bytes:
    """The artifact that a result refers to."""
    artifact, pieces = open_store(None, home).open(organization, result["artifact"]["id"])
    data = b"".join(pieces)
    assert result["artifact"]["bytes"] == len(data) == artifact.bytes
    assert result["artifact"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert result["artifact"]["name"] == artifact.name
    return data


def files(home: Path) -> list[Path]:
    """All files of all artifacts, unfinished ones too."""
    return [file for file in (home / "artifacts").rglob("*") if file.is_file()]


def mails(home: Path) -> list[Any]:
    """What the mail queue wrote."""
    return [
        email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        for file in sorted((home / "outbox").glob("*.eml"))
    ]


def test_the_documents_example(platform_workers: Consumers, tmp_path: Path) -> None:
    platform_workers.start("huey_config.reports", "-w", "1")
    platform_workers.start("huey_config.email", "-w", "1")
    job = queue_report(EXAMPLE)
    result = job.wait(60)
    found = json.loads(content(tmp_path, result))
    tenant = PlatformTenant(database(None, tmp_path), "org-123")
    completed = tenant.count(tenant.select(AUDITS).where(AUDITS.c.status == "Completed"))
    assert result["rows"] == len(found["rows"]) == completed > 10
    assert result["summary"] == found["summary"]
    assert re.fullmatch(r"audits-report-\d{4}-\d\d-\d\d\.json", result["artifact"]["name"])
    record = job.refresh()
    assert (record.organization_id, record.progress) == ("org-123", 100)
    wait_until(lambda: mails(tmp_path), 60, "the mail")
    (mail,) = mails(tmp_path)
    assert mail["To"] == "user@example.com"
    assert mail["Subject"] == "Audit report of Northwind Energy is ready"
    text = mail.get_body(("plain",)).get_content()
    assert result["artifact"]["name"] in text
    # Without JOBS_PUBLIC_URL there is no address to send.
    assert "http" not in text


@pytest.mark.parametrize("kind", ["audits", "incidents", "work-permits", "compliance"])
def test_every_type_as_pdf(platform_workers: Consumers, tmp_path: Path, kind: str) -> None:
    platform_workers.start("huey_config.reports", "-w", "1")
    job = queue_report({"type": kind, "format": "pdf", "organizationId": "org-123"})
    result = job.wait(60)
    pages = text_of(content(tmp_path, result), tmp_path)
    assert "Northwind Energy" in pages[0]
    assert f"of {len(pages)}" in pages[-1]
    lines, _ = runtime().reader.logs("reports", job.id)
    told = " ".join(lines)
    for one in result["missingGlyphs"][:20]:
        assert one in told
    assert result["archival"] == (not result["missingGlyphs"])


def test_the_mail_has_a_signed_link(
    platform_workers: Consumers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_PUBLIC_URL", "https://jobs.example.com")
    platform_workers.start("huey_config.reports", "-w", "1")
    platform_workers.start("huey_config.email", "-w", "1")
    result = queue_report(EXAMPLE | {"format": "csv"}).wait(60)
    wait_until(lambda: mails(tmp_path), 60, "the mail")
    (mail,) = mails(tmp_path)
    for part in ("plain", "html"):
        text = mail.get_body((part,)).get_content()
        found = re.search(r"https://jobs\.example\.com/artifacts/([\w.-]+)", text)
        assert found is not None
        now_ms = runtime().reader.now("reports")
        assert verify(load_settings(), found[1], now_ms) == ("org-123", result["artifact"]["id"])


@pytest.mark.parametrize("form", ["csv", "pdf"])
def test_run_twice_there_is_one_artifact_and_one_mail(
    platform_workers: Consumers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    died = tmp_path / "died"
    monkeypatch.setenv("TRIAL_FILE", str(died))
    # Its worker is killed when the artifact is in place and the mail is added, but before it reports that.
    platform_workers.start("tests.reports.worker.reports", "-w", "1", QUEUE_LEASE_MS="1500")
    job = queue_report(EXAMPLE | {"format": form})
    result = job.wait(60)
    assert died.exists()
    assert job.refresh().stalls == 1
    assert len(content(tmp_path, result)) > 1000
    assert len(files(tmp_path)) == 2
    platform_workers.start("huey_config.email", "-w", "1")
    reader = runtime().reader
    wait_until(lambda: reader.stats(["email"])[0].completed, 60, "the mail")
    stats = reader.stats(["email"])[0]
    assert (stats.completed, stats.waiting, stats.active, stats.delayed) == (1, 0, 0, 0)
    assert len(mails(tmp_path)) == 1
    assert reader.status("email", result["notificationJobId"]) is State.COMPLETED


def test_killed_half_way_and_recovered(platform_workers: Consumers, tmp_path: Path) -> None:
    fill(database(None, tmp_path), 1, 120_000)
    first = platform_workers.start("huey_config.reports", "-w", "1", QUEUE_LEASE_MS="1500")
    job = queue_report(EXAMPLE | {"filters": {}})
    reader = runtime().reader
    wait_until(lambda: reader.job("reports", job.id).progress > 5, 60, "the report's begin")
    platform_workers.kill(first)
    assert reader.status("reports", job.id) is State.ACTIVE
    platform_workers.start("huey_config.reports", "-w", "1", QUEUE_LEASE_MS="1500")
    result = job.wait(60)
    found = json.loads(content(tmp_path, result))
    assert len(found["rows"]) == result["rows"] == found["summary"]["total"] == 40_800
    assert job.refresh().stalls == 1
    store = open_store(None, tmp_path)
    store.sweep(older_than=0)
    names = [file.name for file in files(tmp_path)]
    assert len(names) == 1 + -(-result["artifact"]["bytes"] // (8 * 1024 * 1024))
    assert not [name for name in names if name.endswith(".tmp")]
    assert reader.stats(["email"])[0].waiting == 1


def test_a_report_ends_at_its_deadline(platform_workers: Consumers, tmp_path: Path) -> None:
    fill(database(None, tmp_path), 1, 30_000)
    platform_workers.start("huey_config.reports", "-w", "1")
    job = queue_report(EXAMPLE | {"filters": {}, "format": "pdf"}, timeout=0.6, attempts=1)
    with pytest.raises(JobFailed) as caught:
        job.wait(60)
    assert caught.value.failure_code == "timeout"
    assert files(tmp_path) == []
    # The worker goes on.
    assert queue_report(EXAMPLE).wait(60)["rows"] > 0


def test_of_whom(platform_workers: Consumers, tmp_path: Path) -> None:
    platform_workers.start("huey_config.reports", "-w", "1")
    for payload, options, said in (
        (
            EXAMPLE,
            AddKeywords(organization_id="org-124"),
            "organizationId: must be the organization",
        ),
        ({"type": "audits"}, AddKeywords(), "is required"),
        ({"type": "audits"}, AddKeywords(organization_id="org-none"), "no such organization"),
    ):
        job = queue_report(payload, **options)
        with pytest.raises(JobFailed, match=said):
            job.wait(60)
        assert job.refresh().attempts_made == 1
    mine = queue_report({"type": "incidents"}, organization_id="org-124").wait(60)
    assert json.loads(content(tmp_path, mine, "org-124"))["report"]["organizationId"] == "org-124"


def test_a_bad_filter_adds_nothing(platform_workers: Consumers) -> None:
    with pytest.raises(InvalidPayload, match=r"filters\.status"):
        queue_report(EXAMPLE | {"filters": {"status": "Done"}})
    assert runtime().reader.stats(["reports"])[0].waiting == 0


def test_an_unreachable_database(
    redis_url: str, platform_workers: Consumers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", f"postgresql://u:s3cr3t-pw@/x?host={tmp_path}")
    platform_workers.start("huey_config.reports", "-w", "1")
    job = queue_report(EXAMPLE, attempts=2, backoff=0.01)
    with pytest.raises(JobFailed) as caught:
        job.wait(60)
    assert caught.value.failure_code == "platform_unavailable"
    record = job.refresh()
    assert record.attempts_made == 2
    assert "s3cr3t-pw" not in str(record.errors)
