"""Which acts the TUI asks about: those of the table of acts, and none beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import hsejobs_tui
from hsejobs.control.act_table import ACTS
from tests.tui.conftest import Stage
from tests.tui.driving import shows, until


@pytest.mark.anyio
async def test_the_table_of_acts_says_what_asks(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    always, never = ACTS["pause"], ACTS["resume"]
    monkeypatch.setitem(ACTS, "pause", replace(never, past="paused"))
    monkeypatch.setitem(ACTS, "resume", replace(always, past="resumed"))
    stage.add("job-1")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 waiting")
        await pilot.press("P")
        await until(pilot, lambda: stage.reader.stats(["mail"])[0].is_paused, "the pause")
        await shows(pilot, "P resumes it")
        await pilot.press("P")
        await shows(pilot, "Resume mail?")
        await pilot.press("y")
        await until(pilot, lambda: not stage.reader.stats(["mail"])[0].is_paused, "the end")


def test_no_act_is_asked_about_beside_the_table() -> None:
    """Only what is about no act, or is asked a second time, is asked without the table."""
    home = Path(hsejobs_tui.__file__).parent
    direct = [
        f"{file.relative_to(home)}: {line.strip()}"
        for file in sorted(home.rglob("*.py"))
        for line in file.read_text().splitlines()
        if "ask(Confirm" in line or ("ask(question" in line and file.name != "session.py")
    ]
    assert direct == [
        "flows/job_acts.py: if not await session.ask(question) or not question.fixed:",
        "flows/quitting.py: return await session.ask(Confirm(END, text))",
    ]
