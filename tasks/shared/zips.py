"""Write a zip file from front to back that a later process can continue.

``zipfile`` cannot: it keeps the state of the compressor and of the hash in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

#: The fastest level: it reduces rows of text to a fifth of their size, level 6 to a sixth.
_LEVEL = 1
_ZIP64_VERSION, _UNIX = 45, 3
_LIMIT = 0xFFFFFFFF


@dataclass(slots=True)
class _Member:
    """One file in the archive; ``start`` is where its compressed data begins."""

    name: str
    crc: int
    compressed: int
    bytes: int
    offset: int
    start: int


class ZipStream:
    """Writes members with deflate through *write*; the time of all members is ``date_time``."""

    def __init__(
        self, write: Callable[[bytes], Any], date_time: tuple[int, int, int, int, int, int]
    ) -> None:
        self._write, self._date_time = write, date_time
        self._at, self._seen = 0, 0
        self._members: list[_Member] = []
        self._member: _Member | None = None
        self._compress: Any = None
        self._expand: Any = None
        self._hash: Any = None

    def begin(self, name: str) -> None:
        """Begin a member. Its size is not known yet: it has no limit."""
        header = self._info(name).FileHeader(zip64=True)
        offset = self._at
        self._put(header)
        self._member = _Member(name, 0, 0, 0, offset, self._at)
        self._hash = hashlib.sha256()
        self._fresh()

    def write(self, data: bytes) -> None:
        """Append to the member."""
        member = self._current
        member.bytes += len(data)
        member.crc = zlib.crc32(data, member.crc)
        self._hash.update(data)
        self._put_compressed(self._compress.compress(data))

    def flush(self) -> None:
        """End a piece of the member: what follows does not depend on the compressor's state.

        The same pieces give the same bytes, in one process or in several.
        """
        self._put_compressed(self._compress.flush(zlib.Z_FULL_FLUSH))
        self._fresh()

    def end(self) -> tuple[int, str]:
        """End the member; return its size and its sha256, uncompressed."""
        member = self._current
        self._put_compressed(self._compress.flush())
        self._put(struct.pack("<LLQQ", 0x08074B50, member.crc, member.compressed, member.bytes))
        self._members.append(member)
        self._member = None
        return member.bytes, str(self._hash.hexdigest())

    def finish(self) -> None:
        """Write the directory."""
        start = self._at
        for member in self._members:
            self._put(self._entry(member))
        size, count = self._at - start, len(self._members)
        if max(start, size) > _LIMIT:
            end = self._at
            self._put(
                struct.pack(
                    "<LQHHLLQQQQ",
                    0x06064B50,
                    44,
                    _ZIP64_VERSION,
                    _ZIP64_VERSION,
                    0,
                    0,
                    count,
                    count,
                    size,
                    start,
                )
            )
            self._put(struct.pack("<LLQL", 0x07064B50, 0, end, 1))
        self._put(
            struct.pack(
                "<LHHHHLLH",
                0x06054B50,
                0,
                0,
                count,
                count,
                min(size, _LIMIT),
                min(start, _LIMIT),
                0,
            )
        )

    # -- continuing

    def state(self) -> dict[str, Any]:
        """Return what ``restore`` needs, just after ``flush``; JSON."""
        return {
            "members": [list(astuple(one)) for one in self._members],
            "member": list(astuple(self._current)),
            "at": self._at,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue in the middle of a member. Then pass all that was written to ``replay``."""
        self._members = [_Member(*one) for one in state["members"]]
        self._member, self._at, self._seen = _Member(*state["member"]), int(state["at"]), 0
        self._hash, self._expand = hashlib.sha256(), zlib.decompressobj(-zlib.MAX_WBITS)
        self._fresh()

    def replay(self, piece: bytes) -> None:
        """Take the next bytes that were written before: the hash of the member needs its text."""
        skip = max(0, self._current.start - self._seen)
        self._seen += len(piece)
        # A damaged piece: the artifact store compares the sha256 of all pieces.
        with contextlib.suppress(zlib.error):
            data = memoryview(piece)[skip:]
            while data:
                self._hash.update(self._expand.decompress(data, 1 << 20))
                data = memoryview(self._expand.unconsumed_tail)

    # -- parts

    @property
    def _current(self) -> _Member:
        if self._member is None:
            raise ValueError("no member was begun")
        return self._member

    def _fresh(self) -> None:
        self._compress = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)

    def _put(self, data: bytes) -> None:
        self._write(data)
        self._at += len(data)

    def _put_compressed(self, data: bytes) -> None:
        if data:
            self._current.compressed += len(data)
            self._put(data)

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._date_time)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.flag_bits = 0x08  # the sizes and the checksum follow the data
        return info

    def _entry(self, member: _Member) -> bytes:
        """Return the member's entry in the directory."""
        large = [member.bytes, member.compressed, member.offset]
        extra = b""
        if max(large) > _LIMIT:
            extra = struct.pack("<HHQQQ", 1, 24, *large)
            large = [_LIMIT] * 3
        year, month, day, hour, minute, second = self._date_time
        name = member.name.encode("ascii")
        return (
            struct.pack(
                "<LBBBBHHHHLLLHHHHHLL",
                0x02014B50,
                _ZIP64_VERSION,
                _UNIX,
                _ZIP64_VERSION,
                0,
                0x08,
                zipfile.ZIP_DEFLATED,
                hour << 11 | minute << 5 | second // 2,
                (year - 1980) << 9 | month << 5 | day,
                member.crc,
                large[1],
                large[0],
                len(name),
                len(extra),
                0,
                0,
                0,
                0o644 << 16,
                large[2],
            )
            + name
            + extra
        )
