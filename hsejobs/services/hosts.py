"""International host names: one rule for mail domains, webhook endpoints and the mail server.

IDNA 2008 after the mapping of UTS 46, non-transitional, as browsers and registries have it:
``faß.example`` is ``xn--fa-hia.example``. Python's own codec is IDNA 2003, which makes
``fass.example`` of it, and that may be somebody else.
"""

from __future__ import annotations

from hsejobs.extras import importing

MAX_HOST = 253


def ascii_host(name: str) -> str:
    """Return ``name`` in lower-case ASCII, as DNS has it.

    A name that is ASCII already is only made lower-case: what DNS takes is the caller's to check.
    Raises ValueError for more than 253 characters and for what is no international name.
    """
    if len(name) > MAX_HOST:
        raise ValueError("the name is too long")
    if name.isascii():
        return name.lower()
    with importing():
        import idna

    # IDNAError is a UnicodeError, which is a ValueError.
    return idna.encode(name, uts46=True).decode("ascii").lower()
