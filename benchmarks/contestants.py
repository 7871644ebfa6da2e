"""The contestants in Python, and what a contestant is: how it is started, what its jobs returned."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Address:
    """Where contestants reach Redis: at a port of 127.0.0.1, or at a socket if that is 0."""

    port: int
    socket: Path

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{self.socket}"


class Contestant(ABC):
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
    #: The part of a drain's jobs that it is given; a slow contestant needs fewer for a rate.
    portion = 1.0
    #: It differs from another contestant in drains only.
    drains_only = False
    #: How many servers it uses.
    bases = 1

    @cached_property
    def skipped(self) -> str | None:
        """Return why it cannot run here; None if it can."""
        return None

    def env(self, address: Address, scratch: Path) -> dict[str, str]:
        """The environment of workers and adders, without this process's own settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("QUEUE_", "JOBS_"))}
        return {
            **kept,
            "BENCH_DIR": str(scratch),
            "BENCH_REDIS_URL": address.url,
            "BENCH_REDIS_PORT": str(address.port),
            "BENCH_REDIS_SOCKET": str(address.socket),
        }

    def lease_env(self, ms: int) -> dict[str, str]:
        """Return the environment that makes a worker stalled after ``ms`` without a heartbeat."""
        return {}

    @abstractmethod
    def worker(self, shape: Shape, task: str) -> list[str]:
        """The command of a worker."""

    @abstractmethod
    def adder(self, order: str) -> list[str]:
        """The command of a program that adds jobs."""

    def completed(self, server: Server) -> int:
        """Return how many jobs have ended well."""
        return int(server.ask(*self.count))

    @abstractmethod
    def results(self, server: Server) -> list[Any]:
        """Return what the completed jobs returned, as the contestant keeps it."""


def huey_shape(kind: str, workers: int, copies: int = 1) -> Shape:
    label = f"{copies} x {kind} x {workers}"
    running = copies * (workers if kind == "process" else 1)
    return Shape(label, copies, ("-k", kind, "-w", str(workers)), running)


class PythonContestant(Contestant):
    """Run by the standard `huey_consumer`."""

    module: str
    flags: tuple[str, ...] = ()
    two: tuple[Shape, ...] = (huey_shape("thread", 1, copies=2), huey_shape("process", 2))
    ten = huey_shape("thread", 10)

    def env(self, address: Address, scratch: Path) -> dict[str, str]:
        return {**super().env(address, scratch), "PYTHONPATH": str(HERE.parent)}

    def worker(self, shape: Shape, task: str) -> list[str]:
        consumer = [sys.executable, "-m", "huey.bin.huey_consumer", f"{self.module}.huey"]
        return [*consumer, *self.flags, *shape.arguments]

    def adder(self, order: str) -> list[str]:
        return [sys.executable, "-m", "benchmarks.adder", self.module, order]


class Subject(PythonContestant):
    """hsejobs as shipped, or with the log level WARNING."""

    name = family = "hsejobs"
    module = "benchmarks.subject"
    count = ("ZCARD", "hsejobs:{bench}:completed")
    one: tuple[Shape, ...] = (
        huey_shape("thread", 1),
        huey_shape("process", 1),
        huey_shape("thread", 4),
    )

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        if quiet:
            self.name = "hsejobs, warnings only"

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

    def env(self, address: Address, scratch: Path) -> dict[str, str]:
        env = super().env(address, scratch)
        env |= {"QUEUE_REDIS_URL": address.url, "JOBS_HOME": str(scratch / "home")}
        return {**env, "JOBS_LOG_LEVEL": "WARNING"} if self._quiet else env

    def results(self, server: Server) -> list[Any]:
        base = "hsejobs:{bench}:"
        ids = server.ask("ZRANGE", base + "completed", "0", "-1")
        kept = server.ask_many([("HGET", f"{base}j:{one.decode()}", "r") for one in ids])
        return [one and json.loads(one) for one in kept]

    def lease_env(self, ms: int) -> dict[str, str]:
        return {"QUEUE_LEASE_MS": str(ms)}


class PlainHuey(PythonContestant):
    """`PriorityRedisHuey`, logging errors only (``-q``)."""

    name = family = "huey"
    module = "benchmarks.peers.huey_peer"
    flags = ("-q",)
    count = ("HLEN", "huey.results.bench")
    one = (huey_shape("thread", 1), huey_shape("thread", 4))
    portion = 0.25

    def results(self, server: Server) -> list[Any]:
        kept = server.ask("HVALS", "huey.results.bench")
        return [pickle.loads(one) for one in kept]  # noqa: S301 - its own results
