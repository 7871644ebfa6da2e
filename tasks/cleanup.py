"""The cleanup queue: remove jobs and files past their retention, every hour."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hsejobs.engine import JobHuey, crontab, current_job
from hsejobs.engine.runtime import runtime
from hsejobs.model import State
from hsejobs.services.artifacts.access import Files
from hsejobs.services.artifacts.removal import delete_due
from hsejobs.services.artifacts.store import open_store
from hsejobs.services.fields import Payload
from hsejobs.services.mail.outbox import sweep_outbox
from hsejobs.store import registry
from tasks.shared.spool import sweep_spool

HOUR_MS = 3_600_000
COMPLETED_HOURS, FAILED_HOURS = 24, 24 * 7
#: A worker is dead after this time without a heartbeat; consumers send one every 5 s.
SILENT_MS = 60_000
#: The most artifacts that one walk over the store removes.
EXPIRE_STEP = 5_000

huey = JobHuey("cleanup", attempts=1, timeout=600.0, enqueue="operator")


class CleanupPayload(Payload):
    """The retention of finished jobs, in hours. Strict: ``false`` would be 0 and remove all."""

    completed_hours: float = Field(default=COMPLETED_HOURS, strict=True, ge=0, le=24 * 366)
    failed_hours: float = Field(default=FAILED_HOURS, strict=True, ge=0, le=24 * 366)


@huey.task()
def clean_up(payload: CleanupPayload) -> dict[str, Any]:
    """Remove old finished jobs of all queues with their files, expired artifacts, and leftover files."""
    return _clean(payload.completed_hours, payload.failed_hours, spare_files=False)


@huey.periodic_task(crontab(minute="0"))
def hourly_cleanup() -> dict[str, Any]:
    """Clean up every hour: remove completed jobs after one day, failed ones after seven.

    Keeps a job while its file can be loaded: removing a job removes its file, and the mail about
    a report states how long the file is available.
    """
    return _clean(COMPLETED_HOURS, FAILED_HOURS, spare_files=True)


def _clean(completed_hours: float, failed_hours: float, *, spare_files: bool) -> dict[str, Any]:
    """Return the number of removed jobs (by queue and state), artifacts, temporary files and workers.

    Per-minute counters, values and locks expire in Redis.
    """
    job = current_job()
    retention = {State.COMPLETED: completed_hours, State.FAILED: failed_hours}
    jobs, workers = _clean_queues(retention, spare_files)
    summary = ", ".join(f"{name} {sum(states.values())}" for name, states in jobs.items())
    job.log(f"jobs: {summary or 'none'}; dead workers: {workers}")
    job.progress(80, "artifacts")
    artifacts, temporaries = _clean_files()
    job.log(f"artifacts: {artifacts}; temporary files: {temporaries}")
    return {
        "jobs": jobs,
        "artifacts": artifacts,
        "temporaries": temporaries,
        "workers": workers,
    }


def _clean_queues(
    retention: dict[State, float], spare_files: bool
) -> tuple[dict[str, dict[str, int]], int]:
    job, shared = current_job(), runtime()
    # Includes queues of other programs: every queue registers itself in Redis.
    names = registry.names(shared.redis, shared.prefix)
    removed: dict[str, dict[str, int]] = {}
    workers = 0
    for done, name in enumerate(names):
        for state, hours in retention.items():
            for step in shared.writer.clean_steps(
                name, state, int(hours * HOUR_MS), spare_files=spare_files
            ):
                job.check()
                if step:
                    counts = removed.setdefault(name, {})
                    counts[state.value] = counts.get(state.value, 0) + step
        workers += shared.writer.forget_workers(name, shared.reader.now(name) - SILENT_MS)
        job.progress(80 * (done + 1) / len(names), name)
    return removed, workers


def _clean_files() -> tuple[int, int]:
    job, shared = current_job(), runtime()
    home = shared.settings.jobs_home
    store = open_store(shared.settings.artifacts_url, home)
    now_ms = shared.reader.now(huey.name)
    names = registry.names(shared.redis, shared.prefix)
    expired = delete_due(Files(store, shared.redis, shared.prefix), names, job.check)
    while True:
        removed = store.expire(now_ms, EXPIRE_STEP, job.check)
        expired += removed
        job.progress(85, f"{expired} expired artifacts")
        if removed < EXPIRE_STEP:
            break
    job.progress(90, "temporary files")
    return expired, store.sweep(check=job.check) + sweep_outbox(home) + sweep_spool(home)
