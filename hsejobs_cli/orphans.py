"""What a dead consumer leaves behind: processes that it started, and zombies that no one waits for.

On Linux, the supervisor is the parent of every descendant whose own parent died, also when it is not
process 1. It ends those of a dead consumer and takes the exit status of the others.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from hsejobs import process_tree

#: The environment variable that marks a consumer and all that it starts with a value of its own.
MARK = "HSEJOBS_SUPERVISION"
#: Seconds for which a zombie is left to the code of this process that started it.
PATIENCE = 1.0
_LINUX = sys.platform == "linux"


def has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child has ended. Its process id stays reserved until ``poll`` takes its status."""
    if process.returncode is not None or not _LINUX:
        return process.poll() is not None
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    try:
        return os.waitid(os.P_PID, process.pid, flags) is not None
    except ChildProcessError:
        return process.poll() is not None


def end_descendants(session: int, mark: str) -> int:
    """Kills what the consumer that led ``session`` has started, as far as it descends from us.

    That is each process of the session, and each that has ``mark`` in its environment, the leader
    aside. Returns how many there were; call it until there are none.
    """
    if not _LINUX:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)
        return 0
    return sum(
        process_tree.send(one, signal.SIGKILL)
        for one in process_tree.descendants(os.getpid())
        if one.pid != session
        and one.state not in "ZX"
        and (one.session == session or _has_mark(one.pid, mark))
    )


def _has_mark(pid: int, mark: str) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{MARK}={mark}".encode() in variables


class ZombieReaper:
    """Takes the exit status of adopted processes; ``own`` are the children that others wait for."""

    def __init__(self, own: Callable[[], Iterable[int]]) -> None:
        self._own = own
        self._since: dict[int, float] = {}

    def reap(self) -> None:
        """Reaps what has been a zombie for ``PATIENCE`` seconds. One system call if there is none."""
        if not _LINUX:
            return
        try:
            if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                self._since.clear()
                return
        except ChildProcessError:
            return
        now, own = time.monotonic(), set(self._own())
        zombies = [
            one.pid
            for one in process_tree.children(os.getpid())
            if one.state == "Z" and one.pid not in own
        ]
        self._since = {pid: self._since.get(pid, now) for pid in zombies}
        for pid, since in self._since.items():
            if now - since >= PATIENCE:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
