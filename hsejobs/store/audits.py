"""The audit log in Redis: one entry per act, written by the scripts of the act (``lua/lib/audit.lua``).

The entries of acts on a queue are beside its jobs; those of acts on no queue are beside the circuits.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.model import iso_time, new_job_id, whole_number
from hsejobs.store import keys, scripts
from hsejobs.store.client import PATIENCE, RedisClient

#: The longest text of ``where`` in an entry, in characters.
WHERE_LENGTH = 500
#: Entries that are read from a queue at once.
CHUNK = 200
_FIXED = ("who", "door", "act", "where", "reason")
_TOGETHER = "together"
#: Later than every entry, in ms.
LATEST = 2**53


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act. ``at``: when it began, in ms since the epoch; ``queue`` None: it was on no queue.

    ``count``: how many jobs it changed, or 1 if it changed something else. ``ids``: of the first of
    them; if it changed none, of the jobs that it was refused. ``where``: what it was about, if that is
    no list of ids: a filter, a state, a circuit. ``organization_id``: whose entry it is; None if it
    concerns several, or none. ``together``: an id that the entries of one act on several queues share; ''
    for an act on one.
    """

    id: str
    at: int
    who: str
    door: str
    act: str
    queue: str | None
    count: int
    ids: tuple[str, ...]
    where: str | None
    reason: str | None
    organization_id: str | None
    together: str = ""

    def public(self) -> dict[str, Any]:
        """The object that the HTTP shim and ``hsejobs audit --json`` return."""
        return {
            "at": iso_time(self.at),
            "who": self.who,
            "door": self.door,
            "act": self.act,
            "queue": self.queue,
            "count": self.count,
            "ids": list(self.ids),
            "where": self.where,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Record:
    """The entry of an act that begins: where it is written, and what the act's scripts get."""

    queue: str | None
    id: str
    packed: str


def begin(
    queue: str | None, organization_id: str | None, *, together: str = "", **fixed: str | None
) -> Record:
    """The entry of a new act; ``fixed``: who, door, act, where, reason.

    ``organization_id``: whose entry it is; None: the organization of all jobs that the act changes.
    ``together``: as in `AuditEntry`.
    """
    # Sortable by time, for the acts of one millisecond.
    entry_id = new_job_id()
    where = fixed.get("where") or None
    known = {name: fixed.get(name) or None for name in _FIXED}
    known["where"] = where[:WHERE_LENGTH] if where else None
    if together:
        known[_TOGETHER] = together
    owner = organization_id or ""
    if "\n" in owner:
        owner = ""
    return Record(queue, entry_id, f"{entry_id}\n{owner}\n{json.dumps(known)}")


class AuditStore:
    """Reads entries, and writes those of acts whose work is not in Redis. Methods raise RedisUnavailable."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis, self.prefix = client, prefix

    def base(self, queue: str | None) -> str:
        """The prefix of the keys beside which the entries of a queue, or of no queue, are."""
        return keys.circuits(self.prefix) if queue is None else keys.base(self.prefix, queue)

    def now(self) -> int:
        """The time in ms of the Redis server."""
        return int(self.redis.run(scripts.STATS, self.base(None), ("", 0))[9])

    def write(self, record: Record, count: int, job_id: str = "") -> None:
        """Writes the entry of an act; again, with a larger count, as the act goes on."""
        self.redis.run(scripts.AUDIT, self.base(record.queue), (record.packed, count, job_id))

    def get(self, record: Record, *, patience: float = PATIENCE) -> AuditEntry | None:
        """The entry of an act; None if the act wrote none."""
        key = keys.of(self.base(record.queue), "entry", record.id)
        found = self.redis.command("HMGET", key, "at", "e", "n", "ids", "o", patience=patience)
        return _entry(record.queue, [record.id.encode(), *found]) if found[0] else None

    def walk(
        self,
        queues: Sequence[str | None],
        organization_id: str | None = None,
        *,
        newest: int = LATEST,
        oldest: int = 0,
        first: int = CHUNK,
    ) -> Iterator[AuditEntry]:
        """The entries of these queues together, the newest first; a queue None: those of no queue.

        ``newest`` and ``oldest``: Redis ms, both included. ``first``: how many are read at first.
        """
        org = keys.tenant(organization_id)
        replies = self.redis.run_many(
            [
                (scripts.AUDIT_PAGE, self.base(queue), (org, newest, oldest, 0, first))
                for queue in queues
            ]
        )
        each = [
            self._place(queue, org, newest, oldest, reply, first)
            for queue, reply in zip(queues, replies, strict=True)
        ]
        yield from heapq.merge(*each, key=lambda one: (one.at, one.id), reverse=True)

    def _place(
        self, queue: str | None, org: str, newest: int, oldest: int, reply: Any, asked: int
    ) -> Iterator[AuditEntry]:
        offset = 0
        while True:
            looked, *rows = reply
            for row in rows:
                entry = _entry(queue, row)
                if entry is not None:
                    yield entry
            offset += looked
            # Entries that are too old are looked at and not returned.
            if looked < asked or (looked and not rows):
                return
            asked = CHUNK
            args = (org, newest, oldest, offset, asked)
            reply = self.redis.run(scripts.AUDIT_PAGE, self.base(queue), args)

    def forget(self, queue: str | None, changed: Sequence[tuple[str, str]]) -> int:
        """Replaces the fixed part of entries and drops their ids; '' deletes an entry."""
        done = 0
        for chunk in scripts.chunks(list(changed), CHUNK):
            words = [word for pair in chunk for word in pair]
            done += int(self.redis.run(scripts.AUDIT_FORGET, self.base(queue), words))
        return done


def _entry(queue: str | None, row: Sequence[bytes | None]) -> AuditEntry | None:
    entry_id, at, fixed, count, ids, owner = (
        value.decode("utf-8", "replace") if value else "" for value in row
    )
    try:
        known = json.loads(fixed)
        texts = {name: known[name] for name in _FIXED}
        together = str(known.get(_TOGETHER) or "")
    except (ValueError, TypeError, KeyError):
        return None
    return AuditEntry(
        id=entry_id,
        at=whole_number(at) or 0,
        who=str(texts["who"]),
        door=str(texts["door"]),
        act=str(texts["act"]),
        queue=queue,
        count=whole_number(count) or 0,
        ids=tuple(ids.split("\n")) if ids else (),
        where=texts["where"],
        reason=texts["reason"],
        organization_id=owner or None,
        together=together,
    )
