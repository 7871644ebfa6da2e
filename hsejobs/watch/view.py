"""Jobs as outsiders see them: the objects of the HTTP shim and of ``--json``, secrets masked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hsejobs.errors import InvalidOption
from hsejobs.masking import mask
from hsejobs.model import JobRecord, State, iso_time
from hsejobs.store.read import Reader
from hsejobs.store.registry import QueueInfo

#: What ``status`` may be in a listing.
STATUSES = (*(state.value for state in State), "paused")


def shown(record: JobRecord, info: QueueInfo) -> dict[str, Any]:
    """A job's public object with its secrets masked."""
    every = [path for task in info.tasks for path in task.secret]
    # A task that the record no longer lists: rather too much is hidden than too little.
    secret = next((task.secret for task in info.tasks if task.name == record.name), every)
    record.data = mask(record.data, secret)
    return record.public()


def listing(
    reader: Reader,
    info: QueueInfo,
    status: str,
    *,
    limit: int = 50,
    cursor: str | None = None,
    organization_id: str | None = None,
) -> dict[str, Any]:
    """A page of a queue's jobs: ``queue, status, total, jobs, next``.

    ``paused``: what waits in a paused queue. Raises InvalidOption for a bad
    status, limit or cursor.
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
        "jobs": [shown(record, info) for record in page.jobs],
        "next": page.next,
    }


def workers(reader: Reader, queues: Sequence[str]) -> list[dict[str, Any]]:
    """The consumers that live and what their slots run; times ISO 8601, durations ms."""
    found = reader.workers(queues)
    for one in found:
        one["startedAt"] = iso_time(one.get("startedAt"))
    return found
