"""Adding jobs to queues of which only the registry record is at hand, not the code."""

from __future__ import annotations

from typing import Any

from hsejobs import codec
from hsejobs.engine import options, payloads
from hsejobs.engine.handle import Job
from hsejobs.engine.runtime import runtime
from hsejobs.engine.sealing import seal
from hsejobs.errors import InvalidPayload
from hsejobs.model import check_job_id, check_organization, new_job_id
from hsejobs.store.client import Link
from hsejobs.store.read import Reader
from hsejobs.store.registry import QueueInfo, ScheduleInfo
from hsejobs.store.write import NewJob, Writer, new_nonce


def submit(
    link: Link,
    prefix: str,
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
) -> Job:
    """Adds a job by the queue's own description; options as for ``task.add``.

    The payload must be a JSON object with the fields that the schema requires;
    the worker checks the rest. Raises what ``task.add`` raises.
    """
    chosen = info.task(task)
    if not isinstance(payload, dict):
        raise InvalidPayload("payload", "must be a JSON object")
    missing = [name for name in (chosen.schema or {}).get("required", []) if name not in payload]
    if missing:
        raise InvalidPayload(
            missing[0], "is required", *((name, "is required") for name in missing[1:])
        )
    sealed = seal(payload, chosen.secret, runtime().settings.secret_key)
    payloads.encode(payload)
    new = NewJob(
        id=check_job_id(job_id) if job_id is not None else new_job_id(),
        name=chosen.name,
        payload=codec.dumps(sealed),
        priority=info.priority if priority is None else options.check_priority(priority),
        attempts=info.attempts if attempts is None else options.check_attempts(attempts),
        backoff=info.backoff if backoff is None else options.milliseconds("backoff", backoff),
        timeout=info.timeout
        if timeout is None
        else options.milliseconds("timeout", timeout, zero=False),
        delay=0 if delay is None else options.milliseconds("delay", delay),
        organization_id=check_organization(organization_id),
        user_id=check_organization(user_id, "user_id"),
        nonce=new_nonce() if job_id is not None else "",
    )
    return Job(Reader(link, prefix), info.name, Writer(link, prefix).add(info.name, new))


def run_schedule(link: Link, prefix: str, info: QueueInfo, schedule: ScheduleInfo) -> Job:
    """Adds a run of a schedule now, beside its slots."""
    new = NewJob(
        id=f"sys:run:{schedule.name}:{new_job_id()}",
        name=schedule.task,
        payload=b'{"args":[],"kwargs":{}}',
        priority=info.priority,
        attempts=info.attempts,
        backoff=info.backoff,
        timeout=info.timeout,
        signature="a",
    )
    return Job(Reader(link, prefix), info.name, Writer(link, prefix).add(info.name, new))
