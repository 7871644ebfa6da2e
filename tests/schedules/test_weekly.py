"""The weekly compliance report: one job per organization and week, also after a kill."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from hsejobs.engine.runtime import runtime
from hsejobs.model import State
from tasks.reports.weekly import PAGE, wanted, week_of
from tasks.shared.platform.database import database
from tasks.shared.platform.schema import ORGANIZATIONS
from tests.schedules.conftest import Board
from tests.support import wait_until
from tests.support.consumers import Consumers

WEEKLY = "tasks.reports.weekly_compliance"
EIGHT_DAYS = 8 * 1440


def organizations(home: Path, count: int, **last: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": f"org-{number}",
            "name": f"Org {number}",
            "name_key": f"org {number}",
            "tier": "starter",
            "admin_email": f"admin@org-{number}.example",
            "created_at": "2026-01-01T00:00:00Z",
        }
        for number in range(count)
    ]
    rows[-1] |= last
    with database(None, home).begin() as connection:
        connection.execute(insert(ORGANIZATIONS), rows)


def ms(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


def test_weeks_begin_on_sunday() -> None:
    sundays = [ms("2024-12-22T00:00:00") + n * 7 * 86_400_000 for n in range(110)]
    names = [week_of(sunday) for sunday in sundays]
    assert len(set(names)) == len(names)
    assert week_of(ms("2026-11-29T00:00:00")) == "2026-48"
    assert week_of(ms("2026-11-28T23:59:59")) == "2026-47"
    for sunday, name in zip(sundays, names, strict=True):
        # A run that is made up later in the week is still that week's.
        assert week_of(sunday + 7 * 86_400_000 - 1) == name


def test_pages_hold_every_organization_once(tmp_path: Path, platform_workers: Consumers) -> None:
    organizations(tmp_path, 2 * PAGE)
    pages = list(wanted(database(None, tmp_path), "2026-48"))
    assert [len(page) for page in pages] == [PAGE, PAGE]
    found = [one for page in pages for one in page]
    assert {one.organization_id for one in found} == {f"org-{n}" for n in range(2 * PAGE)}
    assert len({one.job_id for one in found}) == 2 * PAGE
    assert pages == list(wanted(database(None, tmp_path), "2026-48"))
    other = {one.job_id for page in wanted(database(None, tmp_path), "2026-49") for one in page}
    assert not other & {one.job_id for one in found}


def test_a_missed_sunday_is_made_up_once(
    board: Board, platform_workers: Consumers, tmp_path: Path
) -> None:
    organizations(tmp_path, 3, admin_email="nobody")
    board.due("reports", WEEKLY, EIGHT_DAYS)
    for _ in range(2):
        platform_workers.start("huey_config.reports", "-w", "1")
    run = board.run_of("reports", WEEKLY)
    assert board.ended("reports", run) is State.COMPLETED
    record = runtime().reader.job("reports", run)
    week = week_of(record.created_at)
    assert record.result == {"week": week, "organizations": 3, "added": 2, "refused": 1}
    lines, _ = runtime().reader.logs("reports", run)
    assert lines[0].startswith("org-2: notifyEmail")
    assert "nobody" not in lines[0]
    for one in next(wanted(database(None, tmp_path), week))[:2]:
        job = runtime().reader.job("reports", one.job_id)
        assert job.data == {
            "type": "compliance",
            "organizationId": one.organization_id,
            "format": "pdf",
            "notifyEmail": f"admin@{one.organization_id}.example",
        }
        assert (job.organization_id, job.priority) == (one.organization_id, 5)
        assert job.id.startswith(f"sys:weekly:{week}:")
    assert board.total("reports") == 3


def test_a_killed_run_resumes_and_adds_no_job_twice(
    board: Board, platform_workers: Consumers, tmp_path: Path
) -> None:
    count = 20 * PAGE + 1
    organizations(tmp_path, count)
    board.due("reports", WEEKLY, EIGHT_DAYS)
    first = platform_workers.start("huey_config.reports", "-w", "1", QUEUE_LEASE_MS="1500")
    wait_until(lambda: board.total("reports") > PAGE, 60, "the second page")
    platform_workers.kill(first)
    run = board.run_of("reports", WEEKLY)
    assert runtime().reader.status("reports", run) is State.ACTIVE
    before = board.total("reports") - 1
    assert before < count
    platform_workers.start("huey_config.reports", "-w", "1", QUEUE_LEASE_MS="1500")
    assert board.ended("reports", run) is State.COMPLETED
    record = runtime().reader.job("reports", run)
    assert record.result["organizations"] == count
    assert record.result["added"] == count - before
    assert record.stalls == 1
    assert board.total("reports") == count + 1
