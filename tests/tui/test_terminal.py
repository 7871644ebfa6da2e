"""The TUI in a real terminal: after it ends or is suspended, the terminal works as before."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hsejobs_tui.signals import kept
from tests.tui.conftest import Stage

#: Seconds to wait for text on the terminal.
PATIENCE = 60.0
ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """``hsejobs tui`` on a pseudo-terminal, with its output."""

    def __init__(self, stage: Stage, *, deaf: bool = False, to: str = "") -> None:
        """``deaf``: run below a session leader that outlives the terminal, as ``make`` does.

        ``to``: a redirection of the shell's.
        """
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "JOBS_HOME": str(stage.home),
            "QUEUE_REDIS_URL": stage.url,
            "QUEUE_REDIS_PREFIX": "t",
            "COLUMNS": "80",
            "LINES": "24",
        }
        self.pid, self.fd = pty.fork()
        if not self.pid:
            words = [sys.executable, "-m", "hsejobs_tui"]
            if deaf:
                words = ["/bin/sh", "-c", 'trap : HUP; "$@"; exit $?', "sh", *words]
            if to:
                words = ["/bin/sh", "-c", f'exec "$@" {to}', "sh", *words]
            # A shell without job control makes background processes ignore the one, nohup the other.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            os.execve(words[0], words, environment)  # noqa: S606
        self.seen = ""

    def until(self, words: str) -> None:
        """Reads until the words have been written since the last call."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"never written: {words!r} in {self.seen[-2000:]!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.seen += os.read(self.fd, 65_536).decode(errors="replace")
                except OSError:
                    text = f"ended ({self.status()}) without {words!r}: {self.seen[-2000:]!r}"
                    raise AssertionError(text) from None
        self.seen = self.seen.partition(words)[2]

    def status(self) -> int:
        """Waits for the process to end; returns its exit status."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize("drawn", [True, False], ids=["at rest", "before the first frame"])
@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 0)]
)
def test_a_signal_restores_the_terminal(
    stage: Stage, signum: signal.Signals, status: int, drawn: bool
) -> None:
    stage.add("job-1")
    terminal = Terminal(stage)
    terminal.until(ENTERED)
    if drawn:
        terminal.until("1 waiting")
    os.kill(terminal.pid, signum)
    terminal.until(LEFT)
    assert terminal.status() == status


def test_with_its_errors_in_a_file_it_draws_on_the_terminal(stage: Stage) -> None:
    stage.add("job-1")
    file = stage.home / "errors"
    terminal = Terminal(stage, to=f"2>{file}")
    terminal.until(ENTERED)
    terminal.until("1 waiting")
    os.write(terminal.fd, b"q")
    terminal.until(LEFT)
    assert terminal.status() == 0
    assert file.read_text() == ""


def test_without_keyboard_input_it_prints_one_frame(stage: Stage) -> None:
    stage.add("job-1")
    terminal = Terminal(stage, to="</dev/null")
    terminal.until("mail ")
    assert terminal.status() == 0


def test_ctrl_z_goes_to_the_shell_and_back(stage: Stage) -> None:
    stage.add("job-1")
    terminal = Terminal(stage)
    terminal.until(ENTERED)
    terminal.until("1 waiting")
    os.write(terminal.fd, b"\x1a")
    terminal.until(LEFT)
    found = os.waitid(os.P_PID, terminal.pid, os.WSTOPPED)
    assert found is not None
    assert found.si_status == signal.SIGSTOP
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.until(ENTERED)
    # The whole screen is drawn again, not only the changes.
    terminal.until("Insight")
    terminal.until("mail")
    os.write(terminal.fd, b"q")
    terminal.until(LEFT)
    assert terminal.status() == 0


def test_without_any_output_it_says_so(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "hsejobs_tui"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "JOBS_HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (
        2,
        "error: standard output is closed; redirect it to a file or /dev/null\n",
    )


def test_a_terminal_that_goes_away_ends_it_without_a_signal(stage: Stage) -> None:
    stage.add("job-1")
    terminal = Terminal(stage, deaf=True)
    terminal.until("1 waiting")
    os.close(terminal.fd)
    assert terminal.status() == 129


def test_the_program_has_its_own_handlers_again_after_the_loop_of_the_tui() -> None:
    """A closed loop leaves the default, by which a signal would kill a program that cleans up."""
    seen: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: seen.append(number))
    try:
        with kept([signal.SIGHUP]):
            loop = asyncio.new_event_loop()
            loop.add_signal_handler(signal.SIGHUP, print)
            loop.close()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        os.kill(os.getpid(), signal.SIGHUP)
        assert seen == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)
