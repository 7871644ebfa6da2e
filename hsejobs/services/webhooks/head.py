"""The head of an answer without the lines that are no header fields.

A receiver's status counts, whatever else it sends: h11 refuses an answer for one field whose
name is not ASCII (``X-Größe: a`` in latin-1), or that holds a NUL. Those are left out here,
before h11 sees them; nothing of them was wanted.
"""

from __future__ import annotations

import re

#: Bytes of a head; what is longer goes on as it is, and h11 refuses it.
MAX_HEAD = 64 * 1024
_END = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]++:")
#: 100 to 199 come before the answer; 101 is one.
_INTERIM = re.compile(rb"HTTP/1\.[0-9] 1(?!01)[0-9]{2}\b")


class HeadFilter:
    """Takes an answer's bytes as they come, gives back those that go on."""

    def __init__(self) -> None:
        self._held = b""
        self._past = False

    def feed(self, data: bytes) -> bytes:
        """What goes on now; ``data`` empty: the peer has closed, and all that is held goes on."""
        if self._past:
            return data
        # The end may lie across two pieces.
        looked = max(0, len(self._held) - 3)
        self._held += data
        ready = b""
        while (end := _END.search(self._held, looked)) is not None:
            head, self._held, looked = self._held[: end.end()], self._held[end.end() :], 0
            ready += _clean(head)
            if _INTERIM.match(head) is None:
                self._past = True
                break
        if self._past or not data or len(self._held) > MAX_HEAD:
            self._past = True
            ready, self._held = ready + self._held, b""
        return ready


def _clean(head: bytes) -> bytes:
    first, *lines = head.split(b"\n")
    kept, keeping = [first], True
    for line in lines:
        # A line that begins with a space goes on with the one before it.
        if not line.startswith((b" ", b"\t")):
            keeping = not line.strip(b"\r") or _NAME.match(line) is not None
        keeping = keeping and b"\0" not in line
        if keeping:
            kept.append(line)
    return b"\n".join(kept)
