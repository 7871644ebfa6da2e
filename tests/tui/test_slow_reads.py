"""A read beside the polls that takes longer than they do goes on to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.worker import Worker

from hsejobs.store import registry
from hsejobs.store.registry import QueueInfo
from hsejobs_tui.core import insight, lineage
from hsejobs_tui.screens import job as job_screen
from hsejobs_tui.screens.base import View
from hsejobs_tui.screens.insight import Insight
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.session.places import InsightPlace
from tests.tui.conftest import Stage
from tests.tui.driving import shows, until
from tests.tui.failed_past import fail

pytestmark = pytest.mark.anyio


class Held:
    """Reads that wait until the test lets them go on, the polls of a screen and its workers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[View]) -> None:
        self.go_on = threading.Event()
        self.polls = 0
        #: The reads that wait.
        self.begun: list[object] = []
        self.workers: list[Worker[Any]] = []
        poll, run = kind.poll, kind.run_worker

        async def counted(screen: Any) -> None:
            await poll(screen)
            self.polls += 1

        def recorded(screen: Any, *args: Any, **options: Any) -> Worker[Any]:
            self.workers.append(made := run(screen, *args, **options))
            return made

        monkeypatch.setattr(kind, "poll", counted)
        monkeypatch.setattr(kind, "run_worker", recorded)

    def held(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def late(*args: Any, **options: Any) -> Any:
            self.begun.append(read)
            assert self.go_on.wait(60)
            return read(*args, **options)

        return late

    def named(self, name: str) -> list[Worker[Any]]:
        return [one for one in self.workers if one.name == name]

    async def poll(self, pilot: Pilot[Any], times: int = 8) -> None:
        """Waits for that many polls."""
        end = self.polls + times
        await until(pilot, lambda: self.polls >= end, "the polls")


async def test_the_part_is_read_once_for_each_key_and_cancels_no_other_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.save(stage.redis, "t", QueueInfo("mail"))
    for n, code in enumerate(("alpha", "beta", "gamma")):
        fail(stage, f"job-{n}", f"{code} broke", code=code)
    held = Held(monkeypatch, Insight)
    app = stage.app()
    monkeypatch.setattr(insight, "read_part", held.held(insight.read_part))
    source = app.session.source
    monkeypatch.setattr(source, "findings", held.held(source.findings))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        try:
            await shows(pilot, "mail")
            app.open(InsightPlace(None, "error", None))
            await until(pilot, lambda: bool(held.begun), "the read of the focus")
            screen = app.screen
            assert isinstance(screen, Insight)
            screen.do_part_down()
            await until(pilot, lambda: len(held.begun) == 2, "the first read of a part")
            screen.do_part_down()
            await held.poll(pilot)
            assert not screen.state.known
            assert len(held.named("part")) == 2
            assert not [one for one in held.named("focus") if one.is_cancelled]
        finally:
            held.go_on.set()
        await until(pilot, lambda: screen.state.known, "the part")


async def test_what_is_around_a_job_is_read_to_its_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.fail("job-0")
    monkeypatch.setattr(job_screen, "AGAIN", 0.0)
    monkeypatch.setattr(lineage, "read", (held := Held(monkeypatch, JobView)).held(lineage.read))
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        try:
            await shows(pilot, "mail")
            await app.push_screen(JobView("mail", "job-0"))
            await until(pilot, lambda: bool(held.begun), "the read")
            await held.poll(pilot)
            assert len(held.named("family")) == 1
        finally:
            held.go_on.set()
        await until(pilot, lambda: held.named("family")[0].is_finished, "its end")
        assert not held.named("family")[0].is_cancelled
