"""Run one poison job among 50 innocent ones, again and again, and count who fails.

Run by hand, from anywhere::

    python benchmarks/poison.py --rounds 100 --only thread,process

Each round adds 50 jobs of a few ms and, among them, one that kills the process that runs it, by a
SIGKILL or by a segmentation fault in turn. One consumer runs them, and comes back when it dies.

One JSON document on stdout; the exit code is 1 if an innocent job failed or a poison job did not.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.server import Server, find_binary
from hsejobs.model import JobRecord, State
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter, NewJob

ROOT = Path(__file__).resolve().parent.parent
QUEUE = "poisoned"
INNOCENT = 50


class Supervised:
    """A consumer that is started again whenever it has died."""

    def __init__(self, folder: Path, url: str, kind: str, workers: int) -> None:
        self.folder, self.url, self.options = folder, url, ("-k", kind, "-w", str(workers))
        self.deaths = -1
        self.process: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        """Starts the consumer if it does not run."""
        if self.process is not None and self.process.poll() is None:
            return
        self.deaths += 1
        with (self.folder / "consumer.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "huey.bin.huey_consumer",
                    "benchmarks.poison_tasks.huey",
                    *self.options,
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    **os.environ,
                    "QUEUE_REDIS_URL": self.url,
                    "QUEUE_LEASE_MS": "600",
                    "JOBS_HOME": str(self.folder / "home"),
                },
            )

    def end(self) -> None:
        """Stops the consumer."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()


class Field:
    """The queue of one measurement."""

    def __init__(self, url: str) -> None:
        client = RedisClient(url)
        self.reader, self.writer = JobReader(client, "hsejobs"), JobWriter(client, "hsejobs")

    def add(self, number: int, rng: random.Random) -> None:
        """Adds the jobs of a round."""
        by = ("kill", "fault")[number % 2]
        jobs: list[tuple[str, str, dict[str, Any]]] = [
            (f"innocent-{number}-{n}", "innocent", {"ms": rng.choice((0, 5, 20))})
            for n in range(INNOCENT)
        ]
        jobs.insert(rng.randrange(INNOCENT), (f"poison-{number}-{by}", "poison", {"by": by}))
        self.writer.add_many(
            QUEUE,
            [
                NewJob(
                    name,
                    f"benchmarks.poison_tasks.{task}",
                    json.dumps(payload).encode(),
                    3,
                    3,
                    100,
                    60_000,
                )
                for name, task, payload in jobs
            ],
        )

    def over(self) -> bool:
        """Whether all jobs have ended."""
        one = self.reader.stats([QUEUE])[0]
        return not any(getattr(one, state) for state in ("waiting", "active", "delayed"))

    def take(self, state: State) -> list[JobRecord]:
        """The jobs of a state, which are removed."""
        found = [job for page in self.reader.walk(QUEUE, state) for job in page]
        self.writer.clean(QUEUE, state, 0)
        return found


def measure(kind: str, rounds: int, workers: int, seed: int) -> dict[str, Any]:
    """Runs the rounds in one consumer of threads or processes."""
    rng, started = random.Random(seed), time.monotonic()
    codes: collections.Counter[str] = collections.Counter()
    stalls: collections.Counter[int] = collections.Counter()
    failed, seconds, survived = 0, [], 0
    with tempfile.TemporaryDirectory() as name, Server(find_binary(None), Path(name)) as server:
        field = Field(server.url)
        consumer = Supervised(Path(name), server.url, kind, workers)
        try:
            for number in range(rounds):
                field.add(number, rng)
                began = time.monotonic()
                while not field.over():
                    consumer.check()
                    time.sleep(0.02)
                seconds.append(time.monotonic() - began)
                for job in field.take(State.FAILED):
                    if job.id.startswith("innocent"):
                        failed += 1
                    else:
                        codes[job.code or ""] += 1
                for job in field.take(State.COMPLETED):
                    survived += job.id.startswith("poison")
                    stalls[job.stalls] += 1
        finally:
            consumer.end()
    return {
        "rounds": rounds,
        "workers": workers,
        "innocentFailed": failed,
        "innocentCompleted": sum(stalls.values()) - survived,
        "innocentByStalls": {str(n): stalls[n] for n in sorted(stalls)},
        "poisonFailed": dict(codes),
        "poisonCompleted": survived,
        "consumerDeaths": consumer.deaths,
        "secondsPerRound": round(sum(seconds) / len(seconds), 2),
        "longestRound": round(max(seconds), 2),
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> None:
    """Parses the command line and prints the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="thread,process")
    chosen = parser.parse_args()
    # No core files of segmentation faults.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found = {
        kind: measure(kind, chosen.rounds, chosen.workers, chosen.seed)
        for kind in chosen.only.split(",")
    }
    print(json.dumps(found, indent=2))
    bad = any(
        one["innocentFailed"]
        or one["innocentCompleted"] != one["rounds"] * INNOCENT
        or sum(one["poisonFailed"].values()) != one["rounds"]
        for one in found.values()
    )
    sys.exit(int(bad))


if __name__ == "__main__":
    main()
