"""The environment of one measurement: a new Redis, a temporary folder, and worker processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.contestants import Contestant, Shape
from benchmarks.server import Server

#: About 300 bytes as compact JSON, including the numbers that the adders insert.
PAYLOAD: dict[str, Any] = {
    "i": 0,
    "t": 0,
    "to": "user@example.com",
    "subject": "Welcome to the team, and thank you for signing up",
    "template": "welcome",
    "context": {"name": "Ann Example", "plan": "standard", "locale": "en", "trialDays": 30},
    "text": "We are glad to have you. Your account is ready, and this is how to begin with it.",
}


class Arena:
    """``with Arena(contestant, binary) as arena``; kills all its processes at the end."""

    def __init__(
        self,
        contestant: Contestant,
        binary: str,
        extra: dict[str, str] | None = None,
    ) -> None:
        self._contestant = contestant
        self._workers: list[subprocess.Popen[bytes]] = []
        self._scratch = Path(tempfile.mkdtemp(prefix="hsj-"))
        self.server = Server(binary, self._scratch)
        self._env = contestant.env(self.server, self._scratch) | (extra or {})

    def __enter__(self) -> Arena:
        try:
            self.server.__enter__()
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.kill_workers()
        self.server.__exit__(kind, error, tb)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def add(
        self, mode: str, n: int, task: str = "noop", warm: int = 0, organization: str | None = None
    ) -> float:
        """Add jobs in a separate process of the contestant; return the seconds it took."""
        order = {
            "mode": mode,
            "task": task,
            "n": n,
            "warm": warm,
            "payload": PAYLOAD,
            "seed": 1,
            "organization": organization,
        }
        command = self._contestant.adder(json.dumps(order))
        adder = subprocess.Popen(
            command,
            cwd=self._scratch,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = adder.communicate(timeout=60 + n / 100)
        finally:
            if adder.poll() is None:
                os.killpg(adder.pid, signal.SIGKILL)
                adder.wait()
        if adder.returncode:
            raise RuntimeError("adding failed: " + (err.strip().split("\n") or [""])[-1])
        return float(json.loads(out)["seconds"])

    def start_workers(self, shape: Shape, task: str = "noop") -> None:
        with (self._scratch / "worker.log").open("ab") as log:
            for _ in range(shape.copies):
                worker = subprocess.Popen(
                    self._contestant.worker(shape, task),
                    cwd=self._scratch,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                self._workers.append(worker)

    def stop_workers(self) -> None:
        """Stop the workers with SIGTERM; kill those that still run after 10 s."""
        give_up = time.monotonic() + 10
        for worker in self._workers:
            worker.terminate()
        while any(w.poll() is None for w in self._workers) and time.monotonic() < give_up:
            time.sleep(0.02)
        self.kill_workers()

    def kill_workers(self) -> None:
        """Send SIGKILL to every worker and its child processes."""
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        self._workers.clear()

    def completed(self) -> int:
        return self._contestant.completed(self.server)

    def marks(self) -> int:
        """Return how many processes have started their first job."""
        return sum(name.startswith("mark-") for name in os.listdir(self._scratch))

    def lines(self, name: str) -> list[str]:
        """Return what the tasks wrote under ``name``."""
        return [
            line for file in self._scratch.glob(f"{name}-*") for line in file.read_text().split()
        ]

    def wait(self, done: Callable[[], bool], seconds: float, step: float = 0.02) -> None:
        """Poll until ``done()``. Raises RuntimeError at the timeout or if no worker is alive."""
        give_up = time.monotonic() + seconds
        while not done():
            if self._workers and all(w.poll() is not None for w in self._workers):
                raise RuntimeError("the workers ended: " + self._last_words())
            if time.monotonic() > give_up:
                raise RuntimeError(f"not done after {seconds:.0f} s: " + self._last_words())
            time.sleep(step)

    def _last_words(self) -> str:
        lines = (self._scratch / "worker.log").read_text(errors="replace").strip().split("\n")
        return lines[-1][:300] or "the log is empty"
