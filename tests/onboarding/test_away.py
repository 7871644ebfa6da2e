"""A platform database that does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsejobs.engine import JobFailed
from tasks import queue_tenant_onboarding
from tests.onboarding.conftest import ACME
from tests.support.consumers import Consumers


def test_a_database_that_is_away_is_tried_again(
    redis_url: str, platform_workers: Consumers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", f"postgresql://u:s3cr3t-pw@/x?host={tmp_path}")
    platform_workers.start("huey_config.tenant_onboarding", "-w", "1")
    job = queue_tenant_onboarding(ACME, attempts=2, backoff=0.01)
    with pytest.raises(JobFailed) as caught:
        job.wait(60)
    assert caught.value.failure_code == "platform_unavailable"
    record = job.refresh()
    assert record.attempts_made == 2
    assert "s3cr3t-pw" not in str(record.errors)
    assert "acme" not in str(record.errors).lower()
