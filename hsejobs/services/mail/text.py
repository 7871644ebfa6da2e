"""What text may stand in a header line, and what in a body."""

from __future__ import annotations

import unicodedata

from hsejobs.errors import InvalidPayload

_NOT_IN_A_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_line(field: str, text: str) -> str:
    """Return ``text`` if it may stand in one header line.

    Raises `InvalidPayload` naming ``field`` for CR, LF, NUL, any other control
    character, a line or paragraph separator, or half a surrogate pair.
    """
    if not text.isprintable() and any(unicodedata.category(c) in _NOT_IN_A_LINE for c in text):
        raise InvalidPayload(field, "has a line break or another control character")
    return text


def check_body(field: str, text: str) -> str:
    """Return ``text`` if it can be written as UTF-8.

    Raises `InvalidPayload` naming ``field`` for half a surrogate pair.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidPayload(field, "is not valid Unicode (half a surrogate pair)") from None
    return text
