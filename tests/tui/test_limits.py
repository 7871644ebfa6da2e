"""Limits of a session: rights, visibility, outages and imports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hsejobs.control import filters
from hsejobs.errors import JobNotFound, Refused
from hsejobs.model import State
from hsejobs.store import registry
from hsejobs.store.client import RedisClient
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import Selection
from hsejobs_tui.core import commands
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.menu import Commands
from tests.support.server import Server
from tests.tui.conftest import Stage
from tests.tui.driving import shows, text_of

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.anyio
async def test_read_only_has_no_act_in_keys_palette_help_or_store(stage: Stage) -> None:
    stage.fail("job-1")
    app = stage.app(read_only=True)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "READ-ONLY", "1 failed")
        await pilot.press("enter")
        await shows(pilot, "job-1")
        await pilot.press("r", "x", "c", "P", "X", "O", "n", "d", "u")
        await pilot.pause()
        assert len(app.screen_stack) == 2
        assert "Retry" not in text_of(app)
        titles = {str(hit.text) async for hit in Commands(app.screen).discover()}
        assert "Search" in titles
        assert not titles & {one.title for one in commands.COMMANDS if one.writes}
        for one in commands.COMMANDS:
            if one.writes:
                app.perform(one.id)
        await pilot.pause()
        assert len(app.screen_stack) == 2
    assert stage.counts()["failed"] == 1
    with pytest.raises(Refused):
        list(app.session.acts.many("retry", "mail", [("job-1", "")]))


def test_an_organization_sees_and_changes_its_own_jobs_only(stage: Stage) -> None:
    stage.fail("mine", org="a")
    stage.fail("theirs", org="b")
    options = stage.options(organization_id="a")
    source, acts = LiveSource(options, stage.redis), acts_of(options, stage.redis)
    seen = source.snapshot()
    assert [one.failed for one in seen.queues] == [1]
    assert seen.workers == {}
    assert seen.server is None
    window = source.window("mail", State.FAILED)
    assert [job.id for job in window.rows if job] == ["mine"]
    for anchor in ("theirs", "mine"):
        assert source.window("mail", State.FAILED, anchor=anchor).total == 1
    assert source.jobs("mail", ["mine", "theirs"])[1] is None
    with pytest.raises(JobNotFound):
        source.job("mail", "theirs")
    with pytest.raises(JobNotFound):
        source.find("theirs")
    (*_, hits) = source.search("mail", State.FAILED, filters.parse("example.com"))
    assert [job for job, _ in hits.bound] == ["mine"]
    (*_, (groups, _, total)) = source.failures()
    assert total == 1
    assert [[job for job, _ in group.bound] for group in groups.values()] == [["mine"]]
    for known in (None, "0-0"):
        _, events, _ = source.feed("mail", known, 0, None)
        assert {org for event in events for _, org in event.jobs} == {"a"}
    (*_, progress) = acts.many("retry", "mail", [("mine", ""), ("theirs", "")])
    assert (progress.done, dict(progress.refused)) == (1, {"gone": 1})
    for refused in (
        source.schedules,
        lambda: acts.pause("mail", True),
        lambda: list(acts.sweep("drain", "mail", Selection(1, 0), lambda: False)),
    ):
        with pytest.raises(Refused):
            refused()
    assert stage.counts()["failed"] == 1


HOSTILE = "[red]no[/] [/] [@click=app.quit]x[/] \x1b[31m\x07 \u202eevil\u202c \u200b\u0301 \r\n\t"


@pytest.mark.anyio
async def test_hostile_payloads_and_errors_are_shown_escaped(stage: Stage) -> None:
    stage.add("job-1", {"to": HOSTILE, HOSTILE: [HOSTILE] * 3, "many": list(range(10_000))})
    (pair,) = stage.claim()
    from hsejobs import codec

    error = codec.dumps({"error": HOSTILE, "attempt": 1, "code": "error", "traceback": HOSTILE})
    stage.work.fail(*pair, code="error", error=error, run_us=1, final=True, delay_ms=None)
    app = stage.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shows(pilot, "1 failed")
        await pilot.press("2")
        await shows(pilot, "[red]no[/]")
        await pilot.press("1", "enter")
        await shows(pilot, "[red]no[/] [/] [@click")
        await pilot.press("enter")
        await shows(pilot, "payload", r"\u202eevil")
        shown = text_of(app)
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e\u202c\u200b]", shown)
        await pilot.press("x")
        await shows(pilot, "Remove job")
        await pilot.resize_terminal(40, 10)
        await pilot.resize_terminal(120, 36)
        await pilot.press("n")


def test_safe_leaves_text_alone_and_cuts() -> None:
    assert safe("Grüße, 東京 ✓") == "Grüße, 東京 ✓"
    assert safe("a" * 50, 10) == "a" * 10 + "…"
    assert safe("\ud800") == r"\ud800"


@pytest.mark.anyio
async def test_redis_down_at_the_start_and_later(stage: Stage, redis_server: Server) -> None:
    redis_server.stop()
    app = stage.app()
    async with app.run_test(notifications=True) as pilot:
        await shows(pilot, "no Redis at test; next try in")
        redis_server.start()
        # The server loses its data when it stops.
        stage.describe()
        stage.fail("job-1")
        await pilot.press("ctrl+r")
        await shows(pilot, "1 failed")
        redis_server.stop()
        await shows(pilot, "STALE", "1 failed")
        redis_server.start()
        await pilot.press("ctrl+r")
        await shows(pilot, "commands,")


def test_every_command_can_be_run_and_every_binding_is_in_the_table() -> None:
    from textual.binding import Binding

    from hsejobs_tui.app import JobsApp
    from hsejobs_tui.router import CLASSES, screen_for
    from hsejobs_tui.screens.job import JobView
    from hsejobs_tui.screens.matches import Matches
    from hsejobs_tui.screens.queue import QueueView
    from hsejobs_tui.session.places import ListPlace

    views: dict[str, Any] = {}
    for name in CLASSES:
        view = type(screen_for(ListPlace(name)))
        views[view.SCOPE] = view
    views |= {"queue": QueueView, "job": JobView, "matches": Matches}
    for one in commands.COMMANDS:
        for scope in one.scopes:
            if scope == "app" and one.id in CLASSES:
                continue
            target = JobsApp if scope == "app" else views[scope]
            assert hasattr(target, f"do_{one.id}"), (scope, one.id)
    for scope, target in {**views, "app": JobsApp}.items():
        taken = [
            key for one in commands.COMMANDS if scope in one.scopes for key in one.keys.split(",")
        ]
        assert len(taken) == len(set(taken)), scope
        for bound in target.BINDINGS:
            assert isinstance(bound, Binding)
            assert bound.action.startswith("command('"), bound
            assert scope in commands.by_id(bound.action.split("'")[1]).scopes


def test_each_key_is_shown_as_it_is_on_the_keyboard() -> None:
    shown = {key for one in commands.COMMANDS for key in commands.keys_shown(one).split(" or ")}
    # A name that Textual gives to a sign, such as exclamation_mark, does not tell what to press.
    assert [key for key in shown if len(key) > 1 and not key[0].isupper()] == []
    assert {"!", "@", "#", "?", "Ctrl+r", "Enter"} <= shown


def test_the_key_table_of_the_docs_is_the_code() -> None:
    text = (ROOT / "docs" / "tui.md").read_text()
    found = re.search(r"<!-- commands -->\n(.*)\n<!-- end -->", text, re.DOTALL)
    assert found is not None
    assert found[1] == commands.table()


def test_starting_loads_nothing_heavy() -> None:
    code = (
        "import sys; import hsejobs_tui.app, hsejobs_tui.router as r;"
        "from hsejobs_tui.session.places import ListPlace;"
        "[r.screen_for(ListPlace(n)) for n in r.CLASSES];"
        "print([m for m in ('huey','tasks','huey_config','pydantic','typer','fastapi','httpx',"
        "'sqlalchemy','typst','jinja2','cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_once_prints_the_overview(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    from hsejobs_tui.once import show

    stage.fail("job-1")
    show(stage.options())
    assert re.search(r"^mail +0 +0 +0 +0 +1 ", capsys.readouterr().out, re.MULTILINE)


def test_once_cuts_no_figure_and_says_that_there_is_nothing(
    redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hsejobs_tui.once import show

    options = Options(url=redis_url, prefix="t", home=tmp_path, place="test")
    show(options)
    assert "No queues are registered" in capsys.readouterr().out
    client, name = RedisClient(redis_url), "q" * 40
    registry.save(client, "t", QueueInfo(name, [TaskInfo("m.send")], "m.send"))
    show(options)
    head, row = capsys.readouterr().out.splitlines()[:2]
    assert head.split()[-2:] == ["err%", "on"]
    assert row.split()[0] == name
    assert row.split()[-2:] == ["0%", "0"]
    client.close()


def test_a_refresh_is_one_pipeline(stage: Stage) -> None:
    source = LiveSource(stage.options(), RedisClient(stage.url))
    source.snapshot()
    assert source.snapshot().cost[0] == 3 + 4
    source.redis.close()
