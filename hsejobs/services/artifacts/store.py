"""The one artifact store, on a folder or on any object store.

An artifact is a metadata file and data files of at most 8 MB, in a folder per organization::

    <sha256 of organization>/<sha256 of id>.json
    <sha256 of organization>/<sha256 of id>.<expiry, ms>.<random>.<number>

It exists when its metadata does, which names the data. Data of a new version has a fresh name,
so no reader sees half of one, or half of two; what a crash leaves is data that no metadata
names. The expiry stands in the name so that what has expired is found without reading anything.
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

_MAKER = ("queue", "job_id")
PART_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
#: Files in one removal of an erasure.
ERASED_TOGETHER = 500
#: Ten million million ms, the year 2286: wider than the name's 15 digits needs to be.
MAX_EXPIRY = 10**13 - 1


def open_store(url: str | None, home: Path) -> ArtifactStore:
    """The store that ``ARTIFACTS_URL`` names, or ``home/artifacts`` for None.

    Connects to nothing yet. Raises SettingsError, which names ARTIFACTS_URL.
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
class _Kept:
    """The metadata file: the artifact, and where its content is."""

    artifact: Artifact
    data: str
    parts: int

    def document(self) -> dict[str, Any]:
        """What is written. The maker stands apart: earlier releases refuse unknown fields."""
        fields = asdict(self.artifact)
        made = {name: fields.pop(name) for name in _MAKER}
        return {"artifact": fields, "made": made, "data": self.data, "parts": self.parts}

    def names(self, key: str) -> list[str]:
        return [f"{key}.{self.data}.{part:06d}" for part in range(self.parts)]


class FolderWriter(io.RawIOBase):
    """An artifact that is being written, a part at a time."""

    def __init__(self, shelf: Shelf, key: str, data: str) -> None:
        super().__init__()
        self.artifact: Artifact | None = None
        self.parts = 0
        self.size = 0
        self._shelf, self._key, self._data = shelf, key, data
        self._held = bytearray()
        self._hash = hashlib.sha256()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Adds bytes; how many. Raises ArtifactsUnavailable, and ValueError after the end."""
        if self.closed:
            raise ValueError("the artifact is closed")
        with memoryview(data).cast("B") as view:
            start = 0
            while start < len(view):
                piece = view[start : start + PART_BYTES - len(self._held)]
                self._held += piece
                start += len(piece)
                if len(self._held) == PART_BYTES:
                    self._put()
            return len(view)

    def end(self) -> str:
        """Writes what is held; the sha256 of all. An empty artifact has one empty part."""
        if self._held or not self.parts:
            self._put()
        return self._hash.hexdigest()

    def undo(self) -> None:
        """Removes what was written, as far as the store lets it; a sweep finds the rest."""
        names = [f"{self._key}.{self._data}.{part:06d}" for part in range(self.parts + 1)]
        with contextlib.suppress(ArtifactsUnavailable):
            self._shelf.remove(names)

    def _put(self) -> None:
        part = bytes(self._held)
        self._held.clear()
        self._shelf.put(f"{self._key}.{self._data}.{self.parts:06d}", part)
        self._hash.update(part)
        self.size += len(part)
        self.parts += 1


def _nothing() -> None:
    """What ``check`` is for who wants none."""


class Store:
    """Artifacts on a shelf; see ``ArtifactStore`` for what each method promises."""

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
    ) -> Iterator[FolderWriter]:
        """Writes one, whole or not at all."""
        key = _key(organization_id, artifact_id)
        expires_at = max(0, min(int(expires_at), MAX_EXPIRY))
        data = f"{expires_at:015d}.{secrets.token_hex(8)}"
        writer = FolderWriter(self.shelf, key, data)
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
            self._replace(key, _Kept(artifact, data, writer.parts))
        except BaseException:
            if not begun or self._surely_not(key, data):
                writer.undo()
            raise
        finally:
            writer.close()
        writer.artifact = artifact

    def _replace(self, key: str, kept: _Kept) -> None:
        with self.shelf.lock(_folder(key)):
            old = self._kept(key)
            self.shelf.put(
                f"{key}.json",
                codec.dumps(kept.document()),
            )
        if old is not None:
            # The new one is in place, whatever becomes of the old data.
            with contextlib.suppress(ArtifactsUnavailable):
                self.shelf.remove(old.names(key))

    def _surely_not(self, key: str, data: str) -> bool:
        """Whether metadata that could not be written whole does not name this data after all."""
        try:
            kept = self._kept(key)
        except ArtifactsUnavailable:
            return False
        return kept is None or kept.data != data

    def get(self, organization_id: str, artifact_id: str) -> Artifact:
        """What is known of one."""
        return self._live(organization_id, artifact_id).artifact

    def open(
        self, organization_id: str, artifact_id: str, start: int = 0
    ) -> tuple[Artifact, Generator[bytes, None, None]]:
        """One and its content."""
        key = _key(organization_id, artifact_id)
        # All parts but the last are full, so the one to begin with is known.
        part, skip = divmod(start, PART_BYTES)
        while True:
            kept = self._live(organization_id, artifact_id)
            names = kept.names(key)[part:]
            if not names:
                return kept.artifact, self._pieces(b"", (), 0)
            first = self.shelf.get(names[0])
            if first is not None:
                return kept.artifact, self._pieces(first, names[1:], skip)
            # Replaced or removed between the two reads, or else something removed its data.
            if self._kept(key) == kept:
                raise ArtifactNotFound("the artifact's content is gone")

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
        """Removes one."""
        return self._remove(_key(organization_id, artifact_id))

    def walk(self, organization_id: str | None = None) -> Iterator[Artifact]:
        """Every artifact."""
        yield from self._walk(organization_id, None)

    def find(self, artifact_id: str, organization_id: str | None = None) -> list[Artifact]:
        """Those of an id."""
        return list(self._walk(organization_id, artifact_id))

    def _walk(self, organization_id: str | None, artifact_id: str | None) -> Iterator[Artifact]:
        key = _key(organization_id or "", artifact_id or "")
        for match, _ in self._matches(None if organization_id is None else _folder(key)):
            if not match["meta"] or match["temporary"]:
                continue
            if artifact_id is not None and _file(match["key"]) != _file(key):
                continue
            with contextlib.suppress(_Unreadable):
                kept = self._kept(match["key"])
                if kept is not None:
                    yield kept.artifact

    def erase(self, organization_id: str, check: Callable[[], None] = _nothing) -> int:
        """Removes every file of an organization."""
        folder, gone = _folder(_key(organization_id, "")), 0
        names: list[str] = []
        for match, _ in self._matches(folder):
            names.append(match.string)
            if len(names) == ERASED_TOGETHER:
                check()
                self.shelf.remove(names)
                gone, names = gone + len(names), []
        self.shelf.remove(names)
        self.shelf.forget(folder)
        return gone + len(names)

    def expire(self, now_ms: int, limit: int = 1000, check: Callable[[], None] = _nothing) -> int:
        """Removes those whose time is over."""
        gone = 0
        for key, group in itertools.groupby(self._matches(), lambda found: found[0]["key"]):
            check()
            times = [int(match["expires"]) for match, _ in group if match["data"]]
            if times and min(times) <= now_ms:
                with contextlib.suppress(_Unreadable):
                    gone += self._remove(key, now_ms)
            if gone >= limit:
                break
        return gone

    def sweep(self, older_than: float = 86_400.0, check: Callable[[], None] = _nothing) -> int:
        """Removes what crashes left."""
        before = time.time() - older_than
        gone = 0
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
                # Also the named one may have been replaced since the listing: look now.
                with contextlib.suppress(_Unreadable):
                    kept = self._kept(key)
                    for data, names in versions.items():
                        if written[data] < before and (kept is None or kept.data != data):
                            stale += names
            if stale:
                self.shelf.remove(stale)
                gone += len(stale)
        return gone

    def _matches(self, folder: str | None = None) -> Iterator[tuple[re.Match[str], float]]:
        """Our files with the time of their last change; others may live in the same folder."""
        for entry in self.shelf.entries() if folder is None else self.shelf.entries(folder):
            match = NAME.fullmatch(entry.name)
            if match is not None:
                yield match, entry.modified

    def _remove(self, key: str, now_ms: int | None = None) -> bool:
        with self.shelf.lock(_folder(key)):
            kept = self._kept(key)
            if kept is None or (now_ms is not None and kept.artifact.expires_at > now_ms):
                return False
            self.shelf.remove([f"{key}.json"])
        self.shelf.remove(kept.names(key))
        return True

    def _live(self, organization_id: str, artifact_id: str) -> _Kept:
        kept = self._kept(_key(organization_id, artifact_id))
        if kept is None or (kept.artifact.organization_id, kept.artifact.id) != (
            organization_id,
            artifact_id,
        ):
            raise ArtifactNotFound("there is no such artifact")
        if kept.artifact.expires_at <= _now():
            raise ArtifactNotFound("the artifact has expired")
        return kept

    def _kept(self, key: str) -> _Kept | None:
        text = self.shelf.get(f"{key}.json")
        if text is None:
            return None
        try:
            raw = codec.loads(text)
            made = raw.get("made") or {}
            fields: dict[str, Any] = raw["artifact"] | {name: made.get(name) for name in _MAKER}
            artifact = Artifact(**fields)
            return _Kept(artifact, str(raw["data"]), int(raw["parts"]))
        except (ValueError, TypeError, KeyError):
            raise _Unreadable("an artifact's metadata cannot be read") from None


class _Unreadable(ArtifactsUnavailable):
    """Metadata of another version, or spoilt: nobody removes what it may stand for."""


def _key(organization_id: str, artifact_id: str) -> str:
    """What the names of one artifact's files begin with; nothing of it is anybody's text."""
    return "/".join(
        # What no UTF-8 can hold was never written; it must not be an error of its own.
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        for text in (organization_id, artifact_id)
    )


def _folder(key: str) -> str:
    return key.partition("/")[0]


def _file(key: str) -> str:
    return key.partition("/")[2]


def _now() -> int:
    return time.time_ns() // 1_000_000
