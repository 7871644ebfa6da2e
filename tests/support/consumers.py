"""Real consumers of the platform's queues, in sessions of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Consumers:
    """Starts ``huey_consumer`` processes, whose output goes to files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, huey: str, *options: str, **env: str) -> subprocess.Popen[bytes]:
        """A consumer of ``huey`` (``huey_config.email``), with a changed environment."""
        with (self.folder / f"{huey}.log").open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "huey.bin.huey_consumer", huey, *options],
                env={**os.environ, **env},
                stdout=file,
                stderr=file,
                cwd=ROOT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """The consumer with all its workers, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def consumers(folder: Path) -> Iterator[Consumers]:
    """Some consumers; what still runs at the end is killed."""
    made = Consumers(folder)
    try:
        yield made
    finally:
        for process in made.started:
            made.kill(process)
