"""A fork is what a start of Python is: it imports no more, says the same and ends in the same way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forkserver
from tests.forkserver import ROOT
from tests.support.consumers import power_off, start_consumer
from tests.support.programs import wait_for_log

MAIL = '{"to": "a@example.com", "subject": "s", "text": "t"}'
#: What has the most in common with the others of its kind.
STARTS = {
    "command": ("hsejobs_cli", "enqueue", "email", MAIL),
    "consumer": ("huey.bin.huey_consumer", "huey_config.email"),
    "shim": ("hsejobs_cli", "serve"),
}
#: What they write when they have started; a command ends.
STARTED = {"consumer": "processor started", "shim": "Application startup complete"}
#: Python runs it at its start.
WRITES_MODULES = """
import atexit, os, sys
atexit.register(lambda: open(os.environ["MODULES"], "w").write(" ".join(sys.modules)))
"""


@pytest.mark.parametrize("kind", forkserver.KINDS)
def test_a_server_imports_only_what_its_programs_import_by_themselves(
    kind: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, a program that lacks an import would find it imported."""
    (tmp_path / "sitecustomize.py").write_text(WRITES_MODULES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("JOBS_JWT_SECRET", "0123456789abcdef0123456789abcdef")
    server, own, log = (tmp_path / name for name in ("server", "own", "log"))
    asking, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with other, log.open("wb") as file:
        # No one will ask it.
        asking.close()
        monkeypatch.setenv("MODULES", str(server))
        words = [sys.executable, "-m", "tests.forkserver", kind, str(other.fileno())]
        subprocess.run(words, cwd=ROOT, pass_fds=[other.fileno()], check=True)
        monkeypatch.setenv("MODULES", str(own))
        process = subprocess.Popen(
            [sys.executable, "-m", *STARTS[kind]],
            cwd=ROOT,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        if kind in STARTED:
            wait_for_log(process, log, STARTED[kind])
            process.terminate()
        assert process.wait(60) == 0, log.read_text()
    finally:
        power_off(process)
    imported, needed = (set(file.read_text().split()) for file in (server, own))
    assert "hsejobs.engine.queue" in imported
    assert sorted(imported - needed - {"tests", "tests.forkserver", "gc"}) == []


@pytest.mark.parametrize(
    "words",
    [("--help",), ("--no-such-option",), ("os.nothing",), ("huey_config.email", "-w", "no")],
)
def test_a_fork_says_and_ends_as_python_does(words: tuple[str, ...], tmp_path: Path) -> None:
    forked = tmp_path / "forked"
    status = start_consumer(*words, log=forked, cwd=ROOT).wait(60)
    with (tmp_path / "started").open("wb") as file:
        command = [sys.executable, "-m", "huey.bin.huey_consumer", *words]
        started = subprocess.run(command, cwd=ROOT, stdout=file, stderr=file, check=False)
    assert status == started.returncode
    said, expected = ((tmp_path / name).read_text().splitlines() for name in ("forked", "started"))
    assert said[-1:] == expected[-1:]
    # Above the end of a traceback, the way to the module differs.
    if "Traceback (most recent call last):" not in expected:
        assert said == expected


def test_a_fork_is_a_process_of_its_own(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its own session, folder and environment, and its end is kept until it is asked for."""
    log = tmp_path / "log"
    process = start_consumer("huey_config.email", log=log, cwd=ROOT, env={"OWN": "1"})
    try:
        wait_for_log(process, log, "processor started")
        assert os.getsid(process.pid) == process.pid
        place = Path(f"/proc/{process.pid}")
        assert (place / "cwd").readlink() == ROOT
        assert {(place / "fd" / str(fd)).readlink() for fd in (1, 2)} == {log}
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        assert process.poll() is None
        process.kill()
        assert process.wait(20) == process.poll() == process.returncode == -signal.SIGKILL
        process.terminate()
    finally:
        power_off(process)


def test_a_fork_restarts_as_its_own_program(redis_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start_consumer("huey_config.email", "-w", "3", log=log, cwd=ROOT)
    try:
        wait_for_log(process, log, "processor started")
        process.send_signal(signal.SIGHUP)
        wait_for_log(process, log, "processor started", times=2)
        words = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
        assert words[1:] == ["-m", "huey.bin.huey_consumer", "huey_config.email", "-w", "3", ""]
        process.terminate()
        assert process.wait(30) == 0
    finally:
        power_off(process)


def test_what_python_reads_at_its_start_needs_a_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="PYTHONHASHSEED"):
        start_consumer("huey_config.email", log=tmp_path / "log", env={"PYTHONHASHSEED": "7"})
