"""Runs one consumer process per queue: starts them, restarts those that die, stops all together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hsejobs.application import VARIABLE
from hsejobs.errors import SettingsError
from hsejobs_cli.consumer import huey_consumer

#: Seconds before a dead consumer is restarted: first, longest; and the uptime that resets the pause.
FIRST_PAUSE, LAST_PAUSE, HEALTHY = 1.0, 30.0, 60.0
#: Seconds beyond the grace period before a consumer is killed.
BEYOND_GRACE = 5.0
#: Bytes after which a log file is rotated.
LOG_LIMIT = 10_000_000
#: Name of the HTTP shim among the children; it cannot be a queue's name.
SHIM = "(http)"


@dataclass
class _Child:
    queue: str
    #: The import path for ``huey_consumer``; empty for the shim.
    place: str = ""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    pause: float = FIRST_PAUSE


class Supervisor:
    """Runs the consumers of some queues until a signal arrives.

    ``queues`` maps each name to its import path for ``huey_consumer``.
    """

    def __init__(
        self,
        queues: Mapping[str, str],
        grace_ms: int,
        *,
        env: dict[str, str] | None = None,
        logs: Path | None = None,
        shim: bool = False,
    ) -> None:
        self.children = [_Child(queue, place) for queue, place in queues.items()]
        if shim:
            self.children.append(_Child(SHIM))
        self.grace = grace_ms / 1000
        self.env = {**os.environ, **(env or {}), "HSEJOBS_PARENT_PID": str(os.getpid())}
        self.logs = logs
        self.signals = 0

    def handle(self, signum: int, frame: Any) -> None:
        """Handles a signal: the first stops the consumers gracefully, the second at once."""
        self.signals += 1

    def run(self, tick: Any = None) -> None:
        """Runs until a signal arrives; calls ``tick`` ten times a second.

        Raises SettingsError when the application can no longer be imported.
        """
        try:
            while not self.signals:
                self._check_children()
                if tick is not None:
                    tick()
                time.sleep(0.1)
        finally:
            # On any error too: the consumers must end before the services that they depend on.
            self.end()

    def _check_children(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is not None:
                status = child.process.poll()
                if status is None:
                    continue
                if status == huey_consumer.BROKEN:
                    # The consumer has printed the reason; restarting it would only repeat it.
                    raise SettingsError(
                        VARIABLE, f"names code that cannot be imported ({child.queue})"
                    )
                if now - child.started > HEALTHY:
                    child.pause = FIRST_PAUSE
                child.process = None
                child.start_at = now + child.pause
                sys.stderr.write(
                    f"the process of {child.queue} exited with {status}; restarting it in {child.pause:g} s\n"
                )
                child.pause = min(LAST_PAUSE, child.pause * 2)
            if now >= child.start_at:
                self._start(child, now)

    def _start(self, child: _Child, now: float) -> None:
        arguments = ["hsejobs_cli.consumer.huey_consumer", child.place]
        if child.queue == SHIM:
            arguments = ["hsejobs_cli", "serve"]
        out = self._log(child.queue)
        try:
            child.process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        finally:
            if out is not None:
                out.close()
        child.started = now

    def _log(self, queue: str) -> IO[bytes] | None:
        if self.logs is None:
            return None
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{queue.strip('()')}.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def end(self) -> None:
        """Stops all consumers: sends SIGTERM, waits for the grace period, then kills them."""
        sent = 0
        deadline = time.monotonic() + self.grace + BEYOND_GRACE
        while alive := [c.process for c in self.children if c.process and c.process.poll() is None]:
            if sent < min(max(self.signals, 1), 2):
                sent += 1
                for process in alive:
                    process.send_signal(signal.SIGTERM)
            if time.monotonic() > deadline:
                for process in alive:
                    # The consumer leads its own session, so its worker processes are killed too.
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.05)
