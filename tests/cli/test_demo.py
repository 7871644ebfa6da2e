"""``hsejobs demo``: shows the TUI on data of its own, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import wait_until

PATIENCE = 60.0
WORDS = [sys.executable, "-m", "hsejobs_cli", "demo"]


@pytest.fixture
def temporary(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of the demo, and settings that it must not use."""
    monkeypatch.setenv("TMPDIR", str(short_tmp))
    monkeypatch.setenv("QUEUE_REDIS_URL", "unix:///nowhere/redis.sock")
    monkeypatch.setenv("QUEUE_APP", "no_such_module")
    monkeypatch.setenv("QUEUE_BILLING_CONCURRENCY", "none")
    monkeypatch.setenv("TERM", "xterm-256color")
    return short_tmp


def processes_of(folder: Path) -> list[int]:
    """The processes with this folder for temporary files."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if f"TMPDIR={folder}\0".encode() in text and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def in_terminal() -> tuple[int, int]:
    """Starts the demo on a terminal; returns its process id and the terminal."""
    pid, fd = pty.fork()
    if not pid:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv(WORDS[0], WORDS)  # noqa: S606
    seen, deadline = b"", time.monotonic() + PATIENCE
    # The queues with their alerts.
    while b"onboarding" not in seen or b"31 %" not in seen:
        assert time.monotonic() < deadline, seen[-2000:]
        if select.select([fd], [], [], 1.0)[0]:
            seen += os.read(fd, 65_536)
    return pid, fd


def test_when_its_terminal_closes_nothing_is_left_nor_of_a_run_that_was_killed(
    temporary: Path,
) -> None:
    with subprocess.Popen(WORDS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        wait_until(lambda: list(temporary.glob("*/redis/server.lock")), PATIENCE, "its server")
        process.kill()
    wait_until(lambda: not processes_of(temporary), PATIENCE, "the end of its processes")
    [killed] = temporary.iterdir()
    pid, fd = in_terminal()
    [own] = temporary.iterdir()
    assert own != killed
    os.close(fd)
    os.waitpid(pid, 0)
    wait_until(lambda: not processes_of(temporary), PATIENCE, "the end of its processes")
    assert list(temporary.iterdir()) == []


def test_without_a_terminal_it_prints_a_frame_and_ends(temporary: Path, tmp_path: Path) -> None:
    done = subprocess.run(WORDS, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
    assert "billing: 31 % of the jobs" in done.stdout
    assert list(temporary.iterdir()) == []
    # The user's own home.
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_it_starts_leaves_nothing(temporary: Path) -> None:
    with subprocess.Popen(WORDS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        wait_until(lambda: list(temporary.glob("*/redis")), PATIENCE, "its folder")
        process.terminate()
        assert process.wait(PATIENCE) == 143
    wait_until(lambda: not processes_of(temporary), PATIENCE, "the end of its processes")
    assert list(temporary.iterdir()) == []
