"""Huey's immediate mode: a job runs in the program that adds it, and keeps its state in memory.

For tests of tasks: `current_job` works as in a worker, but nothing is written to Redis, no one can
cancel the job, and no lease can be lost.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, cast

from hsejobs.engine import context
from hsejobs.engine.context import JobContext
from hsejobs.store.claims import ORGANIZATION, USER, new_claim
from hsejobs.store.work import WorkerStore


class _Memory:
    """What the attempts of one job store; in place of `WorkerStore`."""

    def __init__(self, attempts: int) -> None:
        self.attempts, self.made = attempts, 0
        self.created_at = time.time_ns() // 1_000_000
        self.marks: set[str] = set()
        self.value: bytes | None = None
        self.file: str | None = None

    def progress(self, *_: object) -> bool:
        return True

    def log(self, *_: object, final: bool = False) -> bool:
        return True

    def mark(self, _id: str, _token: str, key: str, *, put: bool) -> bool:
        fresh = key not in self.marks
        if put:
            self.marks.add(key)
        return fresh

    def checkpoint(self, _id: str, _token: str, value: bytes, *, final: bool = False) -> bool:
        self.value = value
        return True

    def checkpointed(self, _id: str) -> bytes | None:
        return self.value

    def family(self, _id: str) -> str:
        return ""

    def artifact(self, _id: str, _token: str, artifact_id: str, _expires_at: int) -> str:
        self.file = self.file or artifact_id
        return self.file


@contextlib.contextmanager
def running(queue: str, name: str, task: Any, secret_paths: list[str]) -> Iterator[None]:
    """Makes `current_job` return the job of this Huey task, whose attempts share a memory."""
    memory = task.memory
    if memory is None:
        memory = task.memory = _Memory((task.retries or 0) + 1)
    timeout = int(task.timeout * 1000) if task.timeout else 0
    options = (memory.made, memory.attempts, 0, timeout, task.priority)
    owner = ((ORGANIZATION, task.organization_id), (USER, task.user_id))
    claim = new_claim(
        task.id,
        "immediate",
        name,
        options,
        created_at=memory.created_at,
        words=[kind + one.encode() for kind, one in owner if one],
    )
    memory.made += 1
    work = cast(WorkerStore, memory)
    job = JobContext(claim, queue, work, lease_ms=3_600_000, log_work=work)
    job.task, job.secret_paths = task, secret_paths
    job.data = task.args[0] if task.args else task.kwargs
    reset = context.set_immediate(job)
    try:
        yield
    finally:
        context.reset_immediate(reset)
