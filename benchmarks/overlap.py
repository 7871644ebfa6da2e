"""Drain tiny jobs while workers are killed, connections cut and Redis refuses: nothing is lost or repeated.

Run by hand, from anywhere::

    python benchmarks/overlap.py --jobs 30000 --seed 7 --only thread,process

Tiny jobs are claimed in batches, and the next batch is on its way while one runs; one in 300 takes
30 ms. About every half second comes a blow: SIGKILL to a worker process, SIGTERM to the consumer,
all connections cut, scripts forgotten, or a Redis that is full or read-only for a moment.

One JSON document on stdout; the exit code is 1 if a job was lost, failed, or ran again although its
own worker was not killed.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import redis

from benchmarks.server import Server, find_binary
from hsejobs import process_tree
from hsejobs_cli.chaos.proxy import Proxy

ROOT = Path(__file__).resolve().parent.parent
BASE = "hsejobs:{tiny}:"


class Drain:
    """A consumer, and what hits it."""

    def __init__(self, folder: Path, server: Server, proxy: Proxy, kind: str) -> None:
        self.folder, self.kind, self.proxy = folder, kind, proxy
        self.redis: Any = redis.Redis(unix_socket_path=str(server.socket))
        self.env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "QUEUE_REDIS_URL": proxy.url,
            "QUEUE_LEASE_MS": "4000",
            "TINY_FILE": str(folder / "runs"),
            "JOBS_HOME": str(folder),
        }
        self.blows: collections.Counter[str] = collections.Counter()
        self.consumer = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """A consumer with two workers."""
        words = ["-m", "huey.bin.huey_consumer", "benchmarks.overlap_tasks.huey"]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *words, "-k", self.kind, "-w", "2"],
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def done(self) -> int:
        """How many jobs are completed."""
        return int(self.redis.zcard(f"{BASE}completed"))

    def strike(self, chance: random.Random) -> None:
        """One blow."""
        blows = ["cut", "cut", "stop", "scripts", "full", "read-only"]
        name = chance.choice(blows + ["kill"] * 3 * (self.kind == "process"))
        self.blows[name] += 1
        if name == "cut":
            self.proxy.cut_all()
        elif name == "scripts":
            self.redis.script_flush()
        elif name == "stop":
            self.consumer.terminate()
            if self.consumer.wait(60) not in (0, -signal.SIGTERM):
                self.blows["ended badly"] += 1
            self.consumer = self.start()
        elif name == "kill":
            below = [one.pid for one in process_tree.descendants(self.consumer.pid)]
            workers = [pid for pid in below if not process_tree.children(pid)]
            if workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
        elif name == "full":
            self.redis.config_set("maxmemory", 1)
            time.sleep(chance.uniform(0, 0.5))
            self.redis.config_set("maxmemory", 0)
        else:
            self.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
            time.sleep(chance.uniform(0, 0.5))
            self.redis.execute_command("REPLICAOF", "NO", "ONE")


def run(kind: str, total: int, chance: random.Random) -> dict[str, Any]:
    """Drains ``total`` jobs with workers of one kind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Server(find_binary(None), folder) as server, Proxy(server.url) as proxy:
            drain = Drain(folder, server, proxy, kind)
            code = (
                "from benchmarks.overlap_tasks import tiny\nimport sys\n"
                "total = int(sys.argv[1])\n"
                "tiny.add_many([{'n': n, 'ms': 30 if n % 300 == 150 else 0} for n in range(total)])"
            )
            adding = {**drain.env, "QUEUE_REDIS_URL": server.url}
            subprocess.run([sys.executable, "-c", code, str(total)], env=adding, check=True)
            give_up, begun = time.monotonic() + 600, time.monotonic()
            while drain.done() < total and time.monotonic() < give_up:
                time.sleep(chance.uniform(0.2, 0.8))
                if drain.done() < total:
                    drain.strike(chance)
            seconds = time.monotonic() - begun
            drain.consumer.terminate()
            drain.consumer.wait(60)
            ran = collections.Counter((folder / "runs").read_text().split())
            stalled = sum(
                int(value or 0) > 0
                for key in drain.redis.scan_iter(f"{BASE}j:*", 1000)
                for value in drain.redis.hmget(key, "sl")
            )
            report: dict[str, Any] = {
                "kind": kind,
                "seconds": round(seconds, 1),
                "blows": dict(drain.blows),
                "completed": drain.done(),
                "failed": int(drain.redis.zcard(f"{BASE}failed")),
                "lost": total - len(ran),
                "repeats": sum(ran.values()) - len(ran),
                "stalled": stalled,
            }
    kills = report["blows"].get("kill", 0)
    report["ok"] = (
        report["completed"] == total
        and not report["failed"] + report["lost"]
        and report["repeats"] <= kills
        and report["stalled"] <= kills
        and not report["blows"].get("ended badly")
    )
    return report


def main() -> int:
    """Prints the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="thread,process")
    given = parser.parse_args()
    reports = [run(kind, given.jobs, random.Random(given.seed)) for kind in given.only.split(",")]
    print(json.dumps(reports, indent=2))
    return 0 if all(one["ok"] for one in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
