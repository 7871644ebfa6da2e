"""Measure how a cancel ends jobs: whatever they do at that moment, and how fast.

Run by hand, from anywhere::

    python benchmarks/cancel.py [--jobs 1000] [--kinds thread,process] [--timed 100]

``ends``    jobs are cancelled at random moments while they wait, run, retry and finish: none may be
            completed after an accepted cancel, and each must say who cancelled it and why;
``times``   ms from the act to the interrupt: of a sleeping task in a process, of a task that calls
            ``check()`` in a thread.

One JSON document on stdout; exit 1 if a cancelled job completed or hides who cancelled it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.figures import percentile
from benchmarks.server import Server, find_binary
from hsejobs.model import FINISHED, State
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import Cancel, JobWriter, NewJob

ROOT = Path(__file__).resolve().parent.parent
QUEUE = "cancelled"
WORKERS = 8
#: Seconds in which all jobs must have ended.
PATIENCE = 300.0


class Field:
    """A server and a consumer of its jobs."""

    def __init__(self, folder: Path, server: Server, kind: str) -> None:
        self.notes = folder / f"{kind}.notes"
        self.notes.touch()
        self.redis = RedisClient(server.url)
        self.reader, self.writer = (
            JobReader(self.redis, "hsejobs"),
            JobWriter(self.redis, "hsejobs"),
        )
        log = (folder / "consumer.log").open("ab")
        self.consumer = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "huey.bin.huey_consumer",
                "benchmarks.cancel_tasks.huey",
                *("-k", kind, "-w", str(WORKERS)),
            ],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                **os.environ,
                "QUEUE_REDIS_URL": server.url,
                "CANCEL_NOTES": str(self.notes),
                "JOBS_HOME": str(folder / "home"),
            },
        )

        log.close()

    def add(self, task: str, n: int, payload: dict[str, Any], delay_ms: int = 0) -> list[str]:
        """Adds jobs; returns their ids."""
        name, text = f"benchmarks.cancel_tasks.{task}", json.dumps(payload).encode()
        ids = [f"{task}-{number}" for number in range(n)]
        jobs = [NewJob(one, name, text, 3, 3, 50, 0, delay_ms) for one in ids]
        self.writer.add_many(QUEUE, jobs)
        return ids

    def cancel(self, job_id: str) -> str:
        """Cancels a job; why not, or ''."""
        refused = self.writer.cancel_many(QUEUE, [job_id], Cancel("bench", f"why {job_id}"))
        return refused[0].found if refused else ""

    def some(self, left: set[str]) -> str:
        """One of the jobs, in a state chosen at random where there is one in it."""
        state = random.choice((State.ACTIVE, State.ACTIVE, State.DELAYED, State.WAITING))
        listed = [job.id for job in self.reader.page(QUEUE, state, payload_bytes=0).jobs]
        return random.choice([one for one in listed if one in left] or sorted(left))

    def noted(self, word: str) -> dict[str, float]:
        """When each job noted this last, in ms."""
        lines = (line.split() for line in self.notes.read_text().splitlines())
        return {job_id: float(at) for job_id, said, at in lines if said == word}

    def wait(self, ids: list[str]) -> bool:
        """Waits until the jobs have ended."""
        until, left = time.monotonic() + PATIENCE, list(ids)
        while left and time.monotonic() < until:
            found = {one: self.reader.status(QUEUE, one) for one in left}
            left = [one for one, state in found.items() if state and state not in FINISHED]
            time.sleep(0.1)
        return not left


@contextmanager
def field(kind: str) -> Iterator[Field]:
    """A server of its own with a consumer; both end with it."""
    with tempfile.TemporaryDirectory() as folder, Server(find_binary(None), Path(folder)) as server:
        made = Field(Path(folder), server, kind)
        try:
            yield made
        finally:
            os.killpg(made.consumer.pid, signal.SIGKILL)
            made.consumer.wait()
            made.redis.close()


def ends(kind: str, n: int) -> dict[str, Any]:
    """Cancels jobs at random moments of their lives, and looks what became of each."""
    with field(kind) as made:
        # More than are cancelled: some end before their turn comes.
        ids = made.add("busy", 6 * n, {"steps": 5})
        left, accepted, refused = set(ids), dict[str, State | None](), Counter[str]()
        while left and len(accepted) < n:
            time.sleep(random.expovariate(WORKERS / 0.06))
            job_id = made.some(left)
            state = made.reader.status(QUEUE, job_id)
            left.discard(job_id)
            if found := made.cancel(job_id):
                refused[found] += 1
            else:
                accepted[job_id] = state
        made.writer.drain(QUEUE)
        ended = made.wait(ids)
        records = [made.reader.job(QUEUE, job_id) for job_id in accepted]
        silent = [
            one.id
            for one in records
            if one.failed_reason != f"cancelled by bench: why {one.id}"
            or one.cancel is None
            or (one.cancel["by"], one.cancel["reason"]) != ("bench", f"why {one.id}")
        ]
        return {
            "allEnded": ended,
            "accepted": len(accepted),
            "acceptedWhile": dict(Counter(str(state) for state in accepted.values())),
            "refusedAs": dict(refused),
            "became": dict(Counter(str(one.status) for one in records)),
            "completedAfterAccepted": sum(one.status is State.COMPLETED for one in records),
            "withoutWhoAndWhy": len(silent),
        }


def times(kind: str, n: int) -> dict[str, Any]:
    """ms from before the call that cancels a running job to the line that its task notes."""
    task, taken = ("sleep" if kind == "process" else "check"), list[float]()
    with field(kind) as made:
        ids = made.add(task, n, {"seconds": 600})
        waiting = set(ids)
        while waiting:
            running = sorted(waiting & made.noted("began").keys())
            for job_id in running:
                time.sleep(random.uniform(0, 0.05))
                begun = time.time() * 1000
                assert made.cancel(job_id) == ""
                until = time.monotonic() + 20
                while time.monotonic() < until and job_id not in made.noted("interrupted"):
                    time.sleep(0.005)
                taken.append(made.noted("interrupted")[job_id] - begun)
                waiting.discard(job_id)
            time.sleep(0.01)
    return {
        "jobs": n,
        "task": task,
        "p50": round(percentile(taken, 50), 1),
        "p99": round(percentile(taken, 99), 1),
        "max": round(max(taken), 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--timed", type=int, default=200)
    parser.add_argument("--kinds", default="thread,process")
    given = parser.parse_args()
    report: dict[str, Any] = {}
    for kind in given.kinds.split(","):
        report[kind] = {"ends": ends(kind, given.jobs), "interruptMs": times(kind, given.timed)}
    print(json.dumps(report, indent=2))
    seen = [one["ends"] for one in report.values()]
    wrong = sum(one["completedAfterAccepted"] + one["withoutWhoAndWhy"] for one in seen)
    return 1 if wrong or not all(one["allEnded"] for one in seen) else 0


if __name__ == "__main__":
    sys.exit(main())
