"""Stop consumers at random moments of their restarts: no SIGTERM may be lost, and no job.

Run by hand, from anywhere::

    python benchmarks/stops.py --sequences 1000 --lanes 4

Each sequence starts a consumer, or ``hsejobs worker`` with one, gives it jobs and sends random SIGHUPs
to the consumer, so that it restarts, or lets all its threads hang, so that it restarts itself; then
SIGTERM, at a random moment. The program must exit in time, whatever it was doing. In the end, every job
must have completed, and once only. A second SIGTERM ends jobs at once: those that ran may run again,
which is counted apart.

One JSON document on stdout; exit 1 if a signal or a job was lost, or a job doubled.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.server import Server, find_binary
from hsejobs.model import State
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter, NewJob

ROOT = Path(__file__).resolve().parent.parent
GRACE_MS = 3000
#: Seconds beyond the grace period in which a consumer must exit: a restart may be in progress, whose
#: program is still being imported.
BEYOND = 12.0
TASKS = "benchmarks.stop_tasks.huey"
KINDS = {"thread": "threads", "process": "processes"}
#: Programs that are a consumer, and the supervisor of one.
CONSUMERS = ("huey.bin.huey_consumer", "hsejobs_cli.consumer.huey_consumer")
SUPERVISOR = "hsejobs_cli"


#: Set by SIGTERM to this program: no further sequence begins.
ENDED = threading.Event()


class Lane:
    """One queue and, one after the other, its consumers."""

    def __init__(self, number: int, seed: int, folder: Path, url: str) -> None:
        self.queue = f"stops{number}"
        self.random = random.Random(f"{seed}:{number}")
        self.ledger = folder / f"{self.queue}.ledger"
        self.log = folder / f"{self.queue}.log"
        self.ledger.touch()
        link = RedisClient(url)
        self.reader, self.writer = JobReader(link, "hsejobs"), JobWriter(link, "hsejobs")
        self.env = {
            **os.environ,
            "QUEUE_REDIS_URL": url,
            "QUEUE_SHUTDOWN_GRACE_MS": str(GRACE_MS),
            "QUEUE_LEASE_MS": "3000",
            "QUEUE_APP": "benchmarks.stop_tasks",
            "STOPS_QUEUE": self.queue,
            "STOPS_LEDGER": str(self.ledger),
        }
        self.jobs = 0
        self.hung = 0
        #: Jobs that ran when a second SIGTERM was sent: they may run again.
        self.interrupted: set[int] = set()
        self.exits: collections.Counter[int] = collections.Counter()
        self.lost: list[list[str]] = []
        self.slowest = 0.0

    def run(self, sequences: int) -> None:
        for _ in range(sequences):
            if not ENDED.is_set():
                self.sequence()

    def start(self, program: str, workers: int, kind: str) -> subprocess.Popen[bytes]:
        env = self.env
        if program == SUPERVISOR:
            kinds = f"QUEUE_{self.queue.upper()}_WORKERS"
            words = ["worker"]
            env = env | {"QUEUE_CONCURRENCY": str(workers), kinds: KINDS[kind]}
        else:
            words = [TASKS, "-w", str(workers), "-k", kind]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", program, *words],
                cwd=ROOT,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def sequence(self) -> None:
        """One consumer, from its start to its end."""
        draw = self.random
        workers = draw.randint(1, 3)
        hangs = draw.random() < 0.03
        kind = "thread" if hangs or draw.random() < 0.7 else "process"
        program = draw.choice((*CONSUMERS, SUPERVISOR))
        before = len(self.ledger.read_text().splitlines())
        done = [f"{program}: {workers} {kind}"]
        self.add(draw.randint(0, 10))
        process = self.start(program, workers, kind)
        if draw.random() < 0.85:
            self.wait_until_started(process)
        if hangs:
            done.append("hang")
            self.hang(workers)
            time.sleep(5.3 + draw.random() * 1.5)
        for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
            self.hang_up(process, program, done)
            self.add(draw.randint(0, 5))
            self.pause(done)
        self.send(process, signal.SIGTERM, done)
        sent = time.monotonic()
        if draw.random() < 0.25:
            self.pause(done)
            if draw.random() < 0.5:
                self.hang_up(process, program, done)
            else:
                self.send(process, signal.SIGTERM, done)
        try:
            self.exits[process.wait(GRACE_MS / 1000 + BEYOND)] += 1
        except subprocess.TimeoutExpired:
            self.lost.append(done)
        self.slowest = max(self.slowest, time.monotonic() - sent)
        self.kill(process)
        if done.count("SIGTERM") > 1:
            lines = self.ledger.read_text().splitlines()[before:]
            self.interrupted |= {int(one.split()[1]) for one in lines if "begin" in one}

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Ends a consumer that did not stop."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def send(
        self, process: subprocess.Popen[bytes], signum: signal.Signals, done: list[str]
    ) -> None:
        process.send_signal(signum)
        done.append(signum.name)

    def hang_up(self, process: subprocess.Popen[bytes], program: str, done: list[str]) -> None:
        """Sends SIGHUP to the consumer, which a supervisor may be about to start."""
        if program != SUPERVISOR:
            self.send(process, signal.SIGHUP, done)
            return
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        with contextlib.suppress(OSError):
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGHUP)
                done.append("SIGHUP")

    def pause(self, done: list[str]) -> None:
        """Waits for a time within which a restart is likely to be in one of its steps."""
        seconds = self.random.choice((0.0, 0.003, 0.03, 0.1, 0.3, 1.2)) * self.random.random()
        done.append(f"{seconds * 1000:.1f} ms")
        time.sleep(seconds)

    def wait_until_started(self, process: subprocess.Popen[bytes]) -> None:
        words = b'"processor started"'
        before = self.log.read_bytes().count(words)
        give_up = time.monotonic() + 30
        while self.log.read_bytes().count(words) == before and process.poll() is None:
            if time.monotonic() > give_up:
                raise TimeoutError(f"a consumer did not start; see {self.log}")
            time.sleep(0.02)

    def add(self, count: int) -> None:
        for _ in range(count):
            payload = json.dumps({"n": self.jobs, "ms": self.random.randint(0, 80)})
            self._add(f"job{self.jobs}", "work", payload)
            self.jobs += 1

    def hang(self, count: int) -> None:
        for _ in range(count):
            self._add(f"hang{self.hung}", "hang", "{}", priority=1, timeout=200)
            self.hung += 1

    def _add(self, name: str, task: str, payload: str, priority: int = 3, timeout: int = 0) -> None:
        job = NewJob(name, task, payload.encode(), priority, 1, 0, timeout)
        self.writer.add(self.queue, job)

    def drain(self) -> None:
        """Runs what is left, without a signal."""
        process = self.start(CONSUMERS[0], 3, "thread")
        give_up = time.monotonic() + 120
        try:
            while self.left() and time.monotonic() < give_up:
                time.sleep(0.1)
        finally:
            process.terminate()
            try:
                process.wait(GRACE_MS / 1000 + BEYOND)
            except subprocess.TimeoutExpired:
                self.kill(process)

    def left(self) -> int:
        stats = self.reader.stats([self.queue])[0]
        return stats.waiting + stats.active + stats.delayed

    def verdict(self) -> dict[str, Any]:
        words = collections.Counter(self.ledger.read_text().splitlines())
        pages = self.reader.walk(self.queue, State.COMPLETED)
        completed = {job.id for page in pages for job in page}
        numbers = range(self.jobs)
        twice = [n for n in numbers if words[f"begin {n}"] > 1]
        return {
            "exits": dict(self.exits),
            "slowestExit": round(self.slowest, 2),
            "lostSignals": self.lost,
            "jobs": self.jobs,
            "lostJobs": [n for n in numbers if f"job{n}" not in completed],
            "doubled": [n for n in twice if n not in self.interrupted],
            "repeated": [n for n in twice if n in self.interrupted],
            "hung": self.hung,
            "restarts": self.log.read_text().count('"restarting"'),
        }


def run(sequences: int, lanes: int, seed: int, folder: Path) -> dict[str, Any]:
    """Runs the sequences, in parallel lanes, and returns what came of them."""
    with Server(find_binary(None), folder) as server:
        made = [Lane(number, seed, folder, server.url) for number in range(lanes)]
        share = [sequences // lanes + (n < sequences % lanes) for n in range(lanes)]
        in_lanes([partial(lane.run, n) for lane, n in zip(made, share, strict=True)])
        in_lanes([lane.drain for lane in made])
        return {"sequences": sequences, "seed": seed, "lanes": [one.verdict() for one in made]}


def in_lanes(calls: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(calls)) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()


def is_good(verdict: dict[str, Any]) -> bool:
    """Whether nothing was lost, and nothing ran twice without need."""
    return not any(
        lane["lostSignals"] or lane["lostJobs"] or lane["doubled"] for lane in verdict["lanes"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Stop consumers at random moments.")
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="folder for ledgers and logs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: ENDED.set())
    with tempfile.TemporaryDirectory(prefix="stops-") as folder:
        verdict = run(options.sequences, options.lanes, options.seed, Path(options.keep or folder))
    json.dump(verdict, sys.stdout, indent=1)
    sys.exit(0 if is_good(verdict) else 1)


if __name__ == "__main__":
    main()
