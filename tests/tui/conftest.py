"""Fixtures: jobs in every state on the private Redis, and the app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual import _wait
from textual.pilot import Pilot

from hsejobs import codec
from hsejobs.store import registry
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import JobWriter, NewJob
from hsejobs.watch.rules import Limits
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.options import Options

SECRET = "whsec_never_shown"
#: No alert comes from a job's age: on a busy machine a test may take as long as the limits of real use.
NO_AGES = Limits(no_worker_ms=None, oldest_ms=None)


@dataclass
class Stage:
    """A store with one queue, ``mail``, and methods that fill it."""

    url: str
    home: Path

    def __post_init__(self) -> None:
        self.redis = RedisClient(self.url)
        self.writer, self.reader = JobWriter(self.redis, "t"), JobReader(self.redis, "t")
        self.work = WorkerStore(self.redis, "t", "mail", patience=1)
        self.describe()
        self._claims = 0

    def describe(self) -> None:
        task = TaskInfo(
            "m.send", {"required": ["to"], "properties": {"to": {"type": "string"}}}, ["sig"]
        )
        registry.save(self.redis, "t", QueueInfo("mail", [task], "m.send"))

    def add(self, job_id: str, data: Any = None, org: str | None = None, delay: int = 0) -> None:
        payload = {"to": f"{job_id}@example.com", "sig": SECRET} if data is None else data
        self.writer.add(
            "mail",
            NewJob(
                id=job_id,
                name="m.send",
                payload=codec.dumps(payload),
                priority=3,
                attempts=2,
                backoff=1000,
                timeout=0,
                delay=delay,
                organization_id=org,
                nonce="n",
            ),
        )

    def claim(self, n: int = 1) -> list[tuple[str, str]]:
        self._claims += 1
        _, claims = self.work.step([], n, f"token{self._claims}", 30_000)
        return [(claim.id, claim.token) for claim in claims]

    def fail(self, job_id: str, error: str = "it broke", org: str | None = None) -> None:
        """Adds a job that fails; no other job may be waiting."""
        self.add(job_id, org=org)
        (pair,) = self.claim()
        assert pair[0] == job_id
        text = codec.dumps({"error": error, "attempt": 1, "code": "error"})
        self.work.fail(*pair, code="error", error=text, run_us=10, final=True, delay_ms=None)

    def counts(self) -> dict[str, int]:
        one = self.reader.stats(["mail"])[0]
        return {
            state: getattr(one, state)
            for state in ("waiting", "active", "delayed", "completed", "failed")
        }

    def options(self, **values: Any) -> Options:
        return Options(
            **{
                "url": self.url,
                "prefix": "t",
                "home": self.home,
                "place": "test",
                "refresh": 0.05,
                "limits": NO_AGES,
                **values,
            }
        )

    def app(self, **values: Any) -> JobsApp:
        return JobsApp(self.options(**values))


@pytest.fixture
def stage(redis_url: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(redis_url, tmp_path)
    yield made
    made.redis.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual's pilot looks every 5 ms whether the app is idle; by itself every 20 ms, twice per key."""
    monkeypatch.setattr(_wait, "SLEEP_GRANULARITY", 0.005)


@pytest.fixture(autouse=True)
def keys_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A press returns when the app has acted on the keys. Where a command hangs, they wait longer."""
    press = Pilot.press

    async def press_and_wait(pilot: Pilot[Any], *keys: str) -> None:
        await press(pilot, *keys)
        gate, end = getattr(pilot.app, "gate", None), time.monotonic() + 1.0
        while gate is not None and not gate.idle and time.monotonic() < end:
            await asyncio.sleep(0.005)

    monkeypatch.setattr(Pilot, "press", press_and_wait)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
