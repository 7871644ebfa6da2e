"""The files of jobs, as Redis records them: their owners, and which files are to be deleted.

A file exists as long as its job's record names it. A script that removes a record also puts the file
on the queue's list ``gone``; a process that can reach the artifact store deletes the files when due.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hsejobs.errors import JobActive, JobNotFound, WrongState
from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient

#: Maximum number of entries of ``gone`` read at once.
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Holder:
    """A job that holds a file. ``artifact_id`` None: it has no file, or one of an older release."""

    queue: str
    job_id: str
    organization_id: str | None
    user_id: str | None
    created_at: int
    artifact_id: str | None


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """A file whose job was removed. ``artifact_id`` None: an older release computed it."""

    queue: str
    job_id: str
    created_at: int
    artifact_id: str | None
    organization_id: str
    entry: bytes


class ArtifactRecords:
    """The records of files in Redis. All methods raise RedisUnavailable."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis, self.prefix = client, prefix

    def _key(self, queue: str, name: str, rest: str = "") -> str:
        return keys.of(keys.base(self.prefix, queue), name, rest)

    def holder(self, queue: str, job_id: str) -> Holder | None:
        """The job as the holder of its file; None when the job does not exist."""
        found = self.redis.command("HMGET", self._key(queue, "job", job_id), "ct", "o", "u", "af")
        created, organization, user, artifact = (value.decode() if value else "" for value in found)
        if not created:
            return None
        return Holder(
            queue, job_id, organization or None, user or None, int(created), artifact or None
        )

    def role(self, queue: str, job_id: str) -> str | None:
        """The role of the caller who added the job over HTTP; None if it was added otherwise."""
        found = self.redis.command("HGET", self._key(queue, "job", job_id), "ro")
        return found.decode() if found else None

    def withdraw(
        self,
        queue: str,
        job_id: str,
        organization_id: str | None = None,
        *,
        seen: str = "",
        entry: str = "",
    ) -> None:
        """Detaches the file from its job, which stays.

        ``seen``: only if it is still this artifact; '' for any. ``entry``: for the audit log. Raises
        JobNotFound, JobActive, WrongState.
        """
        base = keys.base(self.prefix, queue)
        args = (keys.tenant(organization_id), job_id, seen, entry)
        reply = self.redis.run(scripts.WITHDRAW, base, args)
        if reply == b"missing":
            raise JobNotFound(f"there is no job {job_id!r} in queue {queue!r}")
        if reply == b"a":
            raise JobActive(f"job {job_id!r} is active: a worker is creating its file")
        if reply == b"changed":
            text = f"job {job_id!r} has another file since this one was shown; check it"
            raise WrongState(text, "changed")

    def due(self, queue: str) -> list[RemovedFile]:
        """The files of a queue that are due for deletion, at most MOST."""
        now = self.redis.run(scripts.STATS, keys.base(self.prefix, queue), ("", 0))[9]
        found = self.redis.command(
            "ZRANGEBYSCORE", self._key(queue, "gone"), "-inf", now, "LIMIT", 0, MOST
        )
        return [_removed_file(queue, entry) for entry in found]

    def of_job(self, queue: str, job_id: str) -> list[RemovedFile]:
        """The files of one recently removed job, even if an undo might still need them."""
        return [one for one in self.newest_gone(queue) if one.job_id == job_id]

    def newest_gone(self, queue: str) -> list[RemovedFile]:
        """The files that are due last, at most MOST."""
        found = self.redis.command("ZREVRANGE", self._key(queue, "gone"), 0, MOST - 1)
        return [_removed_file(queue, entry) for entry in found]

    def of_organization(self, queue: str, organization_id: str) -> Iterator[RemovedFile]:
        """The files of one organization's removed jobs, due or not."""
        for entry in scan(self.redis, "ZSCAN", self._key(queue, "gone")):
            one = _removed_file(queue, entry)
            if one.organization_id == organization_id:
                yield one

    def forget(self, one: RemovedFile) -> None:
        """Drops the entry of a file that was deleted."""
        self.redis.command("ZREM", self._key(one.queue, "gone"), one.entry)


def _removed_file(queue: str, entry: bytes) -> RemovedFile:
    job_id, created, artifact, organization = entry.decode().split("\t", 3)
    return RemovedFile(queue, job_id, int(created or 0), artifact or None, organization, entry)


def scan(client: RedisClient, command: str, key: str) -> Iterator[bytes]:
    """The members of a sorted set, or the fields of a hash, in bounded steps."""
    cursor = b"0"
    while True:
        cursor, flat = client.command(command, key, cursor.decode(), "COUNT", 500)
        yield from flat[::2]
        if cursor == b"0":
            return
