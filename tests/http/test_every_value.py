"""Every accepted value can be listed, shown, retried, copied and removed, through every interface."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.errors import InvalidPayload
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core import compose
from hsejobs_tui.core.options import Options
from hsejobs_tui.dialogs.editor import Editor
from hsejobs_tui.screens.job import JobView
from tests.http import hostile
from tests.http.conftest import Shim, token
from tests.http.hostile import VALUES
from tests.http.test_dashboard import press, shows, view
from tests.support import wait_until
from tests.support.commands import run_command
from tests.support.consumers import Consumers, consumers
from tests.tui.driving import ALL, settle, until

#: Dozens of processes are started one after another.
pytestmark = pytest.mark.timeout(300)
BOTH = {"said": False, "failed": True}


class Scene:
    """A shim and a worker of the hostile queue; this process adds jobs to it too."""

    def __init__(self, shim: Shim, workers: Consumers) -> None:
        self.shim, self.workers = shim, workers

    def work(self, *options: str) -> None:
        self.workers.start("tests.http.hostile.huey", "-w", "2", *options)

    def ask(self, method: str, path: str, role: str = "admin", **options: Any) -> Any:
        """Returns a JSON answer; plain text fails."""
        done = self.shim.ask(method, path, role, **options)
        kind = done.headers.get("content-type", "")
        assert done.status_code == 204 or "json" in kind, (path, done.status_code, done.text[:200])
        assert done.status_code < 300, (path, done.text[:300])
        # As strictly as other JSON parsers: UTF-8, no NaN.
        return json.loads(done.content.decode()) if done.content else None

    def add(self, job_id: str, value: Any, *, fail: bool, **options: Any) -> str:
        body = json.dumps(
            {"payload": {"say": value, "fail": fail}, "options": {"jobId": job_id, **options}}
        )
        return str(self.ask("POST", "/hostile", "member", content=body)["jobId"])

    def cli(self, *words: str, exit_status: int = 0) -> str:
        done = run_command(*words)
        output = (done.stdout + done.stderr).decode()
        assert done.returncode == exit_status, (words, output[-2_000:])
        assert "Traceback" not in done.stderr.decode()
        assert "\x1b]0" not in output
        assert "\0" not in output
        return done.stdout.decode()

    def ended(self, count: int) -> None:
        def all_of_them() -> bool:
            one = self.ask("GET", "/stats")["hostile"]
            return bool(one["completed"] + one["failed"] == count)

        wait_until(all_of_them, 60, "the end of all")


@pytest.fixture
def scene(shim: Shim, tmp_path: Path) -> Iterator[Scene]:
    reset_runtime()
    hostile.huey._registered = None
    hostile.huey.register()
    with consumers(tmp_path) as found:
        yield Scene(shim, found)
    runtime().redis.close()
    reset_runtime()


def expected(value: Any) -> Any:
    """Returns the value as it is shown: secrets masked."""
    return {**value, "password": "***"} if "password" in value else value


def test_over_http(scene: Scene, tmp_path: Path) -> None:
    ids = {
        (name, how): scene.add(f"{name}-{how}", value, fail=fail)
        for name, value in VALUES.items()
        for how, fail in BOTH.items()
    }
    assert scene.ask("GET", "/hostile/jobs?status=waiting")["total"] == len(ids)
    later = scene.add("later", VALUES["half"], fail=False, delay=3_600_000)
    scene.work()
    scene.ended(len(ids))
    for status in ("completed", "failed", "delayed"):
        page = scene.ask("GET", f"/hostile/jobs?status={status}&limit=200")
        assert len(page["jobs"]) == page["total"] > 0
    for (name, how), job_id in ids.items():
        job = scene.ask("GET", f"/hostile/jobs/{job_id}")
        assert job["data"]["say"] == expected(VALUES[name]), name
        assert job["status"] == ("failed" if how == "failed" else "completed"), job["errors"]
        if how == "said" and name != "secret":
            assert job["result"] == {"said": VALUES[name]}
        assert "pass" not in json.dumps(
            [job["result"], job["errors"], job["progressMessage"]]
        ).replace("password", ""), name
        assert scene.ask("GET", f"/hostile/jobs/{job_id}/logs")["total"] == 2
        assert scene.shim.ask("HEAD", f"/hostile/jobs/{job_id}").content == b""
    # A worker may have taken it already.
    promoted = scene.ask("POST", f"/hostile/jobs/{later}/promote")["status"]
    assert promoted in ("waiting", "active", "completed")
    for name in VALUES:
        assert scene.ask("POST", f"/hostile/jobs/{ids[name, 'failed']}/retry")["status"]
    scene.ended(len(ids) + 1)
    for name in VALUES:
        scene.ask("DELETE", f"/hostile/jobs/{ids[name, 'said']}")
    removed = scene.ask("POST", "/hostile/clean", json={"grace": 0, "status": "failed"})
    assert removed == {"removed": len(VALUES)}
    assert "unexpected" not in scene.shim.log.read_text()
    for line in (tmp_path / "tests.http.hostile.huey.log").read_bytes().splitlines():
        json.loads(line)


def test_over_the_command_line(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    for name, value in VALUES.items():
        for how, fail in BOTH.items():
            payload, job_id = {"say": value, "fail": fail}, f"{name}-{how}"
            if name in ("half", "long"):
                file.write_text(json.dumps(payload))
                scene.cli("enqueue", "hostile", f"@{file}", "--id", job_id, "--org", "org-1")
            else:
                hostile.say.add(payload, job_id=job_id, organization_id="org-1")
    scene.work()
    scene.ended(2 * len(VALUES))
    for status in ("completed", "failed"):
        listed = json.loads(scene.cli("jobs", "hostile", "--status", status, "--json"))
        assert len(listed["jobs"]) == len(VALUES)
        assert f"{len(VALUES)} of {len(VALUES)}" in scene.cli("jobs", "hostile", "--status", status)
    for number, (name, value) in enumerate(VALUES.items()):
        both = ALL or name in ("half", "control")
        if both or number % 2:
            shown = json.loads(scene.cli("job", "hostile", f"{name}-said", "--json"))
            assert shown["data"]["say"] == expected(value)
            assert shown == scene.ask("GET", f"/hostile/jobs/{name}-said", "operator")
        if both or not number % 2:
            scene.cli("job", "hostile", f"{name}-failed")
    scene.cli("retry", "hostile", "half-failed")
    scene.cli("remove", "hostile", "half-said", "--yes")
    half = json.dumps({"say": VALUES["half"], "fail": False})
    said = scene.cli("enqueue", "hostile", half, "--wait", "--org", "org-1")
    assert json.loads(said) == {"said": VALUES["half"]}
    half = json.dumps({"say": VALUES["half"], "fail": True})
    scene.cli("enqueue", "hostile", half, "--wait", "--org", "org-1", exit_status=1)


def test_python_and_http_take_and_refuse_the_same(scene: Scene) -> None:
    for value in VALUES.values():
        payload = {"say": value, "fail": False}
        job = hostile.say.add(payload)
        assert json.loads(json.dumps(job.refresh().data)) == payload
    for wrong in (hostile.nested(200), hostile.nested(600), float("inf"), 10**5_000):
        with pytest.raises(InvalidPayload):
            hostile.say.add({"say": wrong, "fail": False})
    for text in (hostile.nested(200), hostile.nested(600)):
        body = json.dumps({"say": text})
        assert scene.shim.ask("POST", "/hostile", content=body).status_code == 400
    for text, status in (("1e400", 422), ("1" + "0" * 5_000, 400), ("NaN", 400)):
        done = scene.shim.ask("POST", "/hostile", content=f'{{"say":{text},"fail":false}}')
        assert done.status_code == status, done.text


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_in_the_tui(scene: Scene, redis_url: str, tmp_path: Path) -> None:
    for name, value in VALUES.items():
        for how, fail in BOTH.items():
            scene.add(f"{name}-{how}", value, fail=fail)
    scene.work("-k", "thread")
    scene.ended(2 * len(VALUES))
    app = JobsApp(Options(url=redis_url, prefix="hsejobs", home=tmp_path, place="test"))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        for name in VALUES:
            await app.push_screen(JobView("hostile", f"org-1:{name}-failed"))
            await settle(pilot)
            assert "\x1b" not in drawn(app)
            await pilot.press("escape")
            await app.push_screen(JobView("hostile", f"org-1:{name}-said"))
            await settle(pilot)
            # A terminal needs text that UTF-8 can encode.
            assert "\x1b" not in drawn(app)
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, Editor), "the editor")
            await settle(pilot)
            drawn(app)
            await pilot.press("escape")
            await settle(pilot)
            await pilot.press("escape")
            await settle(pilot)
    info = app.session.source.infos["hostile"]
    for name, value in VALUES.items():
        stored = app.session.source.stored("hostile", f"org-1:{name}-said")
        text = compose.masked_text(stored, [])
        text.encode()
        new = compose.new_job(
            info, info.task(None), text, organization_id=None, sealed=False, of=stored
        )
        assert json.loads(new.payload)["say"] == value


def drawn(app: Any) -> str:
    text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
    text.encode()
    return text


def test_in_the_dashboard(scene: Scene) -> None:
    for name, value in VALUES.items():
        scene.add(name, value, fail=name != "pair")
    scene.work()
    scene.ended(len(VALUES))
    with view(scene.shim, token("admin")) as socket:
        shows(socket, "hostile")
        for name in VALUES:
            press(socket, ":")
            shows(socket, "Go to")
            press(socket, f"org-1:{name}")
            shows(socket, name)
            press(socket, "\r")
            shows(socket, "Attempts")
            press(socket, "d")
            shows(socket, "Copy of")
            # The editor closes, then the job, and the list of queues is shown again.
            press(socket, "\x1b")
            shows(socket, "Attempts")
            press(socket, "\x1b")
            shows(socket, "failed")
