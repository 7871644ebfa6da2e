"""An operator's tasks on the queue and job screens, by keys from the overview, on a real Redis."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from hsejobs import codec
from hsejobs.control import export
from hsejobs.control.actors import Actor
from hsejobs.control.search import prepare
from hsejobs.error_groups import normalized
from hsejobs.errors import InvalidOption, Refused
from hsejobs.model import Relative, State
from hsejobs.store import registry
from hsejobs.store.write import NewJob
from hsejobs_tui.core import exporting
from hsejobs_tui.screens.job import JobView
from hsejobs_tui.screens.queue import QueueView
from tests.support.waiting import tick
from tests.tui.conftest import SECRET, Stage
from tests.tui.driving import settle, shows, text_of, until

pytestmark = pytest.mark.anyio
TRACE = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/hsejobs/engine/run.py", line 9, in call
    return task(payload)
  File "/srv/app/tasks/mail.py", line 88, in send
    deliver(message)
  File "/usr/lib/python3.11/smtplib.py", line 255, in connect
    raise error
"""


@asynccontextmanager
async def opened(
    stage: Stage, *keys: str, size: tuple[int, int] = (80, 24), **options: Any
) -> AsyncIterator[Pilot[None]]:
    """The app after these keys from the overview."""
    app = stage.app(**options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.session.snapshot is not None, "the queues")
        await settle(pilot)
        await pilot.press(*keys)
        await settle(pilot)
        yield pilot


def failed(
    stage: Stage, job_id: str, error: str, attempts: int = 1, org: str | None = None
) -> None:
    """Adds a job that fails after some attempts with the same traceback."""
    stage.add(job_id, org=org)
    for attempt in range(1, attempts + 1):
        (pair,) = stage.claim()
        now = stage.reader.now("mail")
        entry = {"error": error, "attempt": attempt, "code": "error", "traceback": TRACE + error}
        entry |= {"startedAt": now - 500, "failedAt": now, "worker": "w7-4711"}
        final = attempt == attempts
        stage.work.fail(
            *pair,
            code="error",
            error=codec.dumps(entry),
            run_us=500_000,
            final=final,
            delay_ms=None if final else 0,
            group=normalized(error),
        )
        if not final:
            stage.writer.promote("mail", job_id)


async def says(pilot: Pilot[Any], text: str) -> None:
    """Waits for a message, which the screen may wrap."""
    app: Any = pilot.app
    await until(pilot, lambda: any(text in one.message for one in app._notifications), text)


async def test_one_customers_mail_and_a_search_that_is_wrong(stage: Stage) -> None:
    for n in range(30):
        stage.add(f"job-{n}")
    async with opened(stage, "slash") as pilot:
        await _search(pilot, "job-17@example.com")
        await shows(pilot, "1 found in 30 waiting", "to: job-17@example.com")
        await pilot.press("escape", "slash")
        await _search(pilot, "tries=2")
        await shows(pilot, "unknown field tries", "attempts", "data.<path>", "quotes")
        view = pilot.app.screen
        assert isinstance(view, QueueView)
        assert not view.query_text
        # The line is open for a correction, and the message goes with it.
        await _search(pilot, "attempts=0")
        await shows(pilot, "30 found in 30 waiting")
        assert "unknown field" not in text_of(pilot.app)


async def _search(pilot: Pilot[Any], text: str) -> None:
    line = pilot.app.screen.query_one("#search", Input)
    await until(pilot, lambda: line.has_focus, "the search line")
    line.value = text
    await pilot.press("enter")


async def test_a_waiting_job_says_why_it_waits(stage: Stage) -> None:
    stage.add("job-1")
    async with opened(stage, "enter") as pilot:
        await shows(pilot, "no worker is alive: start one", "(no_worker)")
        stage.writer.pause("mail")
        await shows(pilot, "the queue is paused: P resumes it", "(paused)")
        await pilot.press("enter")
        await shows(pilot, "why", "the queue is paused")


async def test_all_states_are_one_list_and_the_cursor_follows_its_job(stage: Stage) -> None:
    failed(stage, "broken", "it broke")
    for n in range(3):
        stage.add(f"job-{n}")
    stage.add("later", delay=600_000)
    async with opened(stage, "enter", "tab") as pilot:
        await shows(pilot, "1 / 5, active first", "all 5", "broken", "later", "waiting", "delayed")
        view = pilot.app.screen
        assert isinstance(view, QueueView)
        await pilot.press("j", "j")
        await until(pilot, lambda: view.rows.key == "job-2", "the cursor on the last waiting job")
        stage.writer.cancel_many("mail", ["job-2"], _cancel())
        await until(pilot, lambda: view.rows.cursor == 3, "the cursor with its failed job")
        assert view.rows.key == "job-2"
        # An act on all of them takes the states that it may touch.
        await pilot.press("asterisk", "x")
        await shows(pilot, "Remove all 5 waiting or delayed or completed or failed jobs?")


def _cancel() -> Any:
    from hsejobs.store.write import Cancel

    return Cancel("ann")


async def test_the_list_is_limited_to_a_share_and_the_next_one(stage: Stage) -> None:
    for n in range(3):
        failed(stage, f"a-{n}", f"m.ConnectionError: no answer after {n} s")
    failed(stage, "b", "KeyError: 'x'")
    async with opened(stage, "enter", size=(120, 36)) as pilot:
        await shows(pilot, "! failed jobs", "# tasks 100 % send")
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "found in 4 failed" in text_of(pilot.app), "the share's jobs")
        first = text_of(pilot.app)
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: text_of(pilot.app).count("found in 4") == 1, "the next share")
        await pilot.press("exclamation_mark")
        await shows(pilot, "1 / 4")
        assert "found in" not in text_of(pilot.app)
        assert "ConnectionError: no answer" in first


async def test_the_figure_of_an_error_is_that_of_the_jobs_it_lists(stage: Stage) -> None:
    """Not of their attempts, of which one job has as many as the others together."""
    failed(stage, "a", "flaky")
    failed(stage, "b", "slow", attempts=2)
    failed(stage, "c", "flaky")
    async with opened(stage, "enter", size=(80, 24)) as pilot:
        await shows(pilot, "! failed 67 % flaky")
        await pilot.press("exclamation_mark")
        await shows(pilot, "2 found in 3 failed", "since=1h")
        await pilot.press("exclamation_mark")
        await shows(pilot, "1 found in 3 failed")


async def test_the_next_share_follows_while_the_figures_move(stage: Stage) -> None:
    """The one that limits the list is found again in a later read, with other figures."""
    for n in range(3):
        failed(stage, f"a-{n}", "flaky")
    failed(stage, "b", "slow")
    async with opened(stage, "enter", size=(120, 36)) as pilot:
        await shows(pilot, "! failed jobs 75 % flaky")
        await pilot.press("exclamation_mark")
        await shows(pilot, "3 found")
        view = pilot.app.screen
        assert isinstance(view, QueueView)
        failed(stage, "b-2", "slow")
        view._past_of = (None, 0.0)
        await shows(pilot, "60 % flaky")
        await pilot.press("exclamation_mark")
        await shows(pilot, "2 found")


async def test_an_export_is_what_the_command_line_writes(stage: Stage) -> None:
    for n in range(250):
        stage.add(f"job-{n:03}", {"to": f"={n}@example.com", "sig": SECRET})
    folder = stage.home / "exports"
    async with opened(stage, "enter", "e") as pilot:
        await shows(pilot, "Export to a file", "waiting jobs of mail")
        await pilot.press("enter")
        await shows(pilot, "250 jobs")
        (first,) = folder.glob("mail-waiting-*.csv")
        info = registry.load(stage.redis, "t", "mail")
        needs = export.needs("csv")
        search = prepare(stage.reader, info, "waiting", "", Actor("cli"), **needs)
        assert first.read_bytes() == b"".join(export.pieces(search, stage.reader, "csv"))
        assert stat.S_IMODE(first.stat().st_mode) == 0o600
        assert SECRET.encode() not in first.read_bytes()
        # The same name again is refused.
        await pilot.press("escape", "e")
        await until(pilot, lambda: bool(pilot.app.screen.query(".dialog Input")), "the question")
        pilot.app.screen.query_one(Input).value = first.name
        await pilot.press("enter")
        await shows(pilot, "exists already")


def test_an_export_overwrites_nothing_and_leaves_no_part_of_a_file(stage: Stage) -> None:
    for n in range(450):
        stage.add(f"job-{n:03}")
    source = stage.app().session.source
    source.snapshot()

    def steps(name: str, stop: bool = False) -> list[exporting.Exported]:
        path, form = exporting.place_of(stage.home, name)
        search = exporting.searching(source, "mail", tuple(State), "nothing-has-this", form)
        return list(exporting.write(source, search, path, form, lambda: stop))

    for name in ("../x.csv", ".csv", "a/b.csv", "a.txt", ""):
        with pytest.raises(InvalidOption, match="must be a name"):
            exporting.place_of(stage.home, name)
    last = steps("all.jsonl")[-1]
    assert (last.total, last.seen, last.report()[:7]) == (450, 450, "0 jobs,")
    with pytest.raises(Refused, match="exists already"):
        steps("all.jsonl")
    assert steps("some.csv", stop=True)[-1].report() == "cancelled; the file was removed"
    assert [one.name for one in (stage.home / "exports").iterdir()] == ["all.jsonl"]


async def test_a_file_with_all_failed_jobs_of_an_error(stage: Stage) -> None:
    for n in range(3):
        failed(stage, f"a-{n}", f"no answer after {n} s")
    failed(stage, "b", "KeyError: 'x'")
    async with opened(stage, "2", "e", "enter") as pilot:
        await shows(pilot, "3 jobs", ".csv")
    (file,) = (stage.home / "exports").iterdir()
    lines = file.read_text("utf-8-sig").splitlines()
    assert {line.partition(",")[0].strip('"') for line in lines[1:]} == {"a-0", "a-1", "a-2"}


async def test_two_jobs_are_compared_field_by_field(stage: Stage) -> None:
    failed(stage, "a", "it broke", org="org-1")
    failed(stage, "b", "it broke", org="org-2")
    async with opened(stage, "enter", "D") as pilot:
        await says(pilot, "0 selected: select two jobs with Space")
        await pilot.press("space", "space", "D")
        await shows(pilot, "organizationId", "org-1", "org-2", "a@example.com", "b@example.com")
        shown = text_of(pilot.app)
        assert SECRET not in shown
        same = shown.index("the same in both") if "the same in both" in shown else len(shown)
        assert shown.index("organizationId") < same


async def test_a_job_is_followed_live(stage: Stage) -> None:
    stage.add("job-1")
    ((_, token),) = stage.claim()
    async with opened(stage, "enter", "enter", "F") as pilot:
        await shows(pilot, "FOLLOWING", "Attempts")
        for n in range(60):
            stage.work.log("job-1", token, [f"line {n}"], n)
        stage.work.progress("job-1", token, 40, "row 400")
        await shows(pilot, "line 59", "40%")
        await pilot.press("F")
        await until(pilot, lambda: "FOLLOWING" not in text_of(pilot.app), "the end of following")


async def test_a_running_job_is_cancelled(stage: Stage) -> None:
    stage.add("job-1")
    stage.claim()
    async with opened(stage, "enter", "K") as pilot:
        await shows(pilot, "Cancel job job-1?")
        await pilot.press("y")
        await says(pilot, "cancelled job job-1")
    assert stage.reader.job("mail", "job-1").cancel is not None


async def test_everything_that_one_job_caused_is_a_tree_to_walk(stage: Stage) -> None:
    stage.add("root")
    for child, parents in (("child", ["root"]), ("grandchild", ["child", "root"])):
        family = " ".join(str(Relative("mail", one)) for one in parents)
        stage.writer.add(
            "mail", NewJob(child, "m.send", b'{"to":"x"}', 3, 1, 0, 0, nonce="n", family=family)
        )
    async with opened(stage, "enter", "enter", size=(120, 36)) as pilot:
        await shows(pilot, "Family", "mail / grandchild", "mail / child", "this job")
        await pilot.press("enter", "enter")
        await shows(pilot, "mail / child  ○ waiting", "parent")
        await pilot.press("enter", "j", "j", "enter")
        await shows(pilot, "mail / grandchild  ○ waiting")
        await pilot.press("escape")
        await shows(pilot, "1 / 3")


async def test_equal_tracebacks_are_shown_once_with_the_own_frames_first(stage: Stage) -> None:
    failed(stage, "job-1", "m.Broken: it broke", attempts=2)
    async with opened(stage, "enter", "enter", size=(140, 40)) as pilot:
        await shows(pilot, "attempt 2 (the same in 1)", "/srv/app/tasks/mail.py:88 in send")
        shown = text_of(pilot.app)
        assert "+ 2 library frames: hsejobs, smtplib" in shown
        assert shown.count("mail.py:88") == 1
        assert "payload" in next(line for line in shown.splitlines() if " Log" in line)
        await pilot.press("v")
        await shows(pilot, 'File "/usr/lib/python3.11/smtplib.py"')


async def test_a_failed_job_is_edited_and_runs_instead(stage: Stage) -> None:
    failed(stage, "job-1", "no such address")
    async with opened(stage, "enter", "E") as pilot:
        await shows(pilot, "Edit job-1", '"***"')
        area = pilot.app.screen.query_one(TextArea)
        area.text = area.text.replace("job-1@example.com", "right@example.com")
        await pilot.press("ctrl+s")
        await shows(pilot, "Run this job instead of job-1")
        await pilot.press("y")
        await says(pilot, "it supersedes job-1")
        await pilot.press("r")
        await shows(pilot, "superseded by")
        await says(pilot, "was not retried: superseded")
    (new,) = stage.reader.page("mail", State.WAITING).jobs
    assert new.data == {"to": "right@example.com", "sig": SECRET}
    assert stage.reader.job("mail", "job-1").superseded_by == new.id


async def test_an_edit_is_bound_to_the_job_that_was_seen(stage: Stage) -> None:
    failed(stage, "job-1", "no such address")
    async with opened(stage, "enter", "E") as pilot:
        await shows(pilot, "Edit job-1")
        await pilot.press("ctrl+s")
        await shows(pilot, "Run this job instead")
        tick(stage.redis)
        stage.writer.retry("mail", "job-1")
        await pilot.press("y")
        await says(pilot, "job 'job-1' is waiting")
    assert stage.counts()["waiting"] == 1


def test_who_may_not_act_has_neither_hold_nor_edit(stage: Stage) -> None:
    def has(**options: Any) -> set[str]:
        names = {"hold", "supersede", "share_tenant", "export", "compare"}
        return names & {one.id for one in stage.app(**options).session.commands("queue")}

    assert has(read_only=True) == {"share_tenant", "export", "compare"}
    assert has(organization_id="org-1") == {"supersede", "export", "compare"}


async def test_a_field_and_the_address_of_a_job_are_copied(stage: Stage) -> None:
    failed(stage, "job-1", "it broke")
    copied: list[str] = []
    base = "https://jobs.example.com/"
    async with opened(stage, "enter", "enter", public_url=base) as pilot:
        pilot.app.copy_to_clipboard = copied.append  # type: ignore[assignment, method-assign]
        await pilot.press("L")
        await says(pilot, "copied https://jobs.example.com/api/jobs/dashboard/mail/jobs/job-1")
        await pilot.press("y")
        await shows(pilot, "1 id", "3 error")
        await pilot.press("2")
        await says(pilot, "copied payload")
    assert copied[0].endswith("/api/jobs/dashboard/mail/jobs/job-1")
    assert copied[1] == codec.pretty({"to": "job-1@example.com", "sig": "***"})


@pytest.mark.parametrize("size", [(120, 36), (200, 50)])
async def test_little_of_the_screens_is_empty(stage: Stage, size: tuple[int, int]) -> None:
    for n in range(45):
        failed(
            stage, f"job-{n:02}", f"m.Broken: no answer after {n} s", attempts=2 if n > 43 else 1
        )
    async with opened(stage, "enter", size=size) as pilot:
        await shows(pilot, "1 / 45", "job-44", "! failed jobs")
        assert _empty(pilot) < 0.2
        if size[0] >= 160:
            await shows(pilot, "Attempts", "Payload")
        await pilot.press("enter")
        await shows(pilot, "Attempts", "payload")
        assert isinstance(pilot.app.screen, JobView)
        await until(pilot, lambda: _empty(pilot) < 0.2, "a full screen")


def _empty(pilot: Pilot[Any]) -> float:
    lines = text_of(pilot.app).splitlines()
    return sum(not line.strip(" │") for line in lines) / len(lines)
