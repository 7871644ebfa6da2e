"""Check the characters of header lines and bodies."""

from __future__ import annotations

import html
import re
import unicodedata

from hsejobs.errors import InvalidPayload

_NOT_IN_A_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_LONG_NUMBER = re.compile(r"&#([0-9]{9,}+)")


def check_line(field: str, text: str) -> str:
    """Return ``text`` if it is valid in one header line.

    Raises `InvalidPayload` naming ``field`` for CR, LF, NUL, any other control
    character, a line or paragraph separator, or a lone surrogate.
    """
    if not text.isprintable() and any(unicodedata.category(c) in _NOT_IN_A_LINE for c in text):
        raise InvalidPayload(field, "must not contain line breaks or other control characters")
    return text


def check_body(field: str, text: str) -> str:
    """Return ``text`` if it can be written as UTF-8.

    Raises `InvalidPayload` naming ``field`` for a lone surrogate.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidPayload(field, "is not valid Unicode (it has a lone surrogate)") from None
    return text


def unescape_html(text: str) -> str:
    """Return ``text`` with its character references replaced.

    Unlike `html.unescape` it accepts numbers of any length; Python's ``int`` refuses more
    than 4,300 digits.
    """
    if "&" not in text:
        return text
    # Nine digits replace longer numbers: neither is a character.
    shorter = _LONG_NUMBER.sub(lambda found: f"&#{found[1].lstrip('0')[:9] or '0'}", text)
    return html.unescape(shorter)
