"""Adding jobs to queues of which only the registry record is at hand, not the code."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from hsejobs import codec
from hsejobs.control import options
from hsejobs.control.sealing import seal
from hsejobs.engine import messages, payloads
from hsejobs.engine.periodic import next_run, time_of
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidPayload
from hsejobs.handle import Job
from hsejobs.model import check_job_id, check_organization, iso_time, new_job_id
from hsejobs.store.client import Link
from hsejobs.store.read import Reader
from hsejobs.store.registry import QueueInfo, ScheduleInfo
from hsejobs.store.write import NewJob, Writer, new_nonce


def submit(link: Link, prefix: str, info: QueueInfo, payload: Any, **options: Any) -> Job:
    """Adds a job by the queue's own description; options and errors as for ``new_job``."""
    new = new_job(info, payload, **options)
    return Job(Reader(link, prefix), info.name, Writer(link, prefix).add(info.name, new))


def new_job(
    info: QueueInfo,
    payload: Any,
    *,
    task: str | None = None,
    organization_id: str | None = None,
    user_id: str | None = None,
    priority: int | None = None,
    delay: float | None = None,
    job_id: str | None = None,
    attempts: int | None = None,
    backoff: float | None = None,
    timeout: float | None = None,
) -> NewJob:
    """A checked job by the queue's own description, not yet added; options as for ``task.add``.

    The payload must be a JSON object with the fields that the schema requires;
    the worker checks the rest. Raises what ``task.add`` raises.
    """
    chosen = info.task(task)
    scheduled = any(one.task == chosen.name for one in info.schedules)
    if scheduled:
        payload = payloads.none_of(payload)
    if not isinstance(payload, dict):
        raise InvalidPayload("payload", "must be a JSON object")
    missing = [name for name in (chosen.schema or {}).get("required", []) if name not in payload]
    if missing:
        raise InvalidPayload(
            missing[0], "is required", *((name, "is required") for name in missing[1:])
        )
    sealed = seal(payload, chosen.secret, runtime().settings.secret_key)
    payloads.encode(payload)
    return NewJob(
        id=check_job_id(job_id) if job_id is not None else new_job_id(),
        name=chosen.name,
        payload=codec.dumps(sealed),
        priority=info.held(chosen, "priority")
        if priority is None
        else options.check_priority(priority),
        attempts=info.held(chosen, "attempts")
        if attempts is None
        else options.check_attempts(attempts),
        backoff=info.held(chosen, "backoff")
        if backoff is None
        else options.milliseconds("backoff", backoff),
        timeout=info.held(chosen, "timeout")
        if timeout is None
        else options.milliseconds("timeout", timeout, zero=False),
        delay=0 if delay is None else options.milliseconds("delay", delay),
        organization_id=check_organization(
            payloads.named(payload, "organizationId")
            if organization_id is None
            else organization_id
        ),
        user_id=check_organization(
            payloads.named(payload, "userId") if user_id is None else user_id, "user_id"
        ),
        signature=messages.ARGUMENTS if scheduled else messages.PLAIN,
        nonce=new_nonce() if job_id is not None else "",
    )


def run_schedule(link: Link, prefix: str, info: QueueInfo, schedule: ScheduleInfo) -> Job:
    """Adds a run of a schedule now, beside its slots."""
    new = NewJob(
        id=f"sys:run:{schedule.name}:{new_job_id()}",
        name=schedule.task,
        payload=codec.dumps(messages.NOTHING),
        priority=info.priority,
        attempts=info.attempts,
        backoff=info.backoff,
        timeout=info.timeout,
        signature=messages.ARGUMENTS,
    )
    added = Writer(link, prefix).add_run(info.name, new, schedule.task)
    return Job(Reader(link, prefix), info.name, added)


def list_schedules(reader: Reader, infos: Iterable[QueueInfo]) -> list[dict[str, Any]]:
    """Every schedule: name, queue, cron text, next and last run, and how that ended.

    The object of the HTTP shim and ``hsejobs schedules --json``; times ISO 8601 UTC, unknown
    things None. ``outcome`` is a state: a run that waits or runs has no other yet.
    """
    found = []
    for info in infos:
        if not info.schedules:
            continue
        now = time_of(0) + datetime.timedelta(milliseconds=reader.now(info.name))
        last = reader.last_outcomes(info.name)
        for one in info.schedules:
            following, run = next_run(one.cron, now), last.get(one.task)
            stamp = following and following.replace(tzinfo=datetime.UTC).timestamp()
            found.append(
                {
                    "name": one.name,
                    "queue": info.name,
                    "cron": one.cron,
                    "next": iso_time(int(stamp * 1000)) if stamp else None,
                    "last": iso_time(run.added_at) if run else None,
                    "lastJob": run.job_id if run else None,
                    "outcome": str(run.status) if run and run.status else None,
                }
            )
    return found
