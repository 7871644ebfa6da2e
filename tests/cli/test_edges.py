"""Commands under odd conditions of a shell: closed streams, Ctrl-C, pipes, empty variables."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest

from hsejobs import codec
from hsejobs.store.client import RedisClient
from hsejobs.store.work import WorkerStore
from hsejobs_cli import main, output
from tests.cli.test_commands import MAIL, document, run

WAITING = ("enqueue", "email", MAIL, "--delay", "600")


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_not_an_error(redis_url: str, closed: str) -> None:
    words = shlex.join([sys.executable, "-m", "hsejobs_cli", *WAITING, "--id", "j"])
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {words} {closed}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "j\n")
    assert document("job", "email", "j")["status"] == "delayed"


def test_closed_input_is_an_invalid_payload(redis_url: str) -> None:
    words = shlex.join([sys.executable, "-m", "hsejobs_cli", "enqueue", "email", "-"])
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {words} <&-"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "line 1" in done.stderr


def test_ctrl_c_while_the_commands_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loading:
        def __getattr__(self, name: str) -> Any:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "hsejobs_cli.app", Loading())
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 130


@pytest.mark.parametrize(
    ("option", "field"), [("--org", "organization_id"), ("--user", "user_id"), ("--id", "job_id")]
)
def test_an_empty_variable_is_not_the_same_as_no_option(
    redis_url: str, option: str, field: str
) -> None:
    done = run("enqueue", "email", MAIL, option, "")
    assert (done.returncode, done.stdout) == (2, "")
    assert field in done.stderr
    assert document("stats")["email"]["total"] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("clean", "email", "--status", "delayed", "--grace", "0s", "--yes"),
        ("promote", "email", "--all"),
        ("remove", "email", "j", "--yes"),
        ("jobs", "email"),
        ("stats",),
        ("circuits",),
    ],
)
def test_an_empty_org_never_means_all_organizations(redis_url: str, words: tuple[str, ...]) -> None:
    assert run(*WAITING, "--id", "j", "--org", "org-1").returncode == 0
    done = run(*words, "--org", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert "org" in done.stderr
    assert document("job", "email", "j")["status"] == "delayed"


def test_a_long_name_is_not_cut_in_a_pipe(redis_url: str) -> None:
    name = "webhook:" + "o" * 150 + ":" + "h" * 60 + ".example:443"
    assert run("circuits", "open", name).returncode == 0
    assert any(
        line.split()[0] == name for line in run("circuits").stdout.splitlines() if line.strip()
    )
    long = "j" * 200
    assert run(*WAITING, "--id", long).returncode == 0
    assert long in run("jobs", "email", "--status", "delayed").stdout


def test_a_long_name_is_not_cut_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setitem(os.environ, "COLUMNS", "60")
    name = "".join(chr(ord("a") + number % 26) for number in range(100))
    output.table(("name", "other"), [(name, "text")])
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 60
    assert "".join(line.split()[0] for line in lines[3:] if line.strip()) == name


@pytest.mark.parametrize("ttl", ["0s", "4000d", "99999999999d", "-1h", ""])
def test_ttl_of_a_token_is_limited(ttl: str) -> None:
    done = run("token", "--org", "o", "--user", "u", "--ttl", ttl, JOBS_JWT_SECRET="s" * 32)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ttl" in done.stderr


def test_the_task_of_a_schedule_takes_no_payload(redis_url: str) -> None:
    done = run("enqueue", "cleanup", "{}", "--task", "hourly_cleanup", "--id", "now")
    assert (done.returncode, done.stdout) == (0, "now\n")
    assert document("job", "cleanup", "now")["data"] == {"args": [], "kwargs": {}}
    more = run("enqueue", "cleanup", '{"failedHours":1}', "--task", "hourly_cleanup")
    assert more.returncode == 2
    assert "takes none" in more.stderr


def test_a_heartbeat_without_slots_is_listed(redis_url: str) -> None:
    """Another release may have sent it."""
    assert run(*WAITING).returncode == 0
    record = {"id": "w-9", "queue": "email", "host": "worker-7", "pid": 9, "workers": "threads"}
    record |= {"concurrency": None, "slots": None}
    with contextlib.closing(RedisClient(redis_url)) as client:
        work = WorkerStore(client, "hsejobs", "email")
        work.heartbeat("w-9", codec.dumps(record), 60_000)
    done = run("workers")
    assert (done.returncode, done.stderr) == (0, "")
    assert "worker-7" in done.stdout
