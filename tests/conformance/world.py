"""One Redis and one set of doors for all cases: jobs in every state, and what is left of them."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

import huey_config
from hsejobs import codec
from hsejobs.control.audit import entries
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.model import State
from hsejobs.services.artifacts.store import open_store
from hsejobs.settings import load_settings
from hsejobs.store import keys, registry
from hsejobs.store.work import Done, WorkerStore
from hsejobs.store.write import JobWriter, NewJob
from tests.support.server import Server

PREFIX = "hsejobs"
JWT_SECRET = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Job:
    """A job that a case finds: in that state, with these contents."""

    id: str
    state: str = "waiting"
    queue: str = "webhooks"
    data: Any = field(default_factory=lambda: {"url": "https://a.example/", "secret": "whsec-4711"})
    result: Any = None
    error: dict[str, Any] = field(default_factory=lambda: {"error": "it broke", "code": "error"})
    log: tuple[str, ...] = ()
    progress: str | None = None
    org: str | None = None
    user: str | None = None
    task: str = ""
    #: The id of its file, if it ran.
    file: str = ""


class World:
    """Redis with the platform's queues described in it, and nothing else."""

    def __init__(self, server: Server, home: Path) -> None:
        self.home = home
        self.client: redis.Redis = server.client()
        self.client.flushall()
        for huey in huey_config.QUEUES.values():
            huey.register(again=True)
        self.redis = runtime().redis
        self.infos = {one.name: one for one in registry.load_all(self.redis, PREFIX)}
        self.writer = JobWriter(self.redis, PREFIX)
        self._tokens = 0

    def clear(self) -> None:
        """The queues are described, there are no jobs, and the audit log is empty."""
        self.client.flushall()
        for info in self.infos.values():
            registry.save(self.redis, PREFIX, info)
        (self.home / "audit.log").unlink(missing_ok=True)

    def plant(self, job: Job) -> None:
        """Adds the job and takes it to its state."""
        info = self.infos[job.queue]
        payload = job.data if isinstance(job.data, bytes) else codec.dumps(job.data)
        delay = 3_600_000 if job.state == "delayed" else 0
        self.writer.add(
            job.queue,
            NewJob(
                id=job.id,
                name=job.task or info.task(None).name,
                payload=payload,
                priority=3,
                attempts=2,
                backoff=1000,
                timeout=0,
                delay=delay,
                organization_id=job.org,
                user_id=job.user,
                nonce="n",
            ),
        )
        if job.state in ("waiting", "delayed"):
            return
        work = WorkerStore(self.redis, PREFIX, job.queue, patience=1)
        self._tokens += 1
        _, claims = work.step([], 9, f"token{self._tokens}", 600_000)
        [claim] = [one for one in claims if one.id == job.id]
        if job.file:
            name = work.artifact(claim.id, claim.token, job.file, 2**52)
            assert name == job.file
            settings = load_settings()
            store = open_store(settings.artifacts_url, settings.jobs_home)
            with store.write(
                job.org or "",
                name,
                name="a.csv",
                content_type="text/csv",
                expires_at=2**42,
                queue=job.queue,
                job_id=claim.id,
            ) as writer:
                writer.write(b"file")
        if job.progress:
            work.progress(claim.id, claim.token, 40, job.progress)
        if job.log:
            work.log(claim.id, claim.token, list(job.log))
        if job.state == "failed":
            work.fail(
                claim.id,
                claim.token,
                code=str(job.error["code"]),
                error=codec.dumps(job.error),
                run_us=1,
                final=True,
                delay_ms=None,
            )
        elif job.state == "completed":
            work.step([Done(claim.id, claim.token, 1, codec.dumps(job.result))], 0, "", 1)

    def records(self) -> dict[str, dict[str, str]]:
        """Every job as stored in Redis, without times and without what distinguishes one add from another."""
        found = {}
        for queue in self.infos:
            base = keys.base(PREFIX, queue)
            for key in self.client.scan_iter(f"{keys.of(base, 'job', '')}*", count=1000):
                row: Any = self.client.hgetall(key)
                job_id = key.decode().rpartition(":j:")[2]
                kept = {name.decode(): value.decode() for name, value in row.items()}
                moments = {"ct", "pt", "ft", "si", "sc", "ws", "nx", "v", "tk", "ls", "cn", "pa"}
                delayed = "ra" in kept and int(kept["ra"]) - int(kept["ct"])
                kept = {name: value for name, value in kept.items() if name not in moments}
                kept["ra"] = str(delayed) if "ra" in kept else ""
                if "cl" in kept:
                    cancel = json.loads(kept["cl"])
                    assert cancel.pop("at") > 0
                    # At a terminal, it is the operating system's user.
                    assert cancel.pop("by") in (getpass.getuser(), "ann")
                    kept["cl"] = json.dumps(cancel)
                kept["sg"] = kept.get("sg", "").partition(" ")[0]
                text: Any = self.client.get(keys.of(base, "payload", job_id))
                kept["payload"] = text.decode() if text else ""
                found[f"{queue}/{job_id}"] = kept
        return found

    def counts(self) -> dict[str, dict[str, int]]:
        """What is in each state, of the queues that have jobs or are paused."""
        stats = runtime().reader.stats(list(self.infos), minutes=0)
        found = {
            one.name: {state.value: getattr(one, state.value) for state in State}
            | {"is_paused": int(one.is_paused)}
            for one in stats
        }
        return {name: states for name, states in found.items() if any(states.values())}

    def forget_audit(self) -> None:
        """Empties the audit log."""
        for key in self.client.scan_iter("*}:au*", count=1000):
            self.client.delete(key)
        (self.home / "audit.log").unlink(missing_ok=True)

    def audit(self) -> list[dict[str, Any]]:
        """The entries of the audit log, the oldest first; the copy has the same."""
        found = [
            one.public() | {"organizationId": one.organization_id}
            for one in entries(self.redis, PREFIX, list(self.infos))
        ]
        found.reverse()
        path = self.home / "audit.log"
        lines = path.read_text().splitlines() if path.exists() else []
        copies = [json.loads(line) for line in lines]
        # An erased organization is named in the copy alone.
        names = found[0].keys() - {"organizationId"} if found else set()
        shown = [{name: one[name] for name in names} for one in found]
        assert [{name: copy[name] for name in names} for copy in copies if names] == shown
        return found


@contextmanager
def opened(server: Server, home: Path) -> Iterator[World]:
    """A world, and this process on it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(server, home).items():
            patch.setenv(name, value)
        server.reset()
        reset_runtime()
        for huey in huey_config.QUEUES.values():
            huey._registered = None
        world = World(server, home)
        yield world
        world.client.close()
        runtime().redis.close()
        reset_runtime()


def environment(server: Server, home: Path) -> dict[str, str]:
    """The settings of all doors."""
    return {
        "QUEUE_REDIS_URL": server.user_url,
        "JOBS_HOME": str(home),
        "JOBS_JWT_SECRET": JWT_SECRET,
    }
