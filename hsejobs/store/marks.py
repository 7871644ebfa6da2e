"""Marks in the history: what happened at a moment, such as a deploy or an alert."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hsejobs import codec
from hsejobs.model import new_job_id
from hsejobs.store import keys, scripts
from hsejobs.store.audits import AuditEntry
from hsejobs.store.client import RedisClient

#: What a mark may tell of.
KINDS = ("deploy", "act", "alert")


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark at ``at`` (Redis ms). ``who``: the user or program; ``queue``: the one it is about, if one.

    ``entry``: of an act, its entry in the audit log.
    """

    at: int
    kind: str
    text: str
    who: str
    queue: str | None = None
    organization_id: str | None = None
    entry: AuditEntry | None = None


class Marks:
    """The marks of an installation. All methods raise RedisUnavailable."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis, self.base = client, keys.marks(prefix)

    def add(
        self,
        kind: str,
        text: str,
        who: str,
        *,
        queue: str | None = None,
        organization_id: str | None = None,
        once: bool = False,
    ) -> Mark:
        """Adds a mark now. ``once``: unless the newest mark that was added so is the same."""
        raw: dict[str, Any] = {"kind": kind, "text": text, "who": who}
        if queue is not None:
            raw["queue"] = queue
        if organization_id is not None:
            raw["organizationId"] = organization_id
        same = codec.dumps(raw) if once else b""
        _, now = self.redis.run(
            scripts.NOTE, self.base, (codec.dumps({**raw, "id": new_job_id()}), same)
        )
        return _mark(now, raw)

    def now(self) -> int:
        """The time in ms of the Redis server that holds the marks."""
        return int(self.redis.run(scripts.WORKERS, self.base)[0])

    def between(self, start_ms: int, end_ms: int) -> list[Mark]:
        """The marks from ``start_ms`` to ``end_ms``, the oldest first."""
        rows = self.redis.command(
            "ZRANGEBYSCORE", keys.of(self.base, "notes"), start_ms, end_ms, "WITHSCORES"
        )
        return [
            _mark(int(float(at)), json.loads(raw))
            for raw, at in zip(rows[::2], rows[1::2], strict=True)
        ]


def note_release(client: RedisClient, prefix: str, release: str) -> None:
    """Marks a deploy, unless the newest such mark is of the same release. Raises RedisUnavailable."""
    Marks(client, prefix).add("deploy", f"release {release}", "hsejobs", once=True)


def _mark(at: int, raw: dict[str, Any]) -> Mark:
    return Mark(
        at, raw["kind"], raw["text"], raw["who"], raw.get("queue"), raw.get("organizationId")
    )
