"""The consumers of a run: starting, disrupting, replacing and stopping them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

#: ms that a consumer gets to finish its jobs after SIGTERM: longer than the longest job.
GRACE_MS = 5_000
_WORKER = {"threads": "thread", "processes": "process"}


def send_to_all(group: int, signum: int) -> None:
    """Sends a signal to the process group and to all descendants of its leader.

    Each worker process leads a group of its own.
    """
    from hsejobs import process_tree

    below = process_tree.descendants(group)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signum)
    for one in below:
        process_tree.send(one, signum)


class Consumer:
    """One consumer of the run's queue, with threads or processes, in its own session."""

    def __init__(self, kind: str, workers: int, env: dict[str, str], folder: Path) -> None:
        self.kind = kind
        self._command = [
            sys.executable,
            "-m",
            "huey.bin.huey_consumer",
            "hsejobs_cli.chaos.queue.huey",
            "-k",
            _WORKER[kind],
            "-w",
            str(workers),
        ]
        self._env = env
        self._log = folder / f"{kind}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def group(self) -> int:
        """The consumer's session and process group; 0 before the start."""
        return self.process.pid if self.process is not None else 0

    @property
    def alive(self) -> bool:
        """Whether the process exists; it may be frozen."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Starts the process; the previous one must have ended."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env={**self._env, "HSEJOBS_PARENT_PID": str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def send(self, signum: int) -> None:
        """Sends a signal to the consumer and its workers."""
        if self.process is not None:
            send_to_all(self.group, signum)

    def kill(self) -> None:
        """Kills the consumer and its workers, as a power failure would."""
        if self.process is not None:
            self.send(signal.SIGKILL)
            self.process.wait()

    def kill_worker(self, pid: int) -> bool:
        """Kills one worker process; returns False if it has ended already."""
        try:
            if pid == self.group or os.getsid(pid) != self.group:
                return False
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def stop(self, meanwhile: Callable[[], None]) -> bool:
        """Sends SIGTERM and waits for the end; returns False if the consumer had to be killed."""
        if self.process is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        for _ in range(GRACE_MS // 50 + 100):
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                meanwhile()
            else:
                return True
        self.kill()
        return False
