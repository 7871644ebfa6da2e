"""A server with consumers of the queue of ``fairness_tasks``, for ``fairness``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.server import Server, find_binary
from hsejobs.model import new_job_id
from hsejobs.store import keys
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter, NewJob
from tests.support.sentinel import SentinelSet
from tests.support.server import server_binary

ROOT = Path(__file__).resolve().parent.parent
QUEUE, PREFIX = "fairness", "hsejobs"
BASE = keys.base(PREFIX, QUEUE)


class Field:
    """The server, its consumers, and what happens in the queue."""

    def __init__(self, folder: Path, url: str, settings: dict[str, str]) -> None:
        self.folder, self.url = folder, url
        self.notes = folder / "notes"
        self.notes.touch()
        self.redis = RedisClient(url)
        self.reader = JobReader(self.redis, PREFIX)
        self.writer = JobWriter(self.redis, PREFIX)
        self.consumers: list[subprocess.Popen[bytes]] = []
        self.env = {
            **os.environ,
            "QUEUE_REDIS_URL": url,
            "FAIRNESS_NOTES": str(self.notes),
            "JOBS_HOME": str(folder / "home"),
            "QUEUE_LOG_LEVEL": "warning",
            **settings,
        }

    def start(self, workers: int, kind: str = "thread") -> subprocess.Popen[bytes]:
        """Starts one consumer."""
        command = (
            *(sys.executable, "-m", "huey.bin.huey_consumer"),
            *("benchmarks.fairness_tasks.huey", "-k", kind, "-w", str(workers)),
        )
        with (self.folder / "consumer.log").open("ab") as log:
            made = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True, env=self.env
            )
        self.consumers.append(made)
        return made

    def kill(self, consumer: subprocess.Popen[bytes]) -> None:
        os.killpg(consumer.pid, signal.SIGKILL)
        consumer.wait()
        self.consumers.remove(consumer)

    def wait_ready(self, n: int) -> None:
        """Waits until ``n`` consumers have sent heartbeats."""
        until = time.monotonic() + 60
        while self.redis.command("ZCARD", keys.of(BASE, "workers")) < n:
            if time.monotonic() > until:
                raise TimeoutError((self.folder / "consumer.log").read_text()[-2000:])
            time.sleep(0.02)

    def wait_running(self, n: int) -> None:
        """Waits until ``n`` jobs run."""
        until = time.monotonic() + 60
        while self.redis.command("ZCARD", keys.of(BASE, "active")) < n:
            if time.monotonic() > until:
                raise TimeoutError(f"{n} jobs do not run")
            time.sleep(0.005)

    def add(
        self,
        organization: str | None,
        n: int,
        seconds: float,
        priority: int = 3,
        task: str = "work",
    ) -> list[str]:
        """Adds jobs of one organization; returns their ids."""
        name, payload = (
            f"benchmarks.fairness_tasks.{task}",
            json.dumps({"seconds": seconds}).encode(),
        )
        jobs = [
            NewJob(new_job_id(), name, payload, priority, 3, 50, 0, organization_id=organization)
            for _ in range(n)
        ]
        self.writer.add_many(QUEUE, jobs)
        return [job.id for job in jobs]

    def call(self, organization: str, n: int, seconds: float, host: str) -> list[str]:
        """Adds calls to a host that answers after ``seconds``; returns their ids."""
        payload = json.dumps({"seconds": seconds, "host": host}).encode()
        jobs = [
            NewJob(
                *(new_job_id(), "benchmarks.fairness_tasks.call", payload, 3, 3, 50, 0),
                organization_id=organization,
                key=f"{host} {organization}",
            )
            for _ in range(n)
        ]
        self.writer.add_many(QUEUE, jobs)
        return [job.id for job in jobs]

    def waited_ms(self, job_id: str, patience: float = 120.0) -> int:
        """ms from the add of a job to its begin; waits until it has ended."""
        until = time.monotonic() + patience
        while True:
            found = self.reader.job(QUEUE, job_id)
            if found.finished_at and found.processed_at:
                return found.processed_at - found.created_at
            if time.monotonic() > until:
                raise TimeoutError(f"{job_id} is {found.status}")
            time.sleep(0.01)

    def wait_runs(self, n: int) -> None:
        """Waits until ``n`` jobs have run."""
        until = time.monotonic() + 60
        while len(self.runs()) < n:
            if time.monotonic() > until:
                raise TimeoutError((self.folder / "consumer.log").read_text()[-2000:])
            time.sleep(0.05)

    def runs(self) -> list[tuple[str, float, float]]:
        """Organization, begin and end of each run so far."""
        lines = (line.split() for line in self.notes.read_text().splitlines())
        return [(org, float(began), float(ended)) for org, began, ended in lines]


class Feed(threading.Thread):
    """Reads the queue's events as they come: the server keeps the newest only.

    ``seen`` has ``(ms, kind, job, organization)``.
    """

    def __init__(self, field: Field) -> None:
        super().__init__(daemon=True)
        self._redis = RedisClient(field.url)
        self._key = keys.of(BASE, "events")
        self._ending = threading.Event()
        self.seen: list[tuple[float, str, str, str]] = []

    def run(self) -> None:
        last = b"0-0"
        while True:
            stopping = self._ending.is_set()
            entries: Any = self._redis.command("XRANGE", self._key, b"(" + last, "+", "COUNT", 1000)
            for entry_id, fields in entries:
                last = entry_id
                ms = float(entry_id.split(b"-")[0])
                flat = dict(zip(fields[::2], fields[1::2], strict=True))
                pairs = (fields if isinstance(fields, dict) else flat).items()
                for kind, text in pairs:
                    for line in text.decode().split("\n"):
                        job, _, org = line.partition("\t")
                        self.seen.append((ms, kind.decode(), job, org))
            if stopping and not entries:
                return
            time.sleep(0.02)

    def finish(self) -> None:
        """Reads the rest."""
        self._ending.set()
        self.join()
        self._redis.close()


@contextmanager
def field_on(url: str, settings: dict[str, str]) -> Iterator[Field]:
    """Consumers on the servers of this URL, which end with it."""
    with tempfile.TemporaryDirectory() as folder:
        made = Field(Path(folder), url, settings)
        try:
            yield made
        finally:
            for one in list(made.consumers):
                made.kill(one)
            made.redis.close()


@contextmanager
def field(settings: dict[str, str] | None = None) -> Iterator[Field]:
    """A server of its own and its consumers."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(find_binary(None), Path(folder)) as server,
        field_on(server.url, settings or {}) as made,
    ):
        yield made


@contextmanager
def sentinels() -> Iterator[SentinelSet]:
    """A primary, its replica and three sentinels."""
    made = SentinelSet(server_binary())
    made.start()
    try:
        yield made
    finally:
        made.close()


def jain(values: Sequence[float]) -> float:
    """Jain's index of fairness: 1 if all are equal, 1/n if one has all."""
    total = sum(values)
    return total * total / (len(values) * sum(v * v for v in values)) if total else 0.0
