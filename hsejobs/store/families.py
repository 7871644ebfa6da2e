"""Reads the family of a job: its parent, the first job, and the jobs that it added, on any queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.model import JobRecord, Relative
from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.records import record_of


@dataclass(frozen=True, slots=True)
class Family:
    """The relatives of a job. A parent or root whose record was removed is only named.

    ``children``: in the order in which they were added; ``total``: how many are listed in Redis, at
    most ``keys.KIDS_KEPT`` of each queue.
    """

    job: JobRecord
    parent: JobRecord | None
    root: JobRecord | None
    children: list[JobRecord]
    total: int


class Families:
    """Reads families, limited to ``organization_id``. Creating one does no I/O."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis = client
        self.prefix = prefix

    def of(
        self,
        job: JobRecord,
        queues: Sequence[str],
        organization_id: str | None = None,
        *,
        limit: int = 50,
    ) -> Family:
        """The family of a job, whose children may be on these queues, in one round trip.

        ``limit``: the most children that are read, 1 to 200.
        """
        org = keys.tenant(organization_id)
        own = str(Relative(job.queue, job.id))
        above = [one for one in (job.parent, job.root) if one is not None]
        calls: list[tuple[scripts.Script, str, Sequence[scripts.Arg]]] = [
            (scripts.JOB, keys.base(self.prefix, one.queue), (org, one.id, 0)) for one in above
        ]
        calls += [
            (scripts.KIDS, keys.base(self.prefix, name), (org, own, limit)) for name in queues
        ]
        replies = self.redis.run_many(calls)
        found = {
            one: _record(one, reply)
            for one, reply in zip(above, replies[: len(above)], strict=True)
        }
        children, total = [], 0
        for name, reply in zip(queues, replies[len(above) :], strict=True):
            total += reply[0]
            children += [record_of(name, row) for row in reply[1:]]
        children.sort(key=lambda one: (one.created_at, one.id))
        return Family(
            job,
            found[job.parent] if job.parent else None,
            found[job.root] if job.root else None,
            children[:limit],
            total,
        )


def _record(one: Relative, reply: Any) -> JobRecord | None:
    return record_of(one.queue, reply) if reply else None
