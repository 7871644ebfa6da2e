"""``hsejobs demo``: shows the TUI on data of its own, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
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
    """The processes with this folder for temporary files, and those that work in it: a server overwrites
    its environment with its title.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text, place = (path / "environ").read_bytes(), (path / "cwd").readlink()
        except OSError:
            continue
        its_own = f"TMPDIR={folder}\0".encode() in text or place.is_relative_to(folder)
        if its_own and int(path.name) != os.getpid():
            found.append(int(path.name))
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


def nothing_left(temporary: Path) -> None:
    wait_until(lambda: not processes_of(temporary), PATIENCE, "the end of its processes")
    assert list(temporary.iterdir()) == []


def end_by(pid: int, fd: int, first: bytes | signal.Signals, again: signal.Signals) -> None:
    """Ends it by keys or a signal.

    ``again``: a signal that comes all through its clean-up, once it has left the terminal.
    """
    if isinstance(first, bytes):
        os.write(fd, first)
    else:
        os.kill(pid, first)
    seen, deadline = b"", time.monotonic() + PATIENCE
    while True:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        assert time.monotonic() < deadline, "it does not end"
        if select.select([fd], [], [], 0.01)[0]:
            with suppress(OSError):
                seen += os.read(fd, 65_536)
        if b"\x1b[?1049l" in seen:
            os.kill(pid, again)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"q", signal.SIGHUP),
        (b"q", signal.SIGTERM),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGHUP, signal.SIGHUP),
    ],
)
def test_a_signal_during_its_clean_up_leaves_nothing(
    temporary: Path, first: bytes | signal.Signals, again: signal.Signals
) -> None:
    pid, fd = in_terminal()
    assert len(list(temporary.iterdir())) == 1
    end_by(pid, fd, first, again)
    os.close(fd)
    wait_until(lambda: list(temporary.iterdir()) == [], PATIENCE, "the end of its folder")
    nothing_left(temporary)


@pytest.mark.parametrize("how", ["closed terminal", "kill -9"])
def test_without_its_terminal_or_a_clean_up_nothing_is_left(temporary: Path, how: str) -> None:
    pid, fd = in_terminal()
    if how == "kill -9":
        os.kill(pid, signal.SIGKILL)
    os.close(fd)
    os.waitpid(pid, 0)
    wait_until(lambda: list(temporary.iterdir()) == [], PATIENCE, "the end of its folder")
    nothing_left(temporary)


def test_what_is_left_of_a_run_that_was_killed_with_all_its_processes(temporary: Path) -> None:
    with subprocess.Popen(WORDS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        wait_until(lambda: list(temporary.glob("*/redis/server.lock")), PATIENCE, "its server")
        for one in processes_of(temporary):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGSTOP)
        for one in processes_of(temporary):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
    wait_until(lambda: not processes_of(temporary), PATIENCE, "the end of its processes")
    [killed] = temporary.iterdir()
    done = subprocess.run(WORDS, capture_output=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, killed.exists()) == (0, False)
    nothing_left(temporary)


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
