"""What is shown of jobs, through every door: the public form, and what is masked or hidden in it.

Masked: the task's secret fields and fields with a secret's name in data and result, and the values
of the payload's secrets wherever they stand (result, errors, tracebacks, progress, log lines).
Hidden: the contents of jobs that this actor may not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hsejobs.control.actors import Actor
from hsejobs.errors import InvalidOption
from hsejobs.masking import mask, scrub, scrub_data, secret_values
from hsejobs.model import JobRecord, State, iso_time
from hsejobs.store.circuits import Circuit
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo

#: What ``status`` may be in a listing.
STATUSES = (*(state.value for state in State), "paused")
#: What stands in place of a payload that is broken.
BROKEN = "(not valid JSON: hidden, because its secrets cannot be told apart)"
#: What stands in place of the contents of another user's job where a screen needs a text.
HIDDEN = "another user's job: not shown"
#: Fields of the public form that are contents, and None for whoever may not read them.
CONTENTS = ("data", "result", "errors", "failedReason", "progressMessage")
#: What is shown of an error of another user's job.
_WHEN = ("attempt", "startedAt", "failedAt")


def secret_paths(info: QueueInfo | None, task: str) -> list[str]:
    """The secret fields of a task; of all the queue's tasks when the task is not listed."""
    tasks = info.tasks if info else []
    every = [path for one in tasks for path in one.secret]
    return next((one.secret for one in tasks if one.name == task), every)


def masked_data(data: Any, paths: Iterable[str]) -> Any:
    """A payload as it may be shown. What could not be read as JSON is hidden whole."""
    return BROKEN if isinstance(data, str) else mask(data, paths)


def masked(record: JobRecord, info: QueueInfo | None) -> JobRecord:
    """The record itself, with ``***`` for its secrets wherever they stand."""
    paths = secret_paths(info, record.name)
    secrets = _values(record, paths) if _has_texts(record) else []
    record.data = masked_data(record.data, paths)
    record.result = scrub_data(mask(record.result, paths), secrets)
    record.errors = tuple(_scrubbed(error, secrets) for error in record.errors)
    if record.progress_message:
        record.progress_message = scrub(record.progress_message, secrets)
    return record


def _scrubbed(error: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    return {
        name: scrub(value, secrets) if isinstance(value, str) else value
        for name, value in error.items()
    }


def _has_texts(record: JobRecord) -> bool:
    return bool(record.errors or record.progress_message or record.result is not None)


def _values(record: JobRecord, paths: Iterable[str]) -> list[str]:
    """The texts of the payload's secrets; what is sealed at rest is not among them."""
    return [] if isinstance(record.data, str) else secret_values(record.data, paths)


def hidden(record: JobRecord, actor: Actor) -> JobRecord:
    """The record itself, without its contents where the actor may not read them."""
    if not actor.sees_into(record.organization_id, record.user_id):
        record.data = HIDDEN if record.data is not None else None
        record.errors = tuple(_only_when(error) for error in record.errors)
        record.code = "hidden" if record.code else None
        record.result = record.progress_message = None
    return record


def _only_when(error: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in error.items() if name in _WHEN}
    return {**kept, "error": HIDDEN, "code": "hidden"}


def job(record: JobRecord, info: QueueInfo | None, actor: Actor) -> dict[str, Any]:
    """A job's public object, as this actor may see it; it changes the record."""
    shown = public(masked(record, info))
    if not actor.sees_into(record.organization_id, record.user_id):
        shown.update(dict.fromkeys(CONTENTS))
    return shown


def public(record: JobRecord) -> dict[str, Any]:
    """The object of the HTTP shim and of ``--json``; absent things are None. Masks nothing."""
    return {
        "id": record.id,
        "queue": record.queue,
        "name": record.name,
        "status": str(record.status),
        "organizationId": record.organization_id,
        "userId": record.user_id,
        "data": record.data,
        "priority": record.priority,
        "attemptsMade": record.attempts_made,
        "attempts": record.attempts,
        "progress": record.progress,
        "progressMessage": record.progress_message,
        "result": record.result,
        "failedReason": record.failed_reason,
        "errors": [_error(error) for error in record.errors],
        "createdAt": iso_time(record.created_at),
        "processedAt": iso_time(record.processed_at),
        "finishedAt": iso_time(record.finished_at),
        "runAt": iso_time(record.run_at),
        "timeout": record.timeout or None,
        "stalls": record.stalls,
    }


def _error(error: dict[str, Any]) -> dict[str, Any]:
    return {
        "attempt": error.get("attempt"),
        "error": error.get("error"),
        "code": error.get("code"),
        "traceback": error.get("traceback"),
        "startedAt": iso_time(error.get("startedAt")),
        "failedAt": iso_time(error.get("failedAt")),
        "worker": error.get("worker"),
    }


def logs(
    reader: JobReader, record: JobRecord, info: QueueInfo | None, actor: Actor, *, tail: int = 0
) -> tuple[list[str] | None, int]:
    """A job's log lines that are kept, and how many there ever were; None for hidden lines.

    ``tail``: only the newest so many. ``record`` is as stored: its secrets are looked for.
    """
    lines, total = reader.logs(record.queue, record.id, start=-tail)
    if not actor.sees_into(record.organization_id, record.user_id):
        return None, total
    secrets = _values(record, secret_paths(info, record.name)) if lines else []
    return [scrub(line, secrets) for line in lines], total


def listing(
    reader: JobReader,
    info: QueueInfo,
    status: str,
    actor: Actor,
    *,
    limit: int = 50,
    cursor: str | None = None,
    organization_id: str | None = None,
) -> dict[str, Any]:
    """A page of a queue's jobs: ``queue, status, total, jobs, next``.

    ``paused``: what waits in a paused queue. ``organization_id``: of these jobs only. Raises
    InvalidOption for a bad status, limit or cursor.
    """
    if status not in STATUSES:
        raise InvalidOption("status", f"use {', '.join(STATUSES[:-1])} or {STATUSES[-1]}")
    state = State.WAITING if status == "paused" else State(status)
    page = reader.page(
        info.name, state, limit=limit, cursor=cursor, organization_id=organization_id
    )
    if status == "paused" and not page.paused:
        page.jobs, page.total, page.next = [], 0, None
    return {
        "queue": info.name,
        "status": status,
        "total": page.total,
        "jobs": [job(record, info, actor) for record in page.jobs],
        "next": page.next,
    }


def workers(reader: JobReader, queues: Sequence[str]) -> list[dict[str, Any]]:
    """The consumers that live and what their slots run; times ISO 8601, durations ms."""
    found = reader.workers(queues)
    for one in found:
        one["startedAt"] = iso_time(one.get("startedAt"))
    return found


def circuits(found: Sequence[Circuit], actor: Actor) -> list[Circuit]:
    """Circuits as this actor may see them: an endpoint's name and answer are some job's contents."""
    if actor.role != "member":
        return list(found)
    return [
        replace(one, name=f"receiver {n}", last_error=one.last_error and HIDDEN)
        for n, one in enumerate(found, 1)
    ]
