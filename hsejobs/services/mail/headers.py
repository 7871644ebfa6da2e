"""Encode header values so that none can inject a header.

Values are encoded here and stored unchanged instead of passing through
`email`'s own parser and folding: those read ``=?utf-8?q?...?=`` inside a value
as an encoded word, which may contain a line break, and some versions encode the
comma between two addresses or lose the quotes around one while folding.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from hsejobs.services.mail.address import Address

LINE = 76
"""The most characters of a folded line (RFC 5322 asks for 78 or fewer)."""

_WORD_BYTES = 42
"""UTF-8 bytes in one encoded word: 56 of base64 and 12 around them, below the
75 that RFC 2047 allows."""

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*")


def header_text(name: str, text: str) -> str:
    """Return ``text`` as the ASCII value of the header ``name``, folded."""
    if text.isascii() and "=?" not in text:
        folded = _fold(text, LINE - len(name) - 2)
        if folded is not None:
            return folded
    return _encoded_words(text)


def header_addresses(addresses: Iterable[Address]) -> str:
    """Return the value of an address header, one address per line.

    ASCII, except for local parts that are not.
    """
    return ",\r\n ".join(_mailbox(address) for address in addresses)


def _mailbox(address: Address) -> str:
    if not address.name:
        return address.spec
    return f"{_phrase(address.name)} <{address.spec}>"


def _phrase(name: str) -> str:
    if not name.isascii() or "=?" in name:
        return _encoded_words(name)
    if _ATOMS.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _encoded_words(text: str) -> str:
    chunks: list[bytes] = [b""]
    for character in text:
        piece = character.encode("utf-8")
        if len(chunks[-1]) + len(piece) > _WORD_BYTES:
            chunks.append(b"")
        chunks[-1] += piece
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(chunk).decode()}?=" for chunk in chunks)


def _fold(text: str, room: int) -> str | None:
    """Fold at single spaces; return None if that would change the text."""
    if len(text) <= room:
        return text
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if not word or len(word) > LINE // 2:
            return None
        if line and len(line) + 1 + len(word) > (LINE - 1 if lines else room):
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])
