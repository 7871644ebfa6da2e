"""The rights of a browser's token: visible contents, jobs that it may add, and the audit log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual import events

from hsejobs import codec
from hsejobs.control.filters import parse
from hsejobs.control.views import HIDDEN
from hsejobs.errors import Forbidden, InvalidOption, InvalidPayload, JobNotFound, Refused
from hsejobs.model import JobRecord, State
from hsejobs.store.circuits import Circuits
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.core.compose import new_job
from hsejobs_tui.core.options import DashboardUser
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.dialogs.editor import Editor
from hsejobs_tui.dialogs.questions import Working
from hsejobs_tui.web import options_for
from hsejobs_tui.widgets.rows import Rows
from tests.support.server import Server
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until

MINE, THEIRS = "of-ann", "of-bob"


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """Two failed jobs of two users of one organization, and one of another organization."""
    for job_id, org, user in (
        (MINE, "org-1", "ann"),
        (THEIRS, "org-1", "bob"),
        ("x", "org-2", "ann"),
    ):
        payload = codec.dumps({"to": f"{user}@example.com", "sig": "s"})
        stage.writer.add(
            "mail",
            NewJob(
                id=job_id,
                name="m.send",
                payload=payload,
                priority=3,
                attempts=1,
                backoff=1000,
                timeout=0,
                organization_id=org,
                user_id=user,
                nonce="n",
            ),
        )
        ((_, secret),) = stage.claim()
        stage.work.log(job_id, secret, ["a line"])
        error = codec.dumps({"error": f"no {user}@example.com", "attempt": 1, "code": "error"})
        stage.work.fail(
            job_id, secret, code="error", error=error, run_us=10, final=True, delay_ms=None
        )
    return stage


def _source(stage: Stage, role: str) -> LiveSource:
    options = stage.options(organization_id="org-1", viewer=DashboardUser("ann", role))
    made = LiveSource(options, stage.redis)
    made.snapshot()
    return made


def test_a_member_sees_others_jobs_but_not_their_contents(filled: Stage) -> None:
    source = _source(filled, "member")
    own, lines = source.job("mail", MINE)
    assert own.data == {"to": "ann@example.com", "sig": "***"}
    assert (lines, own.failed_reason) == (["a line"], "no ann@example.com")
    theirs, lines = source.job("mail", THEIRS)
    assert (theirs.data, theirs.failed_reason, theirs.code, lines) == (HIDDEN, HIDDEN, "hidden", [])
    assert [one["attempt"] for one in theirs.errors] == [1]
    with pytest.raises(JobNotFound):
        source.job("mail", "x")
    rows = source.window("mail", State.FAILED).rows
    assert {row.id: row.failed_reason for row in rows if row} == {
        MINE: "no ann@example.com",
        THEIRS: HIDDEN,
    }
    assert [job and job.failed_reason for job in source.jobs("mail", [THEIRS, "x"])] == [
        HIDDEN,
        None,
    ]


@pytest.mark.parametrize("text", ["bob@example.com", "error~bob", "data.to~bob", '"no bob"'])
def test_a_members_search_does_not_read_others_jobs(filled: Stage, text: str) -> None:
    (*_, hits) = _source(filled, "member").search("mail", State.FAILED, parse(text))
    assert (hits.seen, hits.bound) == (2, [])
    (*_, hits) = _source(filled, "admin").search("mail", State.FAILED, parse(text))
    assert (hits.seen, [job for job, _ in hits.bound]) == (2, [THEIRS])


def test_a_members_circuits_do_not_name_others_endpoints(filled: Stage) -> None:
    circuits = Circuits(filled.redis, "t")
    circuits.open("webhook:org-1:hooks.bob.example:443")
    circuits.open("smtp:mail.example.com:587")
    [shown] = _source(filled, "member").circuits()
    assert (shown.state, shown.host, shown.last_error) == ("open", "endpoint 1", None)
    [shown] = _source(filled, "admin").circuits()
    assert shown.host == "hooks.bob.example:443"


def test_a_members_failures_do_not_name_others_errors(filled: Stage) -> None:
    (*_, (found, seen, _)) = _source(filled, "member").failures()
    assert seen == 2
    assert {one.sample_error for one in found.values()} == {"no ann@example.com", HIDDEN}
    (*_, (found, _, _)) = _source(filled, "admin").failures()
    assert [one.count for one in found.values()] == [2]


def _view(stage: Stage, monkeypatch: pytest.MonkeyPatch, role: str, org: str | None) -> Any:
    monkeypatch.setenv("QUEUE_REDIS_URL", stage.url)
    monkeypatch.setenv("QUEUE_REDIS_PREFIX", "t")
    monkeypatch.setenv("JOBS_HOME", str(stage.home))
    return options_for({"userId": "ann", "role": role, "organizationId": org, "sealed": False})


def test_the_role_determines_the_session(filled: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    member = _view(filled, monkeypatch, "member", "org-1")
    assert (member.member, member.organization_id, member.place) == (True, "org-1", "hsejobs")
    with pytest.raises(Forbidden, match="role admin"):
        list(acts_of(member, filled.redis).many("retry", "mail", [(MINE, "")]))
    admin = _view(filled, monkeypatch, "admin", "org-1")
    (*_, done) = acts_of(admin, filled.redis).many("retry", "mail", [(MINE, ""), ("x", "")])
    assert (done.done, dict(done.refused)) == (1, {"gone": 1})
    [line] = (filled.home / "audit.log").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["who"], entry["door"], entry["count"]) == ("ann", "dashboard", 1)
    operator = _view(filled, monkeypatch, "operator", None)
    assert acts_of(operator, filled.redis).pause("mail", True).startswith("mail is paused")


@pytest.mark.parametrize(
    ("role", "least", "may"),
    [
        ("admin", "member", True),
        ("admin", "admin", True),
        ("admin", "operator", False),
        ("operator", "operator", True),
    ],
)
def test_who_may_add_to_which_queue(filled: Stage, role: str, least: str, may: bool) -> None:
    task = TaskInfo("m.send")
    info = QueueInfo("mail", [task], "m.send", enqueue=least)
    acts = acts_of(
        filled.options(organization_id="org-1", viewer=DashboardUser("ann", role)), filled.redis
    )
    new = new_job(info, task, "{}", organization_id="org-1", sealed=False, user_id="ann")
    if may:
        acts.add(info, new)
        record = filled.reader.job("mail", new.id)
        assert (record.organization_id, record.user_id) == ("org-1", "ann")
    else:
        with pytest.raises(Refused, match="operator"):
            acts.add(info, new)


@pytest.mark.parametrize("name", ["organizationId", "organization_id"])
def test_one_organization_adds_for_itself_only(name: str) -> None:
    task = TaskInfo("m.send")
    info = QueueInfo("mail", [task], "m.send")
    for org, good in (("org-1", True), ("", True), ("org-2", False)):
        text = json.dumps({name: org})
        if good:
            new_job(info, task, text, organization_id="org-1", sealed=False)
        else:
            with pytest.raises(InvalidPayload, match=name):
                new_job(info, task, text, organization_id="org-1", sealed=False)
    assert new_job(info, task, text, organization_id=None, sealed=False).organization_id == "org-2"


def test_an_unconfined_session_adds_for_the_owner_in_the_payload(filled: Stage) -> None:
    task = TaskInfo("m.send")
    info = QueueInfo("mail", [task], "m.send")

    def made(data: dict[str, Any], of: JobRecord | None = None) -> tuple[str | None, str | None]:
        new = new_job(info, task, json.dumps(data), organization_id=None, sealed=False, of=of)
        return new.organization_id, new.user_id

    assert made({}) == (None, None)
    assert made({"organizationId": "org-2", "user_id": "bob"}) == ("org-2", "bob")
    of = filled.reader.job("mail", MINE)
    assert made(of.data, of) == ("org-1", "ann")
    assert made({**of.data, "organizationId": "org-2"}, of) == ("org-2", "ann")
    with pytest.raises(InvalidOption, match="organizationId"):
        made({"organizationId": "x" * 201})


@pytest.mark.anyio
async def test_a_browser_has_no_editor_of_the_server(
    filled: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = tmp_path / "touched"
    monkeypatch.setenv("EDITOR", f"touch {touched}")
    app = JobsApp(filled.options(viewer=DashboardUser("ann", "operator")))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("n")
        await shows(pilot, "Check and add")
        await pilot.press("ctrl+e")
        await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
        assert "$EDITOR" not in text_of(app)
        await pilot.press("ctrl+e")
        await settle(pilot)
        assert isinstance(app.screen, Editor)
    assert not touched.exists()


@pytest.mark.anyio
async def test_a_browser_does_not_show_the_redis_address(
    filled: Stage, redis_server: Server
) -> None:
    app = JobsApp(filled.options(viewer=DashboardUser("ann", "operator")))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await shows(pilot, "mail", "3 failed")
        redis_server.stop()
        await pilot.press("colon", *"of-ann", "enter")
        await shows(pilot, "Redis does not answer (redis_unavailable)", "STALE")
        assert str(redis_server.folder) not in text_of(app)
        await app.push_screen(
            Working("x", 1, lambda stop: app.session.acts.many("retry", "mail", [(MINE, "")]))
        )
        await shows(pilot, "Close (Esc, Enter)", "Redis does not answer (redis_unavailable)")
        assert str(redis_server.folder) not in text_of(app)
        redis_server.start()


@pytest.mark.anyio
async def test_the_list_has_the_focus_when_the_terminal_gets_it(filled: Stage) -> None:
    app = JobsApp(filled.options())
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await settle(pilot)
        app.screen.set_focus(None)
        app.post_message(events.AppBlur())
        await settle(pilot)
        app.post_message(events.AppFocus())
        await until(pilot, lambda: isinstance(app.focused, Rows), "the focus")
