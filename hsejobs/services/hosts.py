"""International host names: one rule for mail domains, webhook endpoints and the mail server.

IDNA 2008 after the mapping of UTS 46, non-transitional, as in browsers and registries:
``faß.example`` is ``xn--fa-hia.example``. Python's own codec is IDNA 2003, which maps it to
``fass.example``, and that domain may have another owner.
"""

from __future__ import annotations

from hsejobs.extras import importing

MAX_HOST = 253


def ascii_host(name: str) -> str:
    """Return ``name`` in lower-case ASCII, the form that DNS uses.

    An ASCII name is only converted to lower case: the caller must check that DNS accepts it.
    Raises ValueError for more than 253 characters and for an invalid international name.
    """
    if len(name) > MAX_HOST:
        raise ValueError("the name is too long")
    if name.isascii():
        return name.lower()
    with importing():
        import idna

    # IDNAError is a UnicodeError, which is a ValueError.
    return idna.encode(name, uts46=True).decode("ascii").lower()
