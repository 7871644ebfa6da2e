"""Files of jobs as the records know them: whose they are, and which are to be deleted.

A file lives as long as its job's record names it. What removes a record puts the file on the
queue's list ``gone`` in the same script; whoever can reach the artifact store deletes what is due.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hsejobs.errors import JobActive, JobNotFound
from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient

#: Entries of ``gone`` in one look.
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Holder:
    """A job as the holder of its file. ``artifact_id`` None: it has none, or an older release's."""

    queue: str
    job_id: str
    organization_id: str | None
    user_id: str | None
    created_at: int
    artifact_id: str | None


@dataclass(frozen=True, slots=True)
class Gone:
    """A file whose job was removed. ``artifact_id`` None: an older release computed it."""

    queue: str
    job_id: str
    created_at: int
    artifact_id: str | None
    organization_id: str
    entry: bytes


class ArtifactRecords:
    """What Redis knows of files. All methods raise RedisUnavailable."""

    def __init__(self, link: RedisClient, prefix: str) -> None:
        self.link, self.prefix = link, prefix

    def _key(self, queue: str, name: str, rest: str = "") -> str:
        return keys.of(keys.base(self.prefix, queue), name, rest)

    def holder(self, queue: str, job_id: str) -> Holder | None:
        """The job as its file's holder, None when there is no such job."""
        found = self.link.command("HMGET", self._key(queue, "job", job_id), "ct", "o", "u", "af")
        created, organization, user, artifact = (value.decode() if value else "" for value in found)
        if not created:
            return None
        return Holder(
            queue, job_id, organization or None, user or None, int(created), artifact or None
        )

    def role(self, queue: str, job_id: str) -> str | None:
        """The role of the caller who added the job over HTTP, None for other ways in."""
        found = self.link.command("HGET", self._key(queue, "job", job_id), "ro")
        return found.decode() if found else None

    def withdraw(self, queue: str, job_id: str, organization_id: str | None = None) -> None:
        """Takes the file away from its job, which stays. Raises JobNotFound, JobActive."""
        base = keys.base(self.prefix, queue)
        args = (keys.tenant(organization_id), job_id)
        reply = self.link.run(scripts.WITHDRAW, base, args)
        if reply == b"missing":
            raise JobNotFound(f"there is no job {job_id!r} in queue {queue!r}")
        if reply == b"a":
            raise JobActive(f"job {job_id!r} is active: a worker is making its file")

    def due(self, queue: str) -> list[Gone]:
        """Files of a queue that are due for deletion, at most MOST."""
        now = self.link.run(scripts.STATS, keys.base(self.prefix, queue), ("", 0))[9]
        found = self.link.command(
            "ZRANGEBYSCORE", self._key(queue, "gone"), "-inf", now, "LIMIT", 0, MOST
        )
        return [_gone(queue, entry) for entry in found]

    def of_job(self, queue: str, job_id: str) -> list[Gone]:
        """The files of one job that was removed a moment ago, also those that an undo would need."""
        return [one for one in self.newest_gone(queue) if one.job_id == job_id]

    def newest_gone(self, queue: str) -> list[Gone]:
        """The files that are to be deleted last, at most MOST."""
        found = self.link.command("ZREVRANGE", self._key(queue, "gone"), 0, MOST - 1)
        return [_gone(queue, entry) for entry in found]

    def of_organization(self, queue: str, organization_id: str) -> Iterator[Gone]:
        """Those of one organization, due or not."""
        for entry in scan(self.link, "ZSCAN", self._key(queue, "gone")):
            one = _gone(queue, entry)
            if one.organization_id == organization_id:
                yield one

    def forget(self, one: Gone) -> None:
        """The file was deleted."""
        self.link.command("ZREM", self._key(one.queue, "gone"), one.entry)


def _gone(queue: str, entry: bytes) -> Gone:
    job_id, created, artifact, organization = entry.decode().split("\t", 3)
    return Gone(queue, job_id, int(created or 0), artifact or None, organization, entry)


def scan(link: RedisClient, command: str, key: str) -> Iterator[bytes]:
    """The members of a sorted set, or the fields of a hash, in bounded steps."""
    cursor = b"0"
    while True:
        cursor, flat = link.command(command, key, cursor.decode(), "COUNT", 500)
        yield from flat[::2]
        if cursor == b"0":
            return
