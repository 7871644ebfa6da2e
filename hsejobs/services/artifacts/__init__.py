"""Files that jobs make: kept whole or not at all, per organization, until they expire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from hsejobs.errors import JobsError
from hsejobs.model import iso_time


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is known of one file. Times in ms since the epoch.

    ``queue`` and ``job_id``: the job that made it; None for files of releases that did not say.
    """

    id: str
    organization_id: str
    name: str
    content_type: str
    bytes: int
    sha256: str
    created_at: int
    expires_at: int
    queue: str | None = None
    job_id: str | None = None

    def public(self) -> dict[str, Any]:
        """As the command line shows it."""
        return {
            **reference(self),
            "organizationId": self.organization_id,
            "queue": self.queue,
            "jobId": self.job_id,
            "createdAt": iso_time(self.created_at),
        }


class ArtifactWriter(Protocol):
    """A binary file that is being written; at most a few MB of it are held in memory.

    It is an ``io.RawIOBase`` that cannot seek: ``csv`` (through ``io.TextIOWrapper``) and
    ``zipfile`` can write to it.
    """

    artifact: Artifact | None
    """What was put in place; None until the ``with`` block has ended."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Adds bytes; how many."""


def kept(out: ArtifactWriter) -> Artifact:
    """What a writer put in place. Raises JobsError before its ``with`` block has ended."""
    if out.artifact is None:
        raise JobsError("the artifact's writer has not ended")
    return out.artifact


def reference(artifact: Artifact) -> dict[str, Any]:
    """What a job's result says of its artifact."""
    return {
        "id": artifact.id,
        "name": artifact.name,
        "contentType": artifact.content_type,
        "bytes": artifact.bytes,
        "sha256": artifact.sha256,
        "expiresAt": iso_time(artifact.expires_at),
    }


class ArtifactStore(Protocol):
    """Where artifacts are: a folder, or an object store. See ``store.open_store``.

    All methods raise ArtifactsUnavailable when the folder or the object store fails. To an
    artifact leads its organization together with its id, and nothing else.
    """

    def write(
        self,
        organization_id: str,
        artifact_id: str,
        *,
        name: str,
        content_type: str,
        expires_at: int,
        queue: str | None = None,
        job_id: str | None = None,
    ) -> AbstractContextManager[ArtifactWriter]:
        """Writes one: put in place whole when the block ends well, else nothing is left.

        One of the same id is replaced. ``queue`` and ``job_id``: the job that makes it.
        """

    def get(self, organization_id: str, artifact_id: str) -> Artifact:
        """What is known of one.

        Raises ArtifactNotFound: also if it has expired or is another organization's.
        """

    def open(
        self, organization_id: str, artifact_id: str, start: int = 0
    ) -> tuple[Artifact, Generator[bytes, None, None]]:
        """One and its content from byte ``start`` on, in pieces of at most 1 MB.

        Close the generator if you stop early.

        Raises ArtifactNotFound as ``get``; the generator raises it when the artifact is
        replaced or removed while it is read, so that old and new never mix.
        """

    def delete(self, organization_id: str, artifact_id: str) -> bool:
        """Removes one; whether there was one."""

    def walk(self, organization_id: str | None = None) -> Iterator[Artifact]:
        """Every artifact, or those of one organization, also those whose time is over."""

    def find(self, artifact_id: str, organization_id: str | None = None) -> list[Artifact]:
        """Those of an id, of any organization or of one."""

    def erase(self, organization_id: str, check: Callable[[], None] = ...) -> int:
        """Removes every file of an organization, what is half written too; how many files."""

    def expire(self, now_ms: int, limit: int = 1000, check: Callable[[], None] = ...) -> int:
        """Removes at most ``limit`` artifacts whose time is over; how many.

        ``check`` is called at every artifact, and ends the walk when it raises.
        """

    def sweep(self, older_than: float = 86_400.0, check: Callable[[], None] = ...) -> int:
        """Removes what crashes left and nobody wrote to for ``older_than`` seconds; how many files.

        What is still being written must get some MB more often than that. ``check`` as above.
        """


def artifact_id(prefix: str, queue: str, job_id: str, created_at: int) -> str:
    """The id that earlier releases computed, for the files that they left.

    Ids are random now and stand in the job's record, see ``JobContext.artifact_id``: what can be
    computed is a name and no key.
    """
    text = "\0".join((prefix, queue, job_id, str(created_at)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
