"""The contestants: how each is started, and where it counts finished jobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.server import Server

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Shape:
    """One way to start workers: ``copies`` processes, each with these arguments.

    ``marks`` is the number of processes that run jobs.
    """

    label: str
    copies: int
    arguments: tuple[str, ...]
    marks: int


class Contestant:
    """A job system. Each command it gives runs with the environment of `env`."""

    name: str
    #: Contestants of one family share the worker shapes that tuning has chosen.
    family: str
    #: The Redis command that counts finished jobs.
    count: tuple[str, ...]
    #: Candidates for one worker process and for two; the first serves untuned.
    one: tuple[Shape, ...]
    two: tuple[Shape, ...]
    #: One process, up to ten jobs at a time.
    ten: Shape
    #: Whether it supports organizations, so that their memory can be measured.
    organizations = False

    @cached_property
    def skipped(self) -> str | None:
        """Return why it cannot run here; None if it can."""
        return None

    def env(self, server: Server, scratch: Path) -> dict[str, str]:
        """The environment of workers and adders, without this process's own settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("QUEUE_", "JOBS_"))}
        return {
            **kept,
            "BENCH_DIR": str(scratch),
            "BENCH_REDIS_URL": server.url,
            "BENCH_REDIS_SOCKET": str(server.socket),
        }

    def lease_env(self, ms: int) -> dict[str, str]:
        """Return the environment that makes a worker stalled after ``ms`` without a heartbeat."""
        return {}

    def worker(self, shape: Shape, task: str) -> list[str]:
        raise NotImplementedError

    def adder(self, order: str) -> list[str]:
        raise NotImplementedError

    def completed(self, server: Server) -> int:
        return int(server.ask(*self.count))


def _huey_shape(kind: str, workers: int, copies: int = 1) -> Shape:
    label = f"{copies} x {kind} x {workers}"
    running = copies * (workers if kind == "process" else 1)
    return Shape(label, copies, ("-k", kind, "-w", str(workers)), running)


class PythonContestant(Contestant):
    """Run by the standard `huey_consumer`."""

    module: str
    flags: tuple[str, ...] = ()
    two = (_huey_shape("thread", 1, copies=2), _huey_shape("process", 2))
    ten = _huey_shape("thread", 10)

    def env(self, server: Server, scratch: Path) -> dict[str, str]:
        return {**super().env(server, scratch), "PYTHONPATH": str(HERE.parent)}

    def worker(self, shape: Shape, task: str) -> list[str]:
        consumer = [sys.executable, "-m", "huey.bin.huey_consumer", f"{self.module}.huey"]
        return [*consumer, *self.flags, *shape.arguments]

    def adder(self, order: str) -> list[str]:
        return [sys.executable, "-m", "benchmarks.adder", self.module, order]


class Subject(PythonContestant):
    """hsejobs, with the log level WARNING or the default one."""

    name = family = "hsejobs"
    module = "benchmarks.subject"
    count = ("ZCARD", "hsejobs:{bench}:completed")
    one = (_huey_shape("thread", 1), _huey_shape("process", 1), _huey_shape("thread", 4))
    organizations = True

    def __init__(self, shipped: bool = False) -> None:
        self._shipped = shipped
        if shipped:
            self.name = "hsejobs, default log level"

    @cached_property
    def skipped(self) -> str | None:
        tried = subprocess.run(
            [sys.executable, "-c", "from hsejobs.engine import JobHuey"],
            cwd=HERE.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode:
            return "hsejobs.engine cannot be imported: " + tried.stderr.strip().split("\n")[-1]
        return None

    def env(self, server: Server, scratch: Path) -> dict[str, str]:
        env = super().env(server, scratch)
        env |= {"QUEUE_REDIS_URL": server.url, "JOBS_HOME": str(scratch / "home")}
        return env if self._shipped else {**env, "JOBS_LOG_LEVEL": "WARNING"}

    def lease_env(self, ms: int) -> dict[str, str]:
        return {"QUEUE_LEASE_MS": str(ms)}


class PlainHuey(PythonContestant):
    """`PriorityRedisHuey`, logging errors only (``-q``)."""

    name = family = "huey"
    module = "benchmarks.peers.huey_peer"
    flags = ("-q",)
    count = ("HLEN", "huey.results.bench")
    one = (_huey_shape("thread", 1), _huey_shape("thread", 4))


def _bull_shape(concurrency: int, copies: int = 1) -> Shape:
    return Shape(f"{copies} x concurrency {concurrency}", copies, (str(concurrency),), copies)


class Bull(Contestant):
    """Bull 4 on Node, installed once into the system's temporary folder."""

    name = family = "bull"
    count = ("ZCARD", "bull:bench:completed")
    one = tuple(_bull_shape(c) for c in (50, 16, 100))
    two = tuple(_bull_shape(c, copies=2) for c in (50, 16, 100))
    ten = _bull_shape(10)
    _home = Path(tempfile.gettempdir()) / f"hsejobs-benchmark-bull-{os.getuid()}"

    @cached_property
    def skipped(self) -> str | None:
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                return f"no {program} on the PATH"
        if self.version():
            return None
        self._home.mkdir(mode=0o700, exist_ok=True)
        if self._home.stat().st_uid != os.getuid():
            return "its temporary folder belongs to someone else"
        (self._home / "package.json").write_text('{"private": true}\n')
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "bull@4"]
        try:
            done = subprocess.run(
                install, cwd=self._home, capture_output=True, text=True, timeout=300, check=False
            )
        except subprocess.TimeoutExpired:
            return "npm install bull@4 took more than 300 s"
        if done.returncode:
            return "npm install bull@4 failed: " + done.stderr.strip().split("\n")[0]
        return None

    def version(self) -> str | None:
        try:
            package = (self._home / "node_modules/bull/package.json").read_text()
        except OSError:
            return None
        return str(json.loads(package)["version"])

    def env(self, server: Server, scratch: Path) -> dict[str, str]:
        return {**super().env(server, scratch), "NODE_PATH": str(self._home / "node_modules")}

    def lease_env(self, ms: int) -> dict[str, str]:
        return {"BENCH_LEASE_MS": str(ms)}

    def worker(self, shape: Shape, task: str) -> list[str]:
        return ["node", str(HERE / "peers/bull/worker.js"), task, *shape.arguments]

    def adder(self, order: str) -> list[str]:
        return ["node", str(HERE / "peers/bull/add.js"), order]
