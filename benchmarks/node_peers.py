"""The contestants on Node, each installed once into the system's temporary folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.contestants import HERE, Address, Contestant, Shape
from benchmarks.server import Server


def _shape(concurrency: int, copies: int = 1) -> Shape:
    return Shape(f"{copies} x concurrency {concurrency}", copies, (str(concurrency),), copies)


class Bull(Contestant):
    """Bull 4."""

    name = family = "bull"
    #: The package that it measures.
    package = "bull"
    #: What npm installs.
    wanted: tuple[str, ...] = ("bull@4",)
    count = ("ZCARD", "bull:bench:completed")
    one = tuple(_shape(c) for c in (50, 16, 100))
    two = tuple(_shape(c, copies=2) for c in (50, 16, 100))
    ten = _shape(10)

    @property
    def _home(self) -> Path:
        return Path(tempfile.gettempdir()) / f"hsejobs-benchmark-{self.package}-{os.getuid()}"

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
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *self.wanted]
        try:
            done = subprocess.run(
                install, cwd=self._home, capture_output=True, text=True, timeout=300, check=False
            )
        except subprocess.TimeoutExpired:
            return f"npm install {' '.join(self.wanted)} took more than 300 s"
        if done.returncode:
            return (
                f"npm install {' '.join(self.wanted)} failed: " + done.stderr.strip().split("\n")[0]
            )
        return None

    def version(self) -> str | None:
        try:
            package = (self._home / f"node_modules/{self.package}/package.json").read_text()
        except OSError:
            return None
        return str(json.loads(package)["version"])

    def env(self, address: Address, scratch: Path) -> dict[str, str]:
        found = super().env(address, scratch)
        return {**found, "BENCH_PEER": self.package, "NODE_PATH": str(self._home / "node_modules")}

    def lease_env(self, ms: int) -> dict[str, str]:
        return {"BENCH_LEASE_MS": str(ms)}

    def worker(self, shape: Shape, task: str) -> list[str]:
        return ["node", str(HERE / "peers/bull/worker.js"), task, *shape.arguments]

    def adder(self, order: str) -> list[str]:
        return ["node", str(HERE / "peers/bull/add.js"), order]

    def results(self, server: Server) -> list[Any]:
        ids = server.ask("ZRANGE", "bull:bench:completed", "0", "-1")
        kept = server.ask_many(
            [("HGET", f"bull:bench:{one.decode()}", "returnvalue") for one in ids]
        )
        return [one and json.loads(one) for one in kept]


class BullDefault(Bull):
    """Bull 4 with its default of one job at a time in each process, like one worker of hsejobs."""

    name = family = "bull, concurrency 1"
    drains_only = True
    one = (_shape(1),)
    two = (_shape(1, copies=2),)


class BullMQ(Bull):
    """BullMQ, whose keys and programs here are those of Bull."""

    name = family = package = "bullmq"
    wanted = ("bullmq@6", "ioredis@5")
