"""Onboarding by real consumers: to the mail, through kills at every step, by two at once."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from hsejobs.engine import JobFailed
from hsejobs.engine.runtime import runtime
from hsejobs.masking import mask
from hsejobs.model import State
from tasks import queue_tenant_onboarding
from tests.onboarding.conftest import ACME, ONE_TENANT, census, rows
from tests.support import wait_until
from tests.support.consumers import Consumers

WORKER = "tests.onboarding.worker.tenant_onboarding"
MAILER = "tests.onboarding.worker.email"
ALL = os.environ.get("MATRIX") == "all"
INVITE = "https://app.example.com/invite"
STEPS = ("organization", "administrator", "roles", "stations", "checklists", "welcome mail")
MOMENTS = (
    *(f"begin:{step}" for step in STEPS),
    *(f"commit:{number}" for number in range(1, 6)),
    "end",
)


@pytest.fixture(autouse=True)
def home(platform: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The tables are there before a consumer begins, and mails have a link."""
    monkeypatch.setenv("PLATFORM_INVITE_URL", INVITE)
    monkeypatch.setenv("QUEUE_LEASE_MS", "1500")
    return tmp_path


def mails(home: Path) -> list[Any]:
    files = sorted((home / "outbox").glob("*.eml"))
    return [
        email.message_from_bytes(one.read_bytes(), policy=email.policy.default) for one in files
    ]


def sent(job: str) -> None:
    """Waits until the welcome mail was sent."""
    wait_until(
        lambda: runtime().reader.status("email", job) is State.COMPLETED, 60, "the welcome mail"
    )


def test_the_documents_example_from_the_command_line(
    platform: Engine, platform_workers: Consumers, home: Path
) -> None:
    platform_workers.start("huey_config.tenant_onboarding", "-w", "1")
    platform_workers.start("huey_config.email", "-w", "1")
    done = subprocess.run(
        [sys.executable, "-m", "hsejobs_cli", "enqueue", "tenant-onboarding", "-", "--wait"],
        input=json.dumps(ACME),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    [organization], [admin] = rows(platform, "organizations"), rows(platform, "users")
    assert result == {
        "organizationId": organization["id"],
        "organizationName": "Acme Corp",
        "tier": "professional",
        "adminUserId": admin["id"],
        "stripeSubscriptionId": "sub_123",
        "roles": ["owner", "admin", "member"],
        "stations": 3,
        "checklists": 3,
        "welcomeMailJobId": result["welcomeMailJobId"],
    }
    assert census(platform) == ONE_TENANT
    sent(result["welcomeMailJobId"])
    [mail] = mails(home)
    assert (mail["To"], mail["Subject"]) == (
        "admin@acme.com",
        "Welcome to HSE.Digital: Acme Corp is ready",
    )
    token = admin["invite_token"]
    for kind in ("plain", "html"):
        text = mail.get_body((kind,)).get_content()
        assert f"{INVITE}?token={token}" in text
        assert "John Doe" in text
    job = runtime().reader.job("tenant-onboarding", done.stderr.split()[0])
    assert (job.progress, job.progress_message) == (100, "done")
    lines, _ = runtime().reader.logs("tenant-onboarding", job.id)
    assert lines == [f"step: {step}" for step in STEPS]
    # The token is in the mail, and in no view, log or error.
    child = runtime().reader.job("email", result["welcomeMailJobId"])
    assert child.organization_id == organization["id"]
    seen = [str(mask(child.data)), str(child.result), str(job.data), str(lines), done.stderr]
    seen += [one.read_text() for one in platform_workers.folder.iterdir()]
    assert not [one for one in seen if token in one]
    assert "admin@acme.com" not in "".join(seen[5:])


def test_without_an_invite_page_the_mail_has_no_link(
    platform: Engine,
    platform_workers: Consumers,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PLATFORM_INVITE_URL")
    platform_workers.start("huey_config.tenant_onboarding", "-w", "1")
    platform_workers.start("huey_config.email", "-w", "1")
    sent(queue_tenant_onboarding(ACME).wait(60)["welcomeMailJobId"])
    [mail] = mails(home)
    text = mail.as_string()
    assert rows(platform, "users")[0]["invite_token"] not in text
    assert re.search(r"https?://", text) is None
    assert "ask for a new password" in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("moment", "platform_url"),
    [
        (moment, kind)
        for number, moment in enumerate(MOMENTS)
        for other, kind in enumerate(("sqlite", "postgresql"))
        # `make matrix` has each moment with both.
        if ALL or number % 2 == other
    ],
    indirect=["platform_url"],
)
def test_killed_at_every_step_it_resumes(
    platform: Engine, platform_workers: Consumers, home: Path, moment: str
) -> None:
    killed = home / "killed"
    trial = {"TRIAL_KILL": moment, "TRIAL_KILLED": str(killed)}
    first = platform_workers.start(WORKER, "-w", "1", **trial)
    platform_workers.start(MAILER, "-w", "1")
    job = queue_tenant_onboarding(ACME, job_id="acme")
    wait_until(lambda: first.poll() is not None, 60, f"the kill at {moment}")
    assert (first.returncode, killed.exists()) == (-9, True)
    assert runtime().reader.status("tenant-onboarding", "acme") is State.ACTIVE
    platform_workers.start(WORKER, "-w", "1", **trial)
    result = job.wait(60)
    assert census(platform) == ONE_TENANT
    record = job.refresh()
    assert (record.stalls, record.attempts_made) == (1, 1)
    sent(result["welcomeMailJobId"])
    assert len(mails(home)) == 1
    # Another job for the same tenant: the same answer, and no second mail.
    assert queue_tenant_onboarding(ACME).wait(60) == result
    assert runtime().reader.stats(["email"])[0].completed == 1
    assert runtime().reader.stats(["email"])[0].waiting == 0


def test_two_consumers_at_once(platform: Engine, platform_workers: Consumers, home: Path) -> None:
    writer = runtime().writer
    jobs = []
    for number in range(8):
        wanted = {
            **ACME,
            "organizationName": f"Acme {number}",
            "stripeSubscriptionId": f"sub_{number}",
        }
        jobs.append([queue_tenant_onboarding(wanted) for _ in range(2)])
    writer.pause("tenant-onboarding")
    for _ in range(2):
        platform_workers.start("huey_config.tenant_onboarding", "-w", "2")
    wait_until(lambda: len(runtime().reader.workers(["tenant-onboarding"])) == 2, 60, "both")
    writer.resume("tenant-onboarding")
    for one, other in jobs:
        assert one.wait(60) == other.wait(60)
    assert census(platform) == {key: 8 * n for key, n in ONE_TENANT.items()}
    assert runtime().reader.stats(["email"])[0].waiting == 8


def test_refusals_are_final_and_say_why(platform: Engine, platform_workers: Consumers) -> None:
    platform_workers.start("huey_config.tenant_onboarding", "-w", "1")
    queue_tenant_onboarding(ACME).wait(60)
    for changed, code, field in (
        ({"adminEmail": "someone@else.example"}, "name_taken", "organizationName"),
        ({"organizationName": "Else"}, "subscription_taken", "stripeSubscriptionId"),
    ):
        job = queue_tenant_onboarding({**ACME, **changed})
        with pytest.raises(JobFailed, match=field) as caught:
            job.wait(60)
        assert caught.value.failure_code == code
        record = job.refresh()
        assert record.attempts_made == 1
        told = str(record.errors)
        assert not [value for value in (*changed.values(), "admin@acme.com") if value in told]
    assert census(platform) == ONE_TENANT
