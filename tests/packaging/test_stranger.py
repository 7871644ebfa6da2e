"""Another project next to the installed wheel: its queue runs, and nothing shadows anything."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, run
from tests.support import wait_until
from tests.support.programs import wait_for_log

FILES = {
    # Huey's own example layout has these names.
    "tasks.py": 'WHO = "the stranger"\n',
    "config.py": 'NAME = "their config"\n',
    "templates/email/welcome.txt.j2": "theirs\n",
    "theirs.py": """
from pathlib import Path

import config
import tasks
from pydantic import BaseModel, Field
from hsejobs import JobHuey, current_job

shop = JobHuey("shop-orders", attempts=2, backoff=0.1, timeout=20.0)


class Order(BaseModel):
    n: int = Field(gt=0)


@shop.task()
def pack(payload: Order):
    current_job().progress(50, "packing")
    return {"packed": payload.n, "who": tasks.WHO, "config": config.NAME}


def doctor_checks(settings):
    yield True, "stock", ""


def add_commands(app):
    @app.command()
    def restock() -> None:
        print(Path.cwd().name)
""",
}


@pytest.fixture
def project(short_tmp: Path) -> Path:
    for name, text in FILES.items():
        path = short_tmp / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return short_tmp / "project"


@contextmanager
def running(environment: Path, folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command in the background; its output goes to the file ``log``."""
    with (folder / "log").open("wb") as file:
        process = subprocess.Popen(
            [str(environment / "hsejobs"), *words],
            cwd=folder,
            env=os.environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
    finally:
        process.kill()
        process.wait()


DONE = {"packed": 7, "who": "the stranger", "config": "their config"}
ADD = ("enqueue", "shop-orders", '{"n":7}', "--wait")


def test_up_runs_the_queue_and_all_interfaces_show_it(
    environment: Path, project: Path, redis_url: str
) -> None:
    with running(environment, project, "up", "--app", "theirs", "--headless") as up:
        log = project / "log"
        wait_for_log(up, log, "processor started")
        # Without --app: with the description that the queue has registered in Redis.
        done = run(environment, project, *ADD)
        assert (done.returncode, json.loads(done.stdout)) == (0, DONE), done.stderr
        # A `cat` of it shows the address.
        address = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        assert address is not None
        wait_until(lambda: _answers(f"{address[0]}/readyz"), 40, "the shim answers")
        # The command that it suggests is accepted by the queue's model.
        [suggested] = re.findall(r"^try +hsejobs (.*)$", log.read_text(), re.MULTILINE)
        assert run(environment, project, *shlex.split(suggested)).returncode == 0
        frame = run(environment, project, "tui", "--once")
        assert (frame.returncode, "shop-orders" in frame.stdout) == (0, True), frame.stderr
        assert '"shop-orders"' in run(environment, project, "stats", "--json").stdout
        assert "Traceback" not in log.read_text()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def test_worker_and_doctor_read_queue_app(
    environment: Path, project: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_APP", "theirs")
    with running(environment, project, "worker", "shop-orders") as worker:
        wait_for_log(worker, project / "log", "processor started")
        done = run(environment, project, *ADD)
        assert (done.returncode, json.loads(done.stdout)) == (0, DONE), done.stderr
    checks = json.loads(run(environment, project, "doctor", "--json").stdout)["checks"]
    names = [one["check"] for one in checks]
    assert "stock" in names
    assert not any(name.startswith("database") for name in names)
    assert run(environment, project, "restock").stdout == "project\n"


@pytest.mark.parametrize("page", ["README.md", "docs/application.md"])
def test_first_examples_of_the_pages_run(
    environment: Path, project: Path, redis_url: str, page: str
) -> None:
    [text, *_] = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (project / "shop.py").write_text(text)
    with running(environment, project, "worker", "--app", "shop") as worker:
        wait_for_log(worker, project / "log", "processor started")
        done = run(environment, project, "enqueue", "shop-orders", '{"number": 7}', "--wait")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"packed": 7}), done.stderr


def test_an_application_that_breaks_later_ends_its_worker_with_one_line(
    environment: Path, project: Path, redis_url: str
) -> None:
    with running(environment, project, "--app", "theirs", "worker") as worker:
        log = project / "log"
        wait_for_log(worker, log, "processor started")
        started = next(
            json.loads(line) for line in log.read_text().splitlines() if "processor started" in line
        )
        (project / "config.py").write_text("import nothing_of_that_name\n")
        os.kill(int(started["pid"]), signal.SIGKILL)
        assert worker.wait(40) == 2
    errors = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
    assert errors[0] == (
        "error: QUEUE_APP: theirs cannot be imported: ModuleNotFoundError:"
        " No module named 'nothing_of_that_name' (config.py:1) (bad_setting)"
    )
    assert len(errors) == 2
    assert "Traceback" not in log.read_text()


def test_files_in_a_folder_without_an_application_shadow_nothing(
    environment: Path, project: Path, redis_url: str
) -> None:
    for name in ("rich", "redis", "textual", "typer", "secrets", "queue", "store"):
        (project / f"{name}.py").write_text("raise RuntimeError\n")
    for command in ("stats", "tui --once"):
        done = run(environment, project, *command.split())
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [("worker",), ("up", "--headless")])
def test_without_an_application_there_is_one_error_line(
    environment: Path, project: Path, redis_url: str, command: tuple[str, ...]
) -> None:
    done = run(environment, project, *command)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    missing = "no application found: the working folder has no huey_config.py"
    assert done.stderr.startswith(f"error: QUEUE_APP: {missing}")
    # Reading needs no application.
    assert run(environment, project, "stats").returncode == 0


HOOKS = {
    "doctor": ('def doctor_checks(s): raise KeyError("boom")', "theirs.doctor_checks failed: "),
    "restock": ('def add_commands(app): raise KeyError("boom")', "theirs.add_commands failed: "),
    "worker": ("examples = 7", "theirs.examples must map queue names to example jobs"),
    "tenants export org-1": ("tenant_rows = 7", "theirs.tenant_rows has no method count"),
}


@pytest.mark.parametrize("command", HOOKS)
def test_a_faulty_hook_of_the_application_is_named(
    environment: Path, project: Path, redis_url: str, command: str
) -> None:
    hook, message = HOOKS[command]
    (project / "theirs.py").write_text(
        f"{hook}\nfrom hsejobs import JobHuey\nshop = JobHuey('shop-orders')\n"
    )
    done = run(environment, project, "--app", "theirs", *command.split())
    assert done.returncode == (1 if command == "doctor" else 2)
    assert f"QUEUE_APP: {message}" in done.stdout + done.stderr
    assert "please report" not in done.stderr
    if command == "doctor":
        # The checks after it are done.
        assert " artifacts" in done.stdout


BROKEN = {
    "import nowhere": "ModuleNotFoundError: No module named 'nowhere' (theirs.py:1)",
    "a = (": "SyntaxError: '(' was never closed (theirs.py:1)",
    "raise SystemExit(3)": "SystemExit: 3 (theirs.py:1)",
    # The line of the application, not that of the library that raised the error.
    "import json\njson.loads('{')": "(theirs.py:2)",
    "from hsejobs import JobHuey\nJobHuey('shop', attempts=0)": "attempts in all (theirs.py:2)",
    "a = 1": "the module theirs defines no queues (JobHuey objects)",
}


@pytest.mark.parametrize("name", ["theirs.py", "theirs.shop"])
def test_a_file_or_a_queue_in_place_of_the_module_gets_a_hint(
    environment: Path, project: Path, redis_url: str, name: str
) -> None:
    done = run(environment, project, "worker", "--app", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no module {name} " in done.stderr
    assert "; name the module only: theirs (" in done.stderr


@pytest.mark.parametrize("text", BROKEN)
def test_an_application_that_cannot_be_loaded_is_one_error_line(
    environment: Path, project: Path, redis_url: str, text: str
) -> None:
    (project / "theirs.py").write_text(text + "\n")
    done = run(environment, project, "worker", "--app", "theirs")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert BROKEN[text] in done.stderr
