"""The first start: what will be here, whether workers live, and a sample job."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs.model import State
from hsejobs.store import keys, registry
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs_tui.core import first_start
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.test_workers import beat

SIZES = [(80, 24), (200, 50)]
REPORT = {
    "required": ["kind"],
    "properties": {"kind": {"enum": ["daily"]}, "notify": {"type": "string"}},
}


@pytest.mark.anyio
@pytest.mark.parametrize("size", SIZES)
async def test_a_sample_job_with_one_key_and_its_question(
    stage: Stage, size: tuple[int, int]
) -> None:
    for name in ("mail", "post"):
        info = QueueInfo(name, [TaskInfo(f"{name}.send", {})], outbound=True)
        registry.save(stage.redis, "t", info)
    registry.save(stage.redis, "t", QueueInfo("reports", [TaskInfo("r.report", REPORT)]))
    beat(stage)
    app = stage.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await shows(
            pilot, "No job was added yet", "3: mail, post, reports", "1 live: mail on worker-7"
        )
        await shows(
            pilot, "What will be here", "add a sample job: report of reports", "hsejobs demo"
        )
        await pilot.press("a")
        await shows(
            pilot, "Add a sample job: r.report of reports?", '"kind": "daily"', "really runs"
        )
        assert "notify" not in text_of(app)
        await pilot.press("y")
        await until(
            pilot, lambda: stage.reader.stats(["reports"])[0].waiting == 1, "the sample job"
        )
        await shows(pilot, "3 queues, 1 waiting")
        assert "No job was added yet" not in text_of(app)
        # Only while there is none.
        await pilot.press("a")
        await settle(pilot)
        assert len(app.screen_stack) == 1
    (made,) = stage.reader.page("reports", State.WAITING).jobs
    assert made.data == {"kind": "daily"}


@pytest.mark.anyio
async def test_without_queues_and_workers_it_says_how_to_start_them(stage: Stage) -> None:
    stage.redis.command("DEL", keys.queues("t"))
    app = stage.app(ascii_only=True, read_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "none yet: a worker registers them", "none lives", "hsejobs worker")
        await pilot.press("a")
        await settle(pilot)
        assert "sample" not in text_of(app)
        assert text_of(app).isascii()
        # It goes away by itself when another program adds the first job.
        stage.describe()
        stage.add("first")
        await shows(pilot, "1 queue, 1 waiting")


@pytest.mark.anyio
async def test_an_installation_whose_jobs_were_all_removed_is_not_new(stage: Stage) -> None:
    stage.add("one")
    stage.writer.remove("mail", "one")
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await settle(pilot)
        assert "No job was added yet" not in text_of(app)


def _info(name: str, task: str, schema: dict[str, Any] | None, **more: Any) -> QueueInfo:
    return QueueInfo(name, [TaskInfo(f"{name}.{task}", schema)], **more)


def test_the_sample_is_the_most_harmless_job() -> None:
    mail = _info("mail", "send", {"required": ["to"], "properties": {"to": {}}}, outbound=True)
    clean = _info("cleanup", "clean_up", {})
    report = _info("reports", "report", REPORT)
    strict = _info("strict", "pay", {"required": ["a"], "properties": {"a": {"minLength": 9}}})

    def chosen(*infos: QueueInfo, role: str = "operator") -> str | None:
        found = first_start.sample_of({one.name: one for one in infos}, role)
        return found.info.name if found else None

    assert chosen(mail, clean, report, strict) == "reports"
    assert chosen(mail, clean) == "cleanup"
    assert chosen(mail) == "mail"
    assert chosen(strict) is None
    assert chosen(report, role="member") is None
    found = first_start.sample_of({"mail": mail})
    assert found is not None
    assert "calls servers outside" in found.warning


@pytest.mark.anyio
async def test_a_confined_session_adds_the_sample_for_its_organization(stage: Stage) -> None:
    registry.save(stage.redis, "t", QueueInfo("mail", [TaskInfo("mail.send", {})]))
    stage.add("theirs", org="org-2")
    app = stage.app(organization_id="org-1")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "This organization has no job now.", "add a sample job")
        assert "Workers  " not in text_of(app)
        await pilot.press("a", "y")
        await until(pilot, lambda: stage.counts()["waiting"] == 2, "the sample job")
        await shows(pilot, "1 queue, 1 waiting")
