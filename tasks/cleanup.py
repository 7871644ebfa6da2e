"""The cleanup queue: finished jobs of all queues go when their retention is over."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hsejobs.engine import JobHuey, current_job
from hsejobs.engine.runtime import runtime
from hsejobs.model import State
from hsejobs.services.fields import Payload
from hsejobs.store import registry

HOUR_MS = 3_600_000

huey = JobHuey("cleanup", attempts=1, timeout=600.0, enqueue="operator")


class CleanupPayload(Payload):
    """How long finished jobs are kept, in hours."""

    completed_hours: float = Field(default=24, ge=0, le=24 * 366)
    failed_hours: float = Field(default=24 * 7, ge=0, le=24 * 366)


@huey.task()
def clean_up(payload: CleanupPayload) -> dict[str, Any]:
    """Removes old finished jobs, in bounded steps."""
    return _clean(payload.completed_hours, payload.failed_hours)


def _clean(completed_hours: float, failed_hours: float) -> dict[str, Any]:
    job, shared = current_job(), runtime()
    kept = {State.COMPLETED: completed_hours, State.FAILED: failed_hours}
    names = registry.names(shared.link, shared.prefix)
    removed: dict[str, int] = {}
    for done, name in enumerate(names):
        for state, hours in kept.items():
            for step in shared.writer.clean_steps(name, state, int(hours * HOUR_MS)):
                job.check()
                removed[name] = removed.get(name, 0) + step
        job.progress(100 * (done + 1) / len(names), name)
    return {"removed": removed}
