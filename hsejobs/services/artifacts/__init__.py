"""Artifacts: files that jobs make, written atomically, per organization, until they expire."""

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
    """The metadata of one file. Times in ms since the epoch.

    ``queue`` and ``job_id``: the job that made it; None for files of earlier releases.
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
        """Return the artifact as the command line shows it."""
        return {
            **reference(self),
            "organizationId": self.organization_id,
            "queue": self.queue,
            "jobId": self.job_id,
            "createdAt": iso_time(self.created_at),
        }


#: What a writer saved; JSON.
SavedWrite = dict[str, Any]


class ArtifactWriter(Protocol):
    """A binary file that is being written; buffers at most a few MB in memory.

    It is an ``io.RawIOBase`` that is not seekable: ``csv`` (through ``io.TextIOWrapper``) and
    ``zipfile`` can write to it.
    """

    artifact: Artifact | None
    """The stored artifact; None until the ``with`` block has ended."""

    resumed: bool
    """Whether it continues what an earlier writer saved; else it begins empty."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes; return how many."""

    def written(self) -> Iterator[bytes]:
        """Yield what was written so far, a few MB at a time."""

    def save(self) -> SavedWrite:
        """Store what was written so far, durably; return what ``ArtifactStore.write`` resumes from.

        It stays stored if the ``with`` block ends with an error or the process dies, until the
        artifact is complete or deleted, or a sweep finds it old. No reader sees it.
        """


def written_artifact(out: ArtifactWriter) -> Artifact:
    """Return the artifact that a writer stored. Raises JobsError inside its ``with`` block."""
    if out.artifact is None:
        raise JobsError("the artifact is not complete: its writer is still open")
    return out.artifact


def reference(artifact: Artifact) -> dict[str, Any]:
    """Return the artifact as a job's result names it."""
    return {
        "id": artifact.id,
        "name": artifact.name,
        "contentType": artifact.content_type,
        "bytes": artifact.bytes,
        "sha256": artifact.sha256,
        "expiresAt": iso_time(artifact.expires_at),
    }


class ArtifactStore(Protocol):
    """Storage for artifacts: a folder or an object store. See ``store.open_store``.

    All methods raise ArtifactsUnavailable if the folder or the object store fails. An artifact
    is found by its organization and its id together, never by the id alone.
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
        resume: SavedWrite | None = None,
        replay: Callable[[bytes], None] = ...,
    ) -> AbstractContextManager[ArtifactWriter]:
        """Write an artifact; it is stored when the block ends without an error, otherwise discarded.

        Replaces an artifact with the same id. ``queue`` and ``job_id``: the job that makes it.
        ``resume``: what an earlier writer of the same artifact saved; the new one continues with a
        copy of it, whose bytes ``replay`` gets. If what was saved is damaged or gone, the writer's
        ``resumed`` is false, and it begins empty.
        """

    def scratch(
        self,
        organization_id: str,
        artifact_id: str,
        *,
        expires_at: int,
        resume: SavedWrite | None = None,
    ) -> AbstractContextManager[ArtifactWriter]:
        """Write a file that only the job that makes the artifact reads, with ``written``.

        It is removed when the block ends without an error; otherwise what was saved stays, as for
        ``write``, whose ``resume`` this takes too.
        """

    def get(self, organization_id: str, artifact_id: str) -> Artifact:
        """Return an artifact's metadata.

        Raises ArtifactNotFound, also if it has expired or belongs to another organization.
        """

    def open(
        self, organization_id: str, artifact_id: str, start: int = 0
    ) -> tuple[Artifact, Generator[bytes, None, None]]:
        """Return an artifact and its content from byte ``start`` on, in pieces of at most 1 MB.

        Close the generator if you stop early.

        Raises ArtifactNotFound like ``get``; the generator raises it if the artifact is
        replaced or removed while it is read, so that old and new content never mix.
        """

    def delete(self, organization_id: str, artifact_id: str) -> bool:
        """Remove an artifact; return whether it existed."""

    def walk(self, organization_id: str | None = None) -> Iterator[Artifact]:
        """Yield all artifacts, or those of one organization, expired ones included."""

    def find(self, artifact_id: str, organization_id: str | None = None) -> list[Artifact]:
        """Return the artifacts with an id, of all organizations or of one."""

    def erase(self, organization_id: str, check: Callable[[], None] = ...) -> int:
        """Remove every file of an organization, incomplete ones included; return how many files."""

    def expire(self, now_ms: int, limit: int = 1000, check: Callable[[], None] = ...) -> int:
        """Remove at most ``limit`` expired artifacts; return how many.

        ``check`` is called for every artifact; an exception from it ends the walk.
        """

    def sweep(self, older_than: float = 86_400.0, check: Callable[[], None] = ...) -> int:
        """Remove files that crashes left, unmodified for ``older_than`` seconds; return how many.

        An artifact that is still being written must grow by some MB within that time.
        ``check``: see ``expire``.
        """


def artifact_id(prefix: str, queue: str, job_id: str, created_at: int) -> str:
    """Return the id that earlier releases computed, to find the files that they stored.

    Ids are now random and stored in the job's record, see ``JobContext.artifact_id``: an id that
    can be computed does not protect a file.
    """
    text = "\0".join((prefix, queue, job_id, str(created_at)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
