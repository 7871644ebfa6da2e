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
from typing import NamedTuple

from benchmarks import cpu
from benchmarks.cases import CASES, ROUND_TRIP, Case
from benchmarks.contestants import Address, Contestant, Shape
from benchmarks.distance import Distance
from benchmarks.server import Server, Totals


class Adding(NamedTuple):
    """What adding took: seconds, and CPU seconds of the process that added."""

    seconds: float
    cpu: float


class Spent(NamedTuple):
    """CPU seconds of the workers, and of each server."""

    workers: float
    servers: tuple[float, ...]

    def since(self, before: Spent) -> Spent:
        """Return what was spent after ``before``."""
        pairs = zip(self.servers, before.servers, strict=True)
        return Spent(self.workers - before.workers, tuple(now - then for now, then in pairs))


class Arena:
    """``with Arena(contestant, binary, case) as arena``; kills all its processes at the end."""

    def __init__(
        self,
        contestant: Contestant,
        binary: str,
        case: Case = CASES["tcp"],
        extra: dict[str, str] | None = None,
    ) -> None:
        self._contestant, self._case = contestant, case
        self._workers: list[subprocess.Popen[bytes]] = []
        self._scratch = Path(tempfile.mkdtemp(prefix="hsj-"))
        folders = [self._scratch] + [self._scratch / f"s{n}" for n in range(1, contestant.bases)]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        #: One for each base; the first one is ``server``.
        self.servers = [Server(binary, folder, tcp=case.link == "tcp") for folder in folders]
        self.server = self.servers[0]
        self._far = Distance(self.server.socket, ROUND_TRIP) if case.link == "1ms" else None
        self._extra = extra or {}
        #: How many jobs were added; their numbers are those below.
        self.added = 0

    def __enter__(self) -> Arena:
        try:
            for server in self.servers:
                server.__enter__()
            if self._far is not None:
                self._far.__enter__()
        except BaseException:
            self._close()
            raise
        port = self.server.port if self._far is None else self._far.port
        address = Address(port, self.server.socket)
        urls = [address.url, *(Address(one.port, one.socket).url for one in self.servers[1:])]
        bases = {"BENCH_REDIS_BASES": ",".join(urls)}
        self._env = self._contestant.env(address, self._scratch) | bases | self._extra
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.kill_workers()
        self._close()

    def _close(self) -> None:
        if self._far is not None:
            self._far.__exit__()
        for server in self.servers:
            server.__exit__(None, None, None)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def add(self, mode: str, n: int, task: str = "mail", warm: int = 0) -> Adding:
        """Add ``warm`` jobs and then, measured, ``n``, in a process of the contestant."""
        order = {
            "mode": mode,
            "task": task,
            "n": n,
            "first": self.added,
            "warm": warm,
            "payload": self._case.payload,
            "seed": 1,
            "organization": self._case.tenant,
        }
        self.added += warm + n
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
        return Adding(**json.loads(out))

    def start_workers(self, shape: Shape, task: str = "mail") -> None:
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
        return sum(self._contestant.completed(server) for server in self.servers)

    def check(self) -> int:
        """Return how many results there are. Raises RuntimeError unless each job has its own."""
        results = [one for server in self.servers for one in self._contestant.results(server)]
        good = [one["id"] for one in results if isinstance(one, dict) and one.get("ok") is True]
        if sorted(good) != list(range(self.added)):
            raise RuntimeError(
                f"{self.added} jobs were added, {len(results)} have ended"
                f" and {len(set(good))} of them have their result"
            )
        return len(good)

    def spent(self) -> Spent:
        """Return the CPU seconds of the workers and of Redis so far."""
        workers = sum(cpu.of_tree(one.pid) for one in self._workers)
        return Spent(workers, tuple(server.cpu() for server in self.servers))

    def totals(self) -> Totals:
        """Return the counters of all servers, without the benchmark's own requests."""
        counted = [server.totals() for server in self.servers]
        return Totals(sum(one.commands for one in counted), sum(one.reads for one in counted))

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
