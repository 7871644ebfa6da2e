"""Measure how an unavailable, full or distant Redis affects running jobs.

Run it in any folder::

    python benchmarks/refusals.py --only outage,full,due

``outage``  1,000 running jobs with progress and log lines; Redis is stopped for 60 s;
``full``    maxmemory is reached in the middle of 2,000 jobs; then old jobs are cleaned;
``due``     1,000,000 jobs fall due at once, 150 ms from Redis, while other jobs run.

One JSON document on stdout.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.distance import Distance
from benchmarks.server import Server, find_binary
from hsejobs.errors import RedisFull
from hsejobs.model import State
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter, NewJob

ROOT = Path(__file__).resolve().parent.parent
QUEUE = "refused"
BASE = f"hsejobs:{{{QUEUE}}}:"


class Field:
    """A server, its consumers, and the ledger of their jobs."""

    def __init__(self, folder: Path, binary: str, *, append_only: bool) -> None:
        self.folder = folder
        self.server = Server(binary, folder, append_only=append_only)
        self.notes = folder / "notes"
        self.notes.touch()
        self.consumers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Field:
        self.server.__enter__()
        self.redis = RedisClient(self.server.url)
        self.reader, self.writer = (
            JobReader(self.redis, "hsejobs"),
            JobWriter(self.redis, "hsejobs"),
        )
        return self

    def __exit__(self, *_: Any) -> None:
        for one in self.consumers:
            one.send_signal(signal.SIGKILL)
            one.wait()
        self.server.__exit__(None, None, None)

    def consume(self, *options: str, url: str | None = None, **env: str) -> None:
        log = (self.folder / "consumer.log").open("ab")
        self.consumers.append(
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "huey.bin.huey_consumer",
                    "benchmarks.refusal_tasks.huey",
                    *options,
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    **os.environ,
                    "QUEUE_REDIS_URL": url or self.server.url,
                    "JOBS_LOG_FORMAT": "json",
                    "REFUSAL_NOTES": str(self.notes),
                    "JOBS_HOME": str(self.folder / "home"),
                    **env,
                },
            )
        )

    def add(self, task: str, n: int, payload: dict[str, Any], delay_ms: int = 0) -> None:
        """Add jobs in bulk, as many per call as allowed."""
        text = json.dumps(payload).encode()
        name = f"benchmarks.refusal_tasks.{task}"
        for start in range(0, n, 1000):
            self.writer.add_many(
                QUEUE,
                [
                    NewJob(f"{task}-{number}", name, text, 3, 3, 100, 900_000, delay_ms)
                    for number in range(start, min(n, start + 1000))
                ],
            )

    def counts(self) -> dict[str, int]:
        one = self.reader.stats([QUEUE])[0]
        return {state.value: getattr(one, state.value) for state in State}

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if done():
                return True
            time.sleep(0.2)
        return False

    def noted(self, word: str) -> collections.Counter[str]:
        lines = (line.split() for line in self.notes.read_text().splitlines())
        return collections.Counter(job for kind, job in lines if kind == word)

    def events(self) -> collections.Counter[str]:
        lines = (self.folder / "consumer.log").read_text(errors="replace").splitlines()
        return collections.Counter(json.loads(one)["event"] for one in lines if one.startswith("{"))

    def verdict(self, n: int) -> dict[str, Any]:
        """Return the outcomes of the jobs."""
        records = [
            one
            for page in self.reader.walk(QUEUE, State.COMPLETED, payload_bytes=0)
            for one in page
        ]
        events = self.events()
        begun = self.noted("begin")
        return {
            "jobs": n,
            "counts": self.counts(),
            "ran twice": sum(1 for times in begun.values() if times > 1),
            "attempts used": sum(1 for one in records if one.attempts_made != 1 or one.errors),
            "stalled": sum(1 for one in records if one.stalls),
            "lines: redis away / back": [events["redis away"], events["redis back"]],
            "lines: stalled": events["stalled"],
            "consumers alive": sum(1 for one in self.consumers if one.poll() is None),
        }


def outage(binary: str, folder: Path, jobs: int = 1000, seconds: float = 60) -> dict[str, Any]:
    with Field(folder, binary, append_only=True) as field:
        for _ in range(4):
            field.consume("-k", "thread", "-w", str(jobs // 4))
        field.add("talk", jobs, {"seconds": seconds + 45})
        assert field.wait(lambda: field.counts()["active"] == jobs, 60), field.counts()
        time.sleep(5)
        field.server.stop()
        time.sleep(seconds)
        field.server.start()
        field.redis = RedisClient(field.server.url)
        back = time.monotonic()
        field.wait(lambda: field.counts()["completed"] == jobs, seconds + 120)
        lines = [len(field.reader.logs(QUEUE, f"talk-{n}")[0]) for n in range(0, jobs, 100)]
        return {
            **field.verdict(jobs),
            "seconds away": seconds,
            "log lines of every 100th": lines,
            "all done after (s)": round(time.monotonic() - back, 1),
        }


def full(binary: str, folder: Path, jobs: int = 2000) -> dict[str, Any]:
    with Field(folder, binary, append_only=False) as field:
        field.add("short", 2000, {"seconds": 0, "size": 2000})
        field.consume("-k", "thread", "-w", "4")
        field.wait(lambda: field.counts()["completed"] == 2000, 60)
        field.notes.write_text("")
        for start in range(0, jobs, 1000):
            field.writer.add_many(
                QUEUE,
                [
                    NewJob(
                        f"b-{n}",
                        "benchmarks.refusal_tasks.short",
                        b'{"seconds": 0.005, "size": 2000}',
                        3,
                        3,
                        100,
                        900_000,
                    )
                    for n in range(start, start + 1000)
                ],
            )
        field.wait(lambda: field.counts()["completed"] > 2200, 60)
        used = field.server._client.info("memory")["used_memory"]
        field.server._client.config_set("maxmemory", used)
        refused = 0
        try:
            field.writer.add(
                QUEUE, NewJob("more", "benchmarks.refusal_tasks.short", b"{}", 3, 3, 100, 900_000)
            )
        except RedisFull:
            refused = 1
        finished = field.wait(lambda: field.counts()["completed"] == 2000 + jobs, 120)
        removed = field.writer.clean(QUEUE, State.COMPLETED, 0, limit=2000)
        added = 0
        try:
            field.writer.add(
                QUEUE,
                NewJob(
                    "after", "benchmarks.refusal_tasks.short", b'{"seconds": 0}', 3, 3, 100, 900_000
                ),
            )
            added = 1
        except RedisFull:
            pass
        field.wait(lambda: field.counts()["waiting"] == 0, 30)
        begun = field.noted("begin")
        return {
            **field.verdict(jobs),
            "all finished while full": finished,
            "adds refused": refused,
            "cleaned": removed,
            "added after the clean": added,
            "ran": len([one for one in begun if one.startswith("b-")]),
        }


def due(binary: str, folder: Path, jobs: int = 1_000_000) -> dict[str, Any]:
    with (
        Field(folder, binary, append_only=False) as field,
        Distance(field.server.socket, 0.15) as far,
    ):
        field.consume("-k", "thread", "-w", "5", url=far.url, QUEUE_LEASE_MS="10000")
        field.add("talk", 5, {"seconds": 10_000})
        field.wait(lambda: field.counts()["active"] == 5, 60)
        started = time.monotonic()
        delay = 60_000 + jobs // 8
        begin = int(field.server._client.time()[0])
        field.add("short", jobs, {"seconds": 0}, delay_ms=delay)
        # All at the same time: the job that was added last is due last.
        last = field.server._client.zrange(f"{BASE}delayed", -1, -1, withscores=True)[0][1]
        worst = {"lease left at least (s)": 1e9, "heartbeat older than (s)": 0.0}
        until = time.monotonic() + 120
        while time.time() * 1000 < last - 1000:
            time.sleep(0.2)
        moved_from = field.counts()["waiting"]
        while time.monotonic() < until or time.time() * 1000 < last + 90_000:
            now = int(field.server._client.time()[0]) * 1000 + field.server._client.time()[1] / 1000
            leases = field.server._client.zrange(f"{BASE}active", 0, -1, withscores=True)
            beats = field.server._client.zrange(f"{BASE}workers", 0, -1, withscores=True)
            if leases:
                left = min(score for _, score in leases) - now
                worst["lease left at least (s)"] = min(
                    worst["lease left at least (s)"], left / 1000
                )
            if beats:
                old = (now - min(score for _, score in beats)) / 1000
                worst["heartbeat older than (s)"] = max(worst["heartbeat older than (s)"], old)
            time.sleep(0.1)
        return {
            "jobs": jobs,
            "filled in (s)": round(time.monotonic() - started),
            "began": begin,
            **{name: round(value, 2) for name, value in worst.items()},
            "renewed every (s)": 3.33,
            "lease (s)": 10,
            "moved": field.counts()["waiting"] - moved_from,
            "counts": field.counts(),
            "stalled": field.events()["stalled"],
            "runs of the five that run": sum(field.noted("begin").values()),
        }


LEGS: dict[str, Callable[..., dict[str, Any]]] = {"outage": outage, "full": full, "due": due}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default=",".join(LEGS), help="legs, separated by commas")
    parser.add_argument("--jobs", type=int, help="of each leg, instead of its own number")
    parser.add_argument("--redis", help="server program, or 'valkey'")
    given = parser.parse_args()
    binary = find_binary(given.redis)
    report = {}
    for name in given.only.split(","):
        if name not in LEGS:
            parser.error(f"--only: {name} is none of {', '.join(LEGS)}")
        with tempfile.TemporaryDirectory(prefix="hj-") as folder:
            more = {} if given.jobs is None else {"jobs": given.jobs}
            report[name] = LEGS[name](binary, Path(folder), **more)
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
