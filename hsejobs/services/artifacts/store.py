"""The artifact store, on a folder or on an object store.

An artifact is a metadata file and data files of at most 8 MB, in a folder per organization::

    <sha256 of organization>/<sha256 of id>.json
    <sha256 of organization>/<sha256 of id>.<expiry, ms>.<random>.<number>

An artifact exists if its metadata file does, which names the data. A new version's data has a new
name, so no reader sees a partial version or a mix of two; a crash leaves only data that no
metadata names. The names contain the expiry, so that expired artifacts are found without reads.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import os
import re
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hsejobs import codec
from hsejobs.environment import EnvironReader
from hsejobs.errors import ArtifactNotFound, ArtifactsUnavailable
from hsejobs.services.artifacts import Artifact, ArtifactStore
from hsejobs.services.artifacts.shelf import NAME, Folder, Shelf

_CREATOR_FIELDS = ("queue", "job_id")
PART_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
#: How many files an erasure removes at once.
ERASED_TOGETHER = 500
#: In ms: the year 2286, which fits the 15 digits of the name.
MAX_EXPIRY = 10**13 - 1


def open_store(url: str | None, home: Path) -> ArtifactStore:
    """Return the store that ``ARTIFACTS_URL`` names, or ``home/artifacts`` for None.

    Does not connect yet. Raises SettingsError, which names ARTIFACTS_URL.
    """
    return _store(
        EnvironReader({"ARTIFACTS_URL": url or ""}).artifacts_url("ARTIFACTS_URL"),
        home,
        os.getpid(),
    )


@functools.lru_cache(maxsize=8)
def _store(url: str | None, home: Path, _: int) -> ArtifactStore:
    if url is None:
        return Store(Folder(home / "artifacts"))
    if url.startswith("file://"):
        return Store(Folder(Path(unquote(urlsplit(url).path))))
    from hsejobs.services.artifacts.objects import Objects

    return Store(Objects(url))


@dataclass(frozen=True, slots=True)
class _Metadata:
    """The metadata file: the artifact and the names of its data files."""

    artifact: Artifact
    data: str
    parts: int

    def document(self) -> dict[str, Any]:
        """Return the document to write. The job is kept apart: earlier releases refuse new fields."""
        fields = asdict(self.artifact)
        made = {name: fields.pop(name) for name in _CREATOR_FIELDS}
        return {"artifact": fields, "made": made, "data": self.data, "parts": self.parts}

    def names(self, key: str) -> list[str]:
        return [f"{key}.{self.data}.{part:06d}" for part in range(self.parts)]


class ShelfWriter(io.RawIOBase):
    """Writes an artifact, one part at a time."""

    def __init__(self, shelf: Shelf, key: str, data: str) -> None:
        super().__init__()
        self.artifact: Artifact | None = None
        self.parts = 0
        self.size = 0
        self._shelf, self._key, self._data = shelf, key, data
        self._buffer = bytearray()
        self._hash = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Append bytes; return how many. Raises ArtifactsUnavailable, and ValueError if closed."""
        if self.closed:
            raise ValueError("the artifact is closed")
        with memoryview(data).cast("B") as view:
            start = 0
            while start < len(view):
                piece = view[start : start + PART_BYTES - len(self._buffer)]
                self._buffer += piece
                start += len(piece)
                if len(self._buffer) == PART_BYTES:
                    self._put()
            return len(view)

    def end(self) -> str:
        """Write the last part; return the sha256. An empty artifact has one empty part."""
        if self._buffer or not self.parts:
            self._put()
        return self._hash.hexdigest()

    def undo(self) -> None:
        """Remove the parts that were written; a sweep finds those that cannot be removed now."""
        names = [f"{self._key}.{self._data}.{part:06d}" for part in range(self.parts + 1)]
        with contextlib.suppress(ArtifactsUnavailable):
            self._shelf.remove(names)

    def _put(self) -> None:
        part = bytes(self._buffer)
        self._buffer.clear()
        self._shelf.put(f"{self._key}.{self._data}.{self.parts:06d}", part)
        self._hash.update(part)
        self.size += len(part)
        self.parts += 1


def _nothing() -> None:
    """The default for ``check``."""


class Store:
    """Artifacts on a shelf; ``ArtifactStore`` documents the methods."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    @contextmanager
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
    ) -> Iterator[ShelfWriter]:
        key = _key(organization_id, artifact_id)
        expires_at = max(0, min(int(expires_at), MAX_EXPIRY))
        data = f"{expires_at:015d}.{secrets.token_hex(8)}"
        writer = ShelfWriter(self.shelf, key, data)
        begun = False
        try:
            yield writer
            digest = writer.end()
            artifact = Artifact(
                id=artifact_id,
                organization_id=organization_id,
                name=name,
                content_type=content_type,
                bytes=writer.size,
                sha256=digest,
                created_at=_now(),
                expires_at=expires_at,
                queue=queue,
                job_id=job_id,
            )
            begun = True
            self._replace(key, _Metadata(artifact, data, writer.parts))
        except BaseException:
            if not begun or self._not_committed(key, data):
                writer.undo()
            raise
        finally:
            writer.close()
        writer.artifact = artifact

    def _replace(self, key: str, metadata: _Metadata) -> None:
        with self.shelf.lock(_folder(key)):
            old = self._read_metadata(key)
            self.shelf.put(
                f"{key}.json",
                codec.dumps(metadata.document()),
            )
        if old is not None:
            # The new version is committed, even if the old data cannot be removed.
            with contextlib.suppress(ArtifactsUnavailable):
                self.shelf.remove(old.names(key))

    def _not_committed(self, key: str, data: str) -> bool:
        """Return whether it is certain that the metadata does not name this data."""
        try:
            metadata = self._read_metadata(key)
        except ArtifactsUnavailable:
            return False
        return metadata is None or metadata.data != data

    def get(self, organization_id: str, artifact_id: str) -> Artifact:
        return self._live(organization_id, artifact_id).artifact

    def open(
        self, organization_id: str, artifact_id: str, start: int = 0
    ) -> tuple[Artifact, Generator[bytes, None, None]]:
        key = _key(organization_id, artifact_id)
        # All parts but the last are full, so the first one to read can be computed.
        part, skip = divmod(start, PART_BYTES)
        while True:
            metadata = self._live(organization_id, artifact_id)
            names = metadata.names(key)[part:]
            if not names:
                return metadata.artifact, self._pieces(b"", (), 0)
            first = self.shelf.get(names[0])
            if first is not None:
                return metadata.artifact, self._pieces(first, names[1:], skip)
            # Either it was replaced or removed between the two reads, or its data is lost.
            if self._read_metadata(key) == metadata:
                raise ArtifactNotFound("the artifact's content is missing")

    def _pieces(
        self, first: bytes, names: Iterable[str], skip: int
    ) -> Generator[bytes, None, None]:
        part: bytes | None = first
        for name in itertools.chain(names, (None,)):
            if part is None:
                raise ArtifactNotFound("the artifact was replaced or removed while it was read")
            for start in range(skip, len(part), PIECE_BYTES):
                yield part[start : start + PIECE_BYTES]
            skip = 0
            part = self.shelf.get(name) if name is not None else b""

    def delete(self, organization_id: str, artifact_id: str) -> bool:
        return self._remove(_key(organization_id, artifact_id))

    def walk(self, organization_id: str | None = None) -> Iterator[Artifact]:
        yield from self._walk(organization_id, None)

    def find(self, artifact_id: str, organization_id: str | None = None) -> list[Artifact]:
        return list(self._walk(organization_id, artifact_id))

    def _walk(self, organization_id: str | None, artifact_id: str | None) -> Iterator[Artifact]:
        key = _key(organization_id or "", artifact_id or "")
        for match, _ in self._matches(None if organization_id is None else _folder(key)):
            if not match["meta"] or match["temporary"]:
                continue
            if artifact_id is not None and _file(match["key"]) != _file(key):
                continue
            with contextlib.suppress(_Unreadable):
                metadata = self._read_metadata(match["key"])
                if metadata is not None:
                    yield metadata.artifact

    def erase(self, organization_id: str, check: Callable[[], None] = _nothing) -> int:
        folder, removed = _folder(_key(organization_id, "")), 0
        names: list[str] = []
        for match, _ in self._matches(folder):
            names.append(match.string)
            if len(names) == ERASED_TOGETHER:
                check()
                self.shelf.remove(names)
                removed, names = removed + len(names), []
        self.shelf.remove(names)
        self.shelf.forget(folder)
        return removed + len(names)

    def expire(self, now_ms: int, limit: int = 1000, check: Callable[[], None] = _nothing) -> int:
        removed = 0
        for key, group in itertools.groupby(self._matches(), lambda found: found[0]["key"]):
            check()
            times = [int(match["expires"]) for match, _ in group if match["data"]]
            if times and min(times) <= now_ms:
                with contextlib.suppress(_Unreadable):
                    removed += self._remove(key, now_ms)
            if removed >= limit:
                break
        return removed

    def sweep(self, older_than: float = 86_400.0, check: Callable[[], None] = _nothing) -> int:
        before = time.time() - older_than
        removed = 0
        for key, group in itertools.groupby(self._matches(), lambda found: found[0]["key"]):
            check()
            stale, versions, written = [], dict[str, list[str]](), dict[str, float]()
            known = False
            for match, modified in group:
                if match["temporary"]:
                    if modified < before:
                        stale.append(match.string)
                elif match["meta"]:
                    known = True
                else:
                    versions.setdefault(match["data"], []).append(match.string)
                    written[match["data"]] = max(modified, written.get(match["data"], 0.0))
            if len(versions) > known:
                # The named version may have been replaced since the listing: read it now.
                with contextlib.suppress(_Unreadable):
                    metadata = self._read_metadata(key)
                    for data, names in versions.items():
                        if written[data] < before and (metadata is None or metadata.data != data):
                            stale += names
            if stale:
                self.shelf.remove(stale)
                removed += len(stale)
        return removed

    def _matches(self, folder: str | None = None) -> Iterator[tuple[re.Match[str], float]]:
        """Yield artifact files with their modification times; skip foreign files in the folder."""
        for entry in self.shelf.entries() if folder is None else self.shelf.entries(folder):
            match = NAME.fullmatch(entry.name)
            if match is not None:
                yield match, entry.modified

    def _remove(self, key: str, now_ms: int | None = None) -> bool:
        with self.shelf.lock(_folder(key)):
            metadata = self._read_metadata(key)
            if metadata is None or (now_ms is not None and metadata.artifact.expires_at > now_ms):
                return False
            self.shelf.remove([f"{key}.json"])
        self.shelf.remove(metadata.names(key))
        return True

    def _live(self, organization_id: str, artifact_id: str) -> _Metadata:
        metadata = self._read_metadata(_key(organization_id, artifact_id))
        if metadata is None or (metadata.artifact.organization_id, metadata.artifact.id) != (
            organization_id,
            artifact_id,
        ):
            raise ArtifactNotFound("there is no such artifact")
        if metadata.artifact.expires_at <= _now():
            raise ArtifactNotFound("the artifact has expired")
        return metadata

    def _read_metadata(self, key: str) -> _Metadata | None:
        text = self.shelf.get(f"{key}.json")
        if text is None:
            return None
        try:
            raw = codec.loads(text)
            made = raw.get("made") or {}
            fields: dict[str, Any] = raw["artifact"] | {
                name: made.get(name) for name in _CREATOR_FIELDS
            }
            artifact = Artifact(**fields)
            return _Metadata(artifact, str(raw["data"]), int(raw["parts"]))
        except (ValueError, TypeError, KeyError):
            raise _Unreadable("an artifact's metadata cannot be read") from None


class _Unreadable(ArtifactsUnavailable):
    """Metadata of another version, or damaged: its data must not be removed."""


def _key(organization_id: str, artifact_id: str) -> str:
    """Return the prefix of an artifact's file names: hashes, never a tenant's text."""
    return "/".join(
        # Ids that are not valid UTF-8 do not exist, but must not raise here.
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        for text in (organization_id, artifact_id)
    )


def _folder(key: str) -> str:
    return key.partition("/")[0]


def _file(key: str) -> str:
    return key.partition("/")[2]


def _now() -> int:
    return time.time_ns() // 1_000_000
