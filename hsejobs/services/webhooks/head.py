"""Remove invalid header fields from the head of a response.

The endpoint's status counts, whatever else it sends: h11 rejects a whole response for one field
whose name is not ASCII (``X-Größe: a`` in latin-1) or that contains a NUL. Such fields are
removed before h11 sees them; none of them is used.
"""

from __future__ import annotations

import re

#: The most bytes of a head; a longer one is passed on unchanged, and h11 rejects it.
MAX_HEAD = 64 * 1024
_END = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]++:")
#: 100 to 199 are interim responses, except 101, which is final.
_INTERIM = re.compile(rb"HTTP/1\.[0-9] 1(?!01)[0-9]{2}\b")


class HeadFilter:
    """Filters the bytes of one response as they arrive."""

    def __init__(self) -> None:
        self._buffer = b""
        self._past = False

    def feed(self, data: bytes) -> bytes:
        """Return the bytes to pass on; empty ``data`` (end of stream) flushes the buffer."""
        if self._past:
            return data
        # The end of the head may be split between two chunks.
        looked = max(0, len(self._buffer) - 3)
        self._buffer += data
        ready = b""
        while (end := _END.search(self._buffer, looked)) is not None:
            head, self._buffer, looked = self._buffer[: end.end()], self._buffer[end.end() :], 0
            ready += _clean(head)
            if _INTERIM.match(head) is None:
                self._past = True
                break
        if self._past or not data or len(self._buffer) > MAX_HEAD:
            self._past = True
            ready, self._buffer = ready + self._buffer, b""
        return ready


def _clean(head: bytes) -> bytes:
    first, *lines = head.split(b"\n")
    kept, keeping = [first], True
    for line in lines:
        # A line that begins with a space continues the previous one.
        if not line.startswith((b" ", b"\t")):
            keeping = not line.strip(b"\r") or _NAME.match(line) is not None
        keeping = keeping and b"\0" not in line
        if keeping:
            kept.append(line)
    return b"\n".join(kept)
