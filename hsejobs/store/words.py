"""The words of a command: their encoding, and the key that says where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from hsejobs.store.scripts import Arg


def key_of(words: Sequence[Arg]) -> Arg:
    """The key that determines the Cluster node; a command without one may go to any node."""
    if words[0] in ("EVALSHA", "EVAL"):
        return words[3]
    if words[0] == "XREAD":
        return words[-2]
    return words[1] if len(words) > 1 else ""


class Tail(NamedTuple):
    """The last words of a command, encoded before the others are known."""

    words: Sequence[Arg]
    line: bytes


def tail(words: Sequence[Arg]) -> Tail:
    """Encodes the last words of a command."""
    return Tail(words, _without_count(packed(words)[0]))


def packed_with(words: Sequence[Arg], last: Tail) -> list[bytes]:
    """Encodes the first words of a command, and adds the others."""
    count = b"*%d\r\n" % (len(words) + len(last.words))
    return [b"".join((count, _without_count(packed(words)[0]), last.line))]


def _without_count(line: bytes) -> bytes:
    return line[line.index(b"\r\n") + 2 :]


def packed(words: Sequence[Arg]) -> list[bytes]:
    """Encodes a command with hiredis: redis-py's own packing handles every argument in Python."""
    return [_packer()(tuple(words))]


@cache
def _packer() -> Any:
    # Imported once, by the first command: producers that send none do not load it.
    from hiredis import pack_command

    return pack_command
