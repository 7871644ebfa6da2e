"""Real consumers of the platform's queues, each in its own process session."""

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
    """Starts ``huey_consumer`` processes and writes their output to files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, huey: str, *options: str, **env: str) -> subprocess.Popen[bytes]:
        """Starts a consumer of ``huey`` (``huey_config.email``) with additional variables."""
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
        """Kills the consumer and all its workers, as a power failure would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def consumers(folder: Path) -> Iterator[Consumers]:
    """Consumers that are killed at the end."""
    made = Consumers(folder)
    try:
        yield made
    finally:
        for process in made.started:
            made.kill(process)
