"""Files that jobs make: kept whole or not at all, per organisation, until they expire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from hsejobs.errors import JobsError
from hsejobs.model import iso_time


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is known of one file. Times in ms since the epoch."""

    id: str
    organization_id: str
    name: str
    content_type: str
    bytes: int
    sha256: str
    created_at: int
    expires_at: int


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
    artifact leads its organisation together with its id, and nothing else.
    """

    def write(
        self,
        organization_id: str,
        artifact_id: str,
        *,
        name: str,
        content_type: str,
        expires_at: int,
    ) -> AbstractContextManager[ArtifactWriter]:
        """Writes one: put in place whole when the block ends well, else nothing is left.

        One of the same id is replaced.
        """

    def get(self, organization_id: str, artifact_id: str) -> Artifact:
        """What is known of one.

        Raises ArtifactNotFound: also if it has expired or is another organisation's.
        """

    def open(
        self, organization_id: str, artifact_id: str
    ) -> tuple[Artifact, Generator[bytes, None, None]]:
        """One and its content, in pieces of at most 1 MB; close the generator if you stop early.

        Raises ArtifactNotFound as ``get``; the generator raises it when the artifact is
        replaced or removed while it is read, so that old and new never mix.
        """

    def delete(self, organization_id: str, artifact_id: str) -> bool:
        """Removes one; whether there was one."""

    def expire(self, now_ms: int, limit: int = 1000, check: Callable[[], None] = ...) -> int:
        """Removes at most ``limit`` artifacts whose time is over; how many.

        ``check`` is called at every artifact, and ends the walk when it raises.
        """

    def sweep(self, older_than: float = 86_400.0, check: Callable[[], None] = ...) -> int:
        """Removes what crashes left and nobody wrote to for ``older_than`` seconds; how many files.

        What is still being written must get some MB more often than that. ``check`` as above.
        """


def artifact_id(prefix: str, queue: str, job_id: str, created_at: int) -> str:
    """The id of a job's artifact: the same in each attempt, so that a second run replaces."""
    text = "\0".join((prefix, queue, job_id, str(created_at)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
