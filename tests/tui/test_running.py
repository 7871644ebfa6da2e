"""A running job: what can be done with it, whether its progress stands still; and what a circuit holds."""

from __future__ import annotations

import pytest

from hsejobs.store.circuits import Circuits
from hsejobs_tui.screens.job import JobView
from tests.support.waiting import redis_ms
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.test_trouble import CIRCUIT, hold

pytestmark = pytest.mark.anyio


def footer(app: object) -> str:
    return text_of(app).splitlines()[-1]


async def test_the_footer_offers_what_the_state_allows(stage: Stage) -> None:
    stage.add("job-1")
    ((job_id, token),) = stage.claim()
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await app.push_screen(JobView("mail", "job-1"))
        await shows(pilot, "active", "K Cancel")
        assert "Retry" not in footer(app)
        stage.work.fail(
            job_id, token, code="error", error=b"{}", run_us=1, final=True, delay_ms=None
        )
        await shows(pilot, "failed", "r Retry", "x Remove")
        assert "K Cancel" not in footer(app)


async def test_a_reader_is_offered_no_cancel(stage: Stage) -> None:
    stage.add("job-1")
    stage.claim()
    app = stage.app(read_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await app.push_screen(JobView("mail", "job-1"))
        await shows(pilot, "active", "Open")
        assert "Cancel" not in footer(app)


async def test_progress_that_stands_still_says_since_when(stage: Stage) -> None:
    stage.add("job-1")
    (pair,) = stage.claim()
    assert stage.work.progress(*pair, 62, "page 31")
    first = stage.reader.job("mail", "job-1").progress_at
    assert first is not None
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await app.push_screen(JobView("mail", "job-1"))
        await shows(pilot, "active", "62%")
        assert "no progress" not in text_of(app)
        began = redis_ms(stage.redis) - 250_000
        stage.redis.command("HSET", "t:{mail}:j:job-1", "pa", began, "pt", began - 5_000)
        await shows(pilot, "62%  no progress for 4m")
        # Telling the same again is none.
        assert stage.work.progress(*pair, 62, "page 31")
        assert stage.reader.job("mail", "job-1").progress_at == began
        assert stage.work.progress(*pair, 63, "page 32")
        await until(pilot, lambda: "no progress" not in text_of(app), "progress")
        # What an earlier attempt told does not count.
        stage.redis.command("HSET", "t:{mail}:j:job-1", "pa", 1, "pt", redis_ms(stage.redis))
        await settle(pilot)
        assert "no progress" not in text_of(app)


async def test_enter_on_a_circuit_shows_the_jobs_that_wait_for_its_host(stage: Stage) -> None:
    Circuits(stage.redis, "t").open(CIRCUIT)
    app = stage.app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("6")
        await shows(pilot, "hooks.example.com:443", "1 of 1 open")
        await pilot.press("enter")
        await shows(pilot, "no job waits for this host")
        hold(stage, "held-1", CIRCUIT)
        stage.add("theirs", org="org-2", delay=60_000)
        await shows(pilot, "holds 1 of mail")
        await pilot.press("enter")
        await shows(pilot, "held-1", "held by the circuit of hooks.example.com:443", "org=org-1")
        await shows(pilot, "1 found in 1 delayed")
        assert "theirs" not in text_of(app)
