"""Write the data of an artifact, part by part, and continue what an earlier process saved."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hsejobs.errors import ArtifactsUnavailable
from hsejobs.services.artifacts import Artifact, SavedWrite
from hsejobs.services.artifacts.shelf import Shelf

PART_BYTES = 8 * 1024 * 1024
_DATA = re.compile(r"[0-9]{15}\.[0-9a-f]{16}")


class ShelfWriter(io.RawIOBase):
    """Writes an artifact, one part at a time."""

    def __init__(self, shelf: Shelf, key: str, expires_at: int) -> None:
        super().__init__()
        self.artifact: Artifact | None = None
        self.resumed = False
        self.parts = 0
        self.size = 0
        self.data = f"{expires_at:015d}.{secrets.token_hex(8)}"
        self._shelf, self._key = shelf, key
        #: How many parts a saved state needs, and the data that earlier attempts left.
        self._saved = 0
        self._before: list[tuple[str, int]] = []
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

    def save(self) -> SavedWrite:
        """Store what was written so far; see ``ArtifactWriter``."""
        digest = self._hash.copy()
        if self._buffer:
            # The complete part replaces it later: what a saved state needs stays the same.
            self._shelf.put(self._name(self.data, self.parts), bytes(self._buffer))
            digest.update(self._buffer)
        self._saved = self.parts + bool(self._buffer)
        return {
            "data": self.data,
            "bytes": self.size + len(self._buffer),
            "sha256": digest.hexdigest(),
            "before": self._before,
        }

    def resume(self, saved: SavedWrite, replay: Callable[[bytes], None]) -> None:
        """Begin with a copy of what an earlier writer saved; empty if that is damaged or gone.

        A copy, because a process that was only thought dead may still write to the original.
        """
        data, left = str(saved["data"]), int(saved["bytes"])
        self._before = [(str(name), int(parts)) for name, parts in saved["before"]]
        self._before.append((data, left // PART_BYTES + 1))
        for number in itertools.count():
            if not left:
                break
            part = self._shelf.get(self._name(data, number)) if _DATA.fullmatch(data) else None
            part = (part or b"")[:left]
            if len(part) < min(left, PART_BYTES):
                break
            self.write(part)
            replay(part)
            left -= len(part)
        digest = self._hash.copy()
        digest.update(self._buffer)
        self.resumed = not left and digest.hexdigest() == saved["sha256"]
        if not self.resumed:
            self.undo()
            self.parts = self.size = 0
            self._buffer.clear()
            self._hash = hashlib.sha256()

    def written(self) -> Iterator[bytes]:
        """Yield what was written so far, one part at a time. Raises ArtifactsUnavailable."""
        for number in range(self.parts):
            part = self._shelf.get(self._name(self.data, number))
            if part is None:
                raise ArtifactsUnavailable("a file that is being written lost one of its parts")
            yield part
        yield bytes(self._buffer)

    def undo(self) -> None:
        """Remove the parts that no saved state needs; a sweep finds those that cannot be removed now."""
        self._remove(self._name(self.data, part) for part in range(self._saved, self.parts + 1))

    def forget(self, *, also_written: bool = False) -> None:
        """Remove what earlier attempts left and, with ``also_written``, what this writer wrote."""
        left = [*self._before, *([(self.data, self.parts + 1)] if also_written else [])]
        self._remove(self._name(data, part) for data, parts in left for part in range(parts))

    def _remove(self, names: Iterable[str]) -> None:
        listed = list(names)
        if listed:
            with contextlib.suppress(ArtifactsUnavailable):
                self._shelf.remove(listed)

    def _name(self, data: str, part: int) -> str:
        return f"{self._key}.{data}.{part:06d}"

    def _put(self) -> None:
        part = bytes(self._buffer)
        self._buffer.clear()
        self._shelf.put(self._name(self.data, self.parts), part)
        self._hash.update(part)
        self.size += len(part)
        self.parts += 1
