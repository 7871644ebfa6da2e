"""Real consumers of the platform's queues, each in its own process session."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from hsejobs import process_tree
from tests.support import wait_until

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
        power_off(process)


def power_off(process: subprocess.Popen[bytes]) -> None:
    """Kills the leader of a session and all below it, and waits for their end.

    The guards of worker processes would end them anyway, a moment later; meanwhile a worker could
    claim jobs of the next test.
    """
    below = process_tree.descendants(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for one in below:
        process_tree.send(one, signal.SIGKILL)
    process.wait()

    def is_over(one: process_tree.Process) -> bool:
        now = process_tree.read(one.pid)
        return now is None or now.identity != one.identity or now.state in "ZX"

    wait_until(lambda: all(map(is_over, below)), 20, "the end of the consumer")


@contextlib.contextmanager
def consumers(folder: Path) -> Iterator[Consumers]:
    """Consumers that are killed at the end."""
    made = Consumers(folder)
    try:
        yield made
    finally:
        for process in made.started:
            made.kill(process)
