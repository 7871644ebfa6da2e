"""Keep the rows that a job has read, so that its next attempt need not read them again.

For files that cannot be continued in the middle, such as workbooks: the next attempt writes the file
from the start, with the rows that were kept.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError, to_json

from hsejobs import codec
from hsejobs.errors import ArtifactsUnavailable
from tasks.shared.saving import Checkpoint, Saver
from tasks.shared.streams import write_behind

if TYPE_CHECKING:
    from hsejobs.services.artifacts import ArtifactWriter

#: The length of a batch, before its compressed JSON: the name of its list, and the rows.
_LENGTH = struct.Struct("<I")

Batch = Sequence[Any]
Open = Callable[..., AbstractContextManager["ArtifactWriter"]]


class KeptRows:
    """The rows of several lists, read one list after the other; JSON values only."""

    def __init__(self) -> None:
        """Keep nothing; see ``kept_rows``."""
        #: Where to continue reading; None: at the beginning.
        self.position: dict[str, Any] | None = None
        self._found: Iterator[tuple[str, Batch]] = iter(())
        self._next: tuple[str, Batch] | None = None

    def earlier(self, name: str) -> Iterator[Batch]:
        """Yield the rows of a list that an earlier attempt read; call it for each list, in order."""
        while self._next is not None and self._next[0] == name:
            yield self._next[1]
            self._next = next(self._found, None)

    def add(self, name: str, rows: Batch, border: bool, position: Callable[[], Any]) -> None:
        """Keep rows that were read; ``border``: ``position`` is a place to continue from."""


class _Writing(KeptRows):
    def __init__(
        self,
        out: ArtifactWriter,
        put: Callable[[Callable[[], None]], None],
        saver: Saver,
        position: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self._out, self._put, self._saver = out, put, saver
        if out.resumed:
            self.position = position
            self._found = _batches(out.written())
            self._next = next(self._found, None)

    def add(self, name: str, rows: Batch, border: bool, position: Callable[[], Any]) -> None:
        self._put(partial(self._write, _encode(name, rows)))
        if border:
            self._put(partial(self._save, position()))
        self._saver.pass_on()

    def _write(self, text: bytes) -> None:
        packed = zlib.compress(text, 1)
        self._out.write(_LENGTH.pack(len(packed)) + packed)

    def _save(self, position: dict[str, Any]) -> None:
        self._saver.save(lambda: {"position": position, "rows": self._out.save()})


@contextlib.contextmanager
def kept_rows(
    open_scratch: Open | None, resume: dict[str, Any] | None, checkpoint: Checkpoint | None
) -> Iterator[KeptRows]:
    """Yield the rows that an earlier attempt kept, if ``resume`` is what it passed to ``checkpoint``.

    Keeps nothing without ``open_scratch`` and ``checkpoint``.
    """
    if open_scratch is None or (checkpoint is None and resume is None):
        yield KeptRows()
        return
    more = {} if resume is None else {"resume": resume["rows"]}
    with open_scratch(**more) as out, write_behind(_run) as put:
        yield _Writing(out, put, Saver(checkpoint), resume and resume["position"])


def _run(act: Callable[[], None]) -> None:
    act()


def _encode(name: str, rows: Batch) -> bytes:
    listed = [row if isinstance(row, dict) else tuple(row) for row in rows]
    try:
        return to_json([name, listed])
    except (PydanticSerializationError, UnicodeEncodeError):
        # A lone surrogate, which a database may contain, is not valid UTF-8.
        return codec.dumps([name, listed])


def _batches(pieces: Iterator[bytes]) -> Iterator[tuple[str, Batch]]:
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
            if len(buffer) < end:
                break
            name, rows = codec.loads(zlib.decompress(buffer[_LENGTH.size : end]))
            del buffer[:end]
            yield name, rows
    if buffer:
        raise ArtifactsUnavailable("the rows that an earlier attempt kept cannot be read")
