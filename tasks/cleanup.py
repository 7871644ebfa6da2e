"""The cleanup queue: what has been kept for long enough goes, every hour."""

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
#: A consumer says every 5 s that it lives.
SILENT_MS = 60_000
#: Artifacts in one walk over the store.
EXPIRE_STEP = 5_000

huey = JobHuey("cleanup", attempts=1, timeout=600.0, enqueue="operator")


class CleanupPayload(Payload):
    """How long finished jobs are kept, in hours. Strict: ``false`` would be 0, and clean all."""

    completed_hours: float = Field(default=COMPLETED_HOURS, strict=True, ge=0, le=24 * 366)
    failed_hours: float = Field(default=FAILED_HOURS, strict=True, ge=0, le=24 * 366)


@huey.task()
def clean_up(payload: CleanupPayload) -> dict[str, Any]:
    """Removes old finished jobs of all queues with their files, expired artifacts, and what crashes left."""
    return _clean(payload.completed_hours, payload.failed_hours, spare_files=False)


@huey.periodic_task(crontab(minute="0"))
def hourly_cleanup() -> dict[str, Any]:
    """The same every hour: completed jobs after a day, failed ones after seven.

    A job whose file can still be loaded stays as long as it: who removes a job removes its file, and
    the mail about a report says for how long it can be loaded.
    """
    return _clean(COMPLETED_HOURS, FAILED_HOURS, spare_files=True)


def _clean(completed_hours: float, failed_hours: float, *, spare_files: bool) -> dict[str, Any]:
    """What went: jobs by queue and state, artifacts, temporary files, records of dead workers.

    Counters of minutes, values and locks expire inside Redis.
    """
    job = current_job()
    kept = {State.COMPLETED: completed_hours, State.FAILED: failed_hours}
    jobs, workers = _clean_queues(kept, spare_files)
    told = ", ".join(f"{name} {sum(states.values())}" for name, states in jobs.items())
    job.log(f"jobs: {told or 'none'}; dead workers: {workers}")
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
    kept_hours: dict[State, float], spare_files: bool
) -> tuple[dict[str, dict[str, int]], int]:
    job, shared = current_job(), runtime()
    # Those of other programs too: each described itself.
    names = registry.names(shared.link, shared.prefix)
    removed: dict[str, dict[str, int]] = {}
    workers = 0
    for done, name in enumerate(names):
        for state, hours in kept_hours.items():
            for step in shared.writer.clean_steps(
                name, state, int(hours * HOUR_MS), spare_files=spare_files
            ):
                job.check()
                if step:
                    of = removed.setdefault(name, {})
                    of[state.value] = of.get(state.value, 0) + step
        workers += shared.writer.forget_workers(name, shared.reader.now(name) - SILENT_MS)
        job.progress(80 * (done + 1) / len(names), name)
    return removed, workers


def _clean_files() -> tuple[int, int]:
    job, shared = current_job(), runtime()
    home = shared.settings.jobs_home
    store = open_store(shared.settings.artifacts_url, home)
    now_ms = shared.reader.now(huey.name)
    names = registry.names(shared.link, shared.prefix)
    expired = delete_due(Files(store, shared.link, shared.prefix), names, job.check)
    while True:
        gone = store.expire(now_ms, EXPIRE_STEP, job.check)
        expired += gone
        job.progress(85, f"{expired} expired artifacts")
        if gone < EXPIRE_STEP:
            break
    job.progress(90, "temporary files")
    return expired, store.sweep(check=job.check) + sweep_outbox(home) + sweep_spool(home)
