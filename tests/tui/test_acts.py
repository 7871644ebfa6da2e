"""Acts on queues, schedules and circuits; the editor; profiles; limited terminals."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Button, Input, TextArea

from hsejobs.errors import SettingsError
from hsejobs.model import State
from hsejobs.settings import load_settings
from hsejobs.store import registry
from hsejobs.store.circuits import Circuits
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.options import load
from hsejobs_tui.dialogs.editor import Editor
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.screens.queue import QueueView
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until

pytestmark = pytest.mark.anyio
CIRCUIT = "webhook:org-1:hooks.example.com:443"


async def test_clean_shows_the_count_first(stage: Stage) -> None:
    for n in range(3):
        stage.fail(f"job-{n}")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "3 failed")
        await pilot.press("c")
        await shows(pilot, "Clean mail", "completed 1h")
        await pilot.press(*["backspace"] * 12, *"failed 1h", "enter")
        # What was typed stays, to be corrected.
        await shows(pilot, "Clean mail", "all 3 failed jobs of mail are younger than 1h")
        await pilot.press(*["backspace"] * 12, *"failed 0 2", "enter")
        await shows(pilot, "2 failed jobs older than 0. This cannot be undone.", "Type 2")
        await pilot.press("2", "enter")
        await shows(pilot, "removed 2 of 2")
        await pilot.press("enter", "c", *["backspace"] * 12, *"nonsense", "enter")
        await shows(pilot, "must be STATE AGE [LIMIT]")
        await pilot.press(*["backspace"] * 12, *"completed 0", "enter")
        await shows(pilot, "Clean: nothing to act on", "no completed jobs")
    assert stage.counts()["failed"] == 1


async def test_pause_drain_and_resume(stage: Stage) -> None:
    for n in range(5):
        stage.add(f"job-{n}", delay=60_000 if n > 2 else 0)
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "3 waiting")
        await pilot.press("P")
        await shows(pilot, "Pause mail?")
        await pilot.press("y")
        await shows(pilot, "mail is paused", "3 jobs wait; P resumes it")
        await pilot.press("X")
        await shows(pilot, "Removes all 5 waiting and delayed jobs")
        await pilot.press("5", "enter")
        await shows(pilot, "removed 5 of 5")
        await pilot.press("enter")
        # Draining keeps the pause, and resuming does not ask.
        await until(pilot, lambda: stage.reader.stats(["mail"])[0].is_paused, "the pause")
        await pilot.press("P")
        await shows(pilot, "mail is resumed")
    assert stage.counts()["waiting"] == stage.counts()["delayed"] == 0


async def test_obliterate_with_active_jobs_requires_force(stage: Stage) -> None:
    stage.add("job-1")
    stage.claim()
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.session.snapshot is not None, "the queues")
        await shows(pilot, "mail")
        await pilot.press("O")
        await shows(pilot, "by force", "1 job IS RUNNING", "Type mail force")
        await pilot.press(*"mail", "enter")
        await shows(pilot, "by force")
        await pilot.press("space", *"force", "enter")
        await shows(pilot, "removed 1 of 1")
    assert stage.counts()["active"] == 0


async def test_a_schedule_is_run_now_and_its_outcome_shown(stage: Stage) -> None:
    task = TaskInfo("m.nightly")
    every = [ScheduleInfo("nightly", "0 3 * * *", "m.nightly")]
    registry.save(stage.redis, "t", QueueInfo("mail", [task], "m.nightly", schedules=every))
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("9")
        await shows(pilot, "nightly", "0 3 * * *")
        await pilot.press("R")
        await shows(pilot, "Run nightly now?")
        await pilot.press("y")
        await shows(pilot, "added sys:run:nightly:")
        await shows(pilot, "waiting")
        await pilot.press("enter")
        await shows(pilot, "Timeline", "m.nightly")


async def test_circuits_are_opened_and_closed(stage: Stage) -> None:
    circuits = Circuits(stage.redis, "t")
    circuits.open(CIRCUIT)
    circuits.close(CIRCUIT)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("6")
        await shows(pilot, "hooks.example.com:443", "0 of 1 open")
        await pilot.press("b")
        await shows(pilot, "postpone all calls")
        await pilot.press("y")
        await shows(pilot, "by hand", "1 of 1 open")
        await pilot.press("c")
        await shows(pilot, "allow calls again")
        await pilot.press("y")
        await shows(pilot, "closed", "0 of 1 open")


async def test_workers_show_slots_and_a_queue_without_any(stage: Stage) -> None:
    stage.add("job-1")
    stage.claim()
    registry.save(stage.redis, "t", QueueInfo("idle", [TaskInfo("i.i")], "i.i"))
    slot = '{"job":"job-1","task":"m.send","attempt":1,"runningFor":1200}'
    record = (
        '{"id":"w1","queue":"mail","host":"box","pid":7,"workers":"threads","concurrency":2,'
        f'"slots":[{slot},null]}}'
    )
    stage.work.heartbeat("w1", record.encode(), 60_000)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("3")
        await shows(pilot, "1 worker, 1 of 2 slots busy", "no worker", "box")
        await pilot.press("G", "enter")
        await shows(pilot, "mail / job-1", "Timeline")


async def test_events_begin_with_what_happened_and_open_its_job(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("7")
        await shows(pilot, "failed", "job-1")
        await pilot.press("space")
        await shows(pilot, "frozen")
        stage.add("job-2")
        await settle(pilot)
        assert "job-2" not in text_of(app)
        await pilot.press("space")
        await shows(pilot, "job-2")
        await pilot.press("g", "enter")
        await shows(pilot, "mail / job-2")


async def test_promote_and_order(stage: Stage) -> None:
    for n in range(3):
        stage.add(f"job-{n}", delay=7_200_000 * (n + 1))
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("enter")
        await shows(pilot, "1 / 3, next first", "in 2.0h")
        await pilot.press("o")
        await shows(pilot, "1 / 3, last first")
        await pilot.press("p")
        await until(pilot, lambda: stage.counts()["waiting"] == 1, "the promotion")
    assert stage.reader.job("mail", "job-2").status is State.WAITING


async def test_cancel_asks_for_a_reason(stage: Stage) -> None:
    for n in range(3):
        stage.add(f"job-{n}", delay=7_200_000)
    stage.add("runs")
    stage.claim()
    app = stage.app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.session.snapshot is not None, "the queues")
        await app.push_screen(JobView("mail", "runs"))
        await shows(pilot, "active")
        # Another letter than y and n begins the reason, in which these are letters, too.
        for refused in ("n", "enter", "escape"):
            await pilot.press("K")
            await shows(pilot, "Cancel job runs?", "Reason, kept with the job", "Yes (y)")
            await pilot.press(refused)
            await until(pilot, lambda: not isinstance(app.screen, Confirm), refused)
        await pilot.press("K", *"by", "escape", "K")
        await shows(pilot, "Cancel job runs?", "Yes (y)")
        assert stage.reader.job("mail", "runs").cancel is None
        await pilot.press(*"wrong month")
        await shows(pilot, "wrong month", "Yes (Enter)")
        await pilot.press("enter")
        await shows(pilot, "cancelled job runs", "requested", "wrong month")
        await app.push_screen(QueueView("mail", State.DELAYED))
        await shows(pilot, "job-2")
        await pilot.press("space", "space", "K")
        await shows(pilot, "Cancel 2 jobs?", "Type 2")
        await pilot.press("y", "enter", "backspace", "tab", *"all wrong", "enter", "2", "enter")
        await shows(pilot, "cancelled 2 of 2")
        # All that match: the reason is asked for too, and one that is refused does not close the question.
        stage.add("late-1", delay=7_200_000)
        await shows(pilot, "late-1")
        await pilot.press("asterisk", "K")
        await shows(pilot, "Cancel all 2 delayed jobs?", "Reason, kept with the job", "Type 2")
        app.screen.query_one("#reason", Input).value = "x" * 501
        await pilot.press("enter", "2", "enter")
        await shows(pilot, "The reason must be one line of at most 500")
        await pilot.press("backspace", "enter", "enter")
        await shows(pilot, "cancelled 2 of 2")
    for name in ("job-2", "late-1"):
        cancel = stage.reader.job("mail", name).cancel
        assert cancel is not None
        assert cancel["reason"] == "x" * 500
    record = stage.reader.job("mail", "runs")
    assert (record.status, record.cancel and record.cancel["reason"]) == (
        State.ACTIVE,
        "wrong month",
    )
    assert (stage.counts()["failed"], stage.counts()["delayed"]) == (4, 0)


@pytest.fixture
def own_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An editor that replaces the address and records that it was called."""
    script = tmp_path / "ed it.sh"
    script.write_text('#!/bin/sh\nsed -i s/job-1@/ann@/ "$2" && echo "$1" >"$0.called"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{script}' --wait")
    return script


async def test_a_copy_is_edited_in_the_users_editor(
    stage: Stage, own_editor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import contextlib

    stage.fail("job-1")
    app = stage.app()
    # A headless driver cannot be suspended.
    monkeypatch.setattr(app, "suspend", contextlib.nullcontext)
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("enter")
        await shows(pilot, "job-1")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
        await pilot.press("ctrl+e")
        await until(pilot, lambda: "ann@" in app.screen.query_one(TextArea).text, "the edit")
        await pilot.press("ctrl+s")
        await shows(pilot, "Add this job to mail", "-", "+", "ann@example.com")
        await pilot.press("y")
        await until(pilot, lambda: stage.counts()["waiting"] == 1, "the copy")
    assert Path(f"{own_editor}.called").read_text() == "--wait\n"
    (copy,) = stage.reader.page("mail", State.WAITING).jobs
    assert copy.data["to"] == "ann@example.com"


async def test_an_invalid_payload_is_reported_and_can_be_corrected(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("n")
        await shows(pilot, "As JSON")
        await pilot.press("ctrl+e")
        for text, problem in (
            ("{", "line 1, column"),
            ("[]", "must be a JSON object"),
            ("{}", "to: is required"),
            ('{"to":"***"}', "has ***"),
        ):
            await until(pilot, lambda: bool(app.screen.query(TextArea)), "the editor")
            app.screen.query_one(TextArea).text = text
            await pilot.press("ctrl+s")
            await shows(pilot, problem)
        await pilot.press("escape")
        await settle(pilot)
    assert stage.counts()["waiting"] == 0


def test_a_profile_names_redis_and_a_red_banner(tmp_path: Path) -> None:
    settings = load_settings({"JOBS_HOME": str(tmp_path)})
    with pytest.raises(SettingsError, match="create it with a table"):
        load(profile="prod-eu", settings=settings)
    (tmp_path / "profiles.toml").write_text(
        '[prod-eu]\nurl = "redis://u:secret@r.example.com:7/2"\nread_only = true\n'
        '[bad]\nurl = "ftp://x"\n'
    )
    made = load(profile="prod-eu", settings=settings)
    assert (made.production, made.read_only) == (True, True)
    assert made.url == "redis://u:secret@r.example.com:7/2"
    assert "secret" not in made.place
    assert "prod-eu" in made.place
    for name, text in (("bad", "url of"), ("other", "available: bad, prod-eu")):
        with pytest.raises(SettingsError, match=text):
            load(profile=name, settings=settings)


async def test_production_shows_a_banner(stage: Stage) -> None:
    async with stage.app(production=True).run_test() as pilot:
        await shows(pilot, "PRODUCTION", "mail")


KEYS = [
    "1",
    "enter",
    "space",
    "enter",
    "escape",
    "2",
    "3",
    "9",
    "5",
    "6",
    "7",
    "question_mark",
    "escape",
    "1",
    "O",
    "escape",
    "c",
    "escape",
    "n",
    "escape",
    "P",
]


async def test_ascii_draws_nothing_else(stage: Stage) -> None:
    stage.fail("job-1")
    stage.add("job-2")
    app = stage.app(ascii_only=True)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "1 failed")
        for key in KEYS:
            await pilot.press(key)
            await settle(pilot)
            odd = {char for char in text_of(app) if ord(char) > 126}
            assert not odd, (key, odd, text_of(app))


async def test_without_colors(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stage.fail("job-1")
    app: JobsApp = stage.app(production=True)
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("enter")
        await shows(pilot, "failed", "job-1")
        for _, style, _ in _segments(app):
            for color in (style.color, style.bgcolor) if style else ():
                if color is not None and color.triplet is not None:
                    assert len(set(color.triplet)) == 1, style


def _segments(app: Any) -> list[Any]:
    from textual.filter import LineFilter

    found: list[Any] = []
    for strip in app.screen._compositor.render_strips():
        line = list(strip)
        for one in app._filters:
            assert isinstance(one, LineFilter)
            line = one.apply(line, app.screen.background_colors[1])
        found += line
    return found


async def test_dialogs_have_a_button_for_each_answer(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "1 failed")
        for key, button in (
            ("c", "#no"),
            ("P", "#no"),
            ("O", "#no"),
            ("n", "#leave"),
            ("colon", "#no"),
            ("question_mark", "Button"),
        ):
            await pilot.press(key)
            await until(pilot, lambda: len(app.screen_stack) == 2, key)
            await settle(pilot)
            assert app.screen.query(Button)
            await pilot.click(button)
            await until(pilot, lambda: len(app.screen_stack) == 1, f"{key} left by mouse")
