"""What text may stand in a header line, and what in a body."""

from __future__ import annotations

import html
import re
import unicodedata

from hsejobs.errors import InvalidPayload

_NOT_IN_A_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_LONG_NUMBER = re.compile(r"&#([0-9]{9,}+)")


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


def unescape_html(text: str) -> str:
    """Return ``text`` with its character references replaced.

    Unlike `html.unescape` it takes numbers of any length, which Python's ``int`` refuses
    above 4,300 digits.
    """
    if "&" not in text:
        return text
    # Nine digits stand for all that are longer: there is no such character either.
    shorter = _LONG_NUMBER.sub(lambda found: f"&#{found[1].lstrip('0')[:9] or '0'}", text)
    return html.unescape(shorter)
