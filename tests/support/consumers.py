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
from tests import forkserver
from tests.support import wait_until

ROOT = Path(__file__).parents[2]


def start_consumer(
    huey: str,
    *options: str,
    log: Path,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    fork: bool = True,
) -> forkserver.Process:
    """Starts ``huey_consumer HUEY`` in its own session; *env* is added, and its output goes to *log*.

    Without *fork* it is a start of Python: for a test that sets what Python reads then, that reads the
    environment or command line in ``/proc``, or that puts what this process starts under a limit.
    """
    module = "huey.bin.huey_consumer"
    with log.open("ab") as file, open(os.devnull, "rb") as nothing:
        if not fork:
            return subprocess.Popen(
                [sys.executable, "-m", module, huey, *options],
                env={**os.environ, **(env or {})},
                stdin=nothing,
                stdout=file,
                stderr=file,
                cwd=cwd,
                start_new_session=True,
            )
        return forkserver.start(
            "consumer",
            module,
            huey,
            *options,
            files=[nothing.fileno(), file.fileno(), file.fileno()],
            env=env,
            cwd=cwd,
            session=True,
        )


class Consumers:
    """Starts ``huey_consumer`` processes and writes their output to files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[forkserver.Process] = []

    def start(self, huey: str, *options: str, **env: str) -> forkserver.Process:
        """Starts a consumer of ``huey`` (``huey_config.email``) with additional variables."""
        process = start_consumer(huey, *options, log=self.folder / f"{huey}.log", env=env, cwd=ROOT)
        self.started.append(process)
        return process

    def kill(self, process: forkserver.Process) -> None:
        """Kills the consumer and all its workers, as a power failure would."""
        power_off(process)


def power_off(process: forkserver.Process) -> None:
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
