"""The family of a job as an actor may see it: who added it, where the family began, what it added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hsejobs.control import views
from hsejobs.control.actors import Actor
from hsejobs.errors import InvalidOption
from hsejobs.model import JobRecord, Relative, iso_time
from hsejobs.store.families import Families, Family
from hsejobs.store.read import JobReader


def of(
    reader: JobReader,
    queues: Sequence[str],
    record: JobRecord,
    actor: Actor,
    *,
    limit: int = 50,
) -> Family:
    """The family of a job that the actor sees; children may be on any of ``queues``.

    Takes one round trip. Raises InvalidOption for a limit other than 1 to 200. Modifies the record.
    """
    if not 1 <= limit <= 200:
        raise InvalidOption("limit", "must be a number from 1 to 200")
    views.hidden(record, actor)
    store = Families(reader.redis, reader.prefix)
    found = store.of(record, queues, actor.organization_id, limit=limit)
    for one in found.children:
        views.hidden(one, actor)
    return found


def public(family: Family) -> dict[str, Any]:
    """The object that the HTTP shim and ``--json`` return."""
    job = family.job
    return {
        "queue": job.queue,
        "jobId": job.id,
        "parent": _relative(job.parent, family.parent),
        "root": _relative(job.root, family.root),
        "children": [_shown(one) for one in family.children],
        "total": family.total,
    }


def _relative(named: Relative | None, record: JobRecord | None) -> dict[str, Any] | None:
    if named is None:
        return None
    if record is not None:
        return _shown(record)
    gone = dict.fromkeys(("name", "status", "createdAt", "finishedAt"))
    return {"queue": named.queue, "id": named.id, **gone}


def _shown(record: JobRecord) -> dict[str, Any]:
    return {
        "queue": record.queue,
        "id": record.id,
        "name": record.name,
        "status": str(record.status),
        "createdAt": iso_time(record.created_at),
        "finishedAt": iso_time(record.finished_at),
    }
