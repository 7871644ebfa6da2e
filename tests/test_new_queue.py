"""A seventh queue, added to a copy of the project as described in ``docs/new-queue.md``."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import huey_config
from hsejobs.engine import JobHuey
from tests.support.programs import wait_for_log

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "new-queue.md").read_text()
PARTS = ("hsejobs", "hsejobs_cli", "tasks", "templates", "huey_config.py")
INVOICE = '{"customerId":"c-1","cents":1200}'


def block(name: str) -> str:
    """The code that the page has for a file."""
    found = re.search(rf"<!-- {re.escape(name)} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def copy(short_tmp: Path) -> Path:
    """The project with the new queue: one new file and one new line."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, short_tmp / part)
        else:
            shutil.copy(source, short_tmp)
    (short_tmp / "tasks" / "invoices.py").write_text(block("tasks/invoices.py"))
    config = short_tmp / "huey_config.py"
    line = block("huey_config.py")
    assert line.count("\n") == 1
    last = "from tasks.cleanup import huey as cleanup\n"
    before = config.read_text()
    assert before.count(last) == 1
    config.write_text(before.replace(last, last + line))
    return short_tmp


def run(copy: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hsejobs_cli", *words],
        cwd=copy,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(copy: Path, *words: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command in the background and ends it with a signal; its output is in the file ``log``."""
    log = copy / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "hsejobs_cli", *words],
            cwd=copy,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.wait()


def test_every_name_is_its_queues() -> None:
    """The supervisor starts ``huey_config.<the queue's name with _>``."""
    found = {name: one for name, one in vars(huey_config).items() if isinstance(one, JobHuey)}
    assert {name: one.name.replace("-", "_") for name, one in found.items()} == {
        name: name for name in found
    }
    assert list(huey_config.QUEUES) == [
        "email",
        "reports",
        "data-exports",
        "webhooks",
        "tenant-onboarding",
        "cleanup",
    ]


def test_the_command_line_knows_it(redis_url: str, copy: Path) -> None:
    where = run_python(copy, "import huey_config, hsejobs; print(huey_config.__file__)")
    assert where == f"{copy}/huey_config.py"
    stats = json.loads(run(copy, "stats", "--json").stdout)
    assert list(stats["invoices"]) == list(stats["email"])
    assert len(stats) == len(huey_config.QUEUES) + 1
    assert "invoices" in run(copy, "stats").stdout
    bad = run(copy, "enqueue", "invoices", '{"customerId":"c-1"}')
    assert (bad.returncode, "cents" in bad.stderr) == (2, True)
    made = run(copy, "enqueue", "invoices", INVOICE, "--id", "inv-1")
    assert (made.returncode, made.stdout) == (0, "inv-1\n")
    job = json.loads(run(copy, "job", "invoices", "inv-1", "--json").stdout)
    assert (job["status"], job["attempts"], job["timeout"]) == ("waiting", 4, 60_000)
    with running(copy, "worker", "invoices"):
        done = run(copy, "enqueue", "invoices", INVOICE, "--id", "inv-2", "--wait")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"invoice": "c-1-inv-2", "cents": 1200}
        assert "completed" in done.stderr
        workers = json.loads(run(copy, "workers", "--json").stdout)
        assert [one["queue"] for one in workers] == ["invoices"]
    stats = json.loads(run(copy, "stats", "--json").stdout)
    assert (stats["invoices"]["completed"], stats["email"]["total"]) == (2, 0)


def test_up_starts_it_with_the_others(copy: Path) -> None:
    home = {"JOBS_HOME": str(copy / "home"), "JOBS_HTTP_PORT": "0"}
    with running(copy, "up", "--headless", **home) as up:
        every = len(huey_config.QUEUES) + 1
        wait_for_log(up, copy / "log", "processor started", every)
        done = run(copy, "enqueue", "invoices", INVOICE, "--wait", **home)
        assert done.returncode == 0, done.stderr
        workers = json.loads(run(copy, "workers", "--json", **home).stdout)
        assert {one["queue"] for one in workers} == {*huey_config.QUEUES, "invoices"}


def run_python(copy: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
