"""Parse, check and mask one mail address."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from hsejobs.errors import InvalidPayload
from hsejobs.masking import MASK
from hsejobs.services.hosts import MAX_HOST, ascii_host
from hsejobs.services.mail.text import check_line

MAX_LOCAL_BYTES = 64
MAX_ADDRESS_BYTES = 254
MAX_NAME_CHARS = 200
MAX_TEXT_CHARS = 1000
"""The longest address with a name in which every character is escaped."""

_ASCII = r"A-Za-z0-9!#$%&'*+\-/=?^_`{|}~"
_ATEXT = rf"[{_ASCII}\u0080-\U0010ffff]"
_LOCAL = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
#: Most addresses: short, of ASCII, without a name. What is before the @ needs no more checks.
_PLAIN = re.compile(rf"([{_ASCII}]+(?:\.[{_ASCII}]+)*)@([A-Za-z0-9.-]{{1,100}})")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MASKABLE_DOMAIN = re.compile(r"[\w.-]{1,253}")
_ANY_ADDRESS = re.compile(r"[^\s<>\"'(),;:@]{1,100}@[^\s<>\"'(),;:@]{1,255}")


class Address(NamedTuple):
    """A checked address. ``domain`` is lower-case ASCII (IDNA)."""

    name: str
    local: str
    domain: str

    @property
    def spec(self) -> str:
        """``local@domain``, the form that SMTP uses."""
        return f"{self.local}@{self.domain}"


def parse_address(text: str, field: str) -> Address:
    """Parse ``user@example.com`` or ``A Name <user@example.com>``.

    Accepts exactly one address, not a list. Raises `InvalidPayload` naming
    ``field``; the message never repeats the text.
    """
    plain = plain_address(text)
    if plain is not None:
        return plain
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidPayload(field, f"is longer than {MAX_TEXT_CHARS} characters")
    text = check_line(field, text).strip(" ")
    name, spec = _split(text, field)
    local, at, domain = spec.rpartition("@")
    if not at:
        raise InvalidPayload(field, "is not a mail address: it has no @")
    # NFC composes at most three characters into one, and is quadratic in the marks on one letter.
    if len(local) <= 3 * MAX_LOCAL_BYTES:
        local = unicodedata.normalize("NFC", local)
    if not _LOCAL.fullmatch(local) or not local.isprintable() or " " in local:
        raise InvalidPayload(field, "is not one mail address: the part before the @ is malformed")
    if len(local.encode()) > MAX_LOCAL_BYTES:
        raise InvalidPayload(field, f"has more than {MAX_LOCAL_BYTES} bytes before the @")
    try:
        address = Address(name, local, ascii_domain(domain))
    except ValueError:
        problem = "is not a mail address: the part after the @ is not a domain"
        raise InvalidPayload(field, problem) from None
    if len(address.spec.encode()) > MAX_ADDRESS_BYTES:
        raise InvalidPayload(field, f"is longer than {MAX_ADDRESS_BYTES} bytes")
    return address


def plain_address(text: str) -> Address | None:
    """Parse an address as most are: short, of ASCII, without a name or a space. None for all others."""
    found = _PLAIN.fullmatch(text)
    if found is None or len(found[1]) > MAX_LOCAL_BYTES:
        return None
    try:
        return Address("", found[1], ascii_domain(found[2]))
    except ValueError:
        return None


def split_addresses(text: str) -> list[str]:
    """Return the addresses in ``a@x.com, "Doe, Ann" <b@x.com>``, not checked yet.

    They are parted by commas or semicolons outside of quotes and angle brackets, and only
    behind an ``@``: ``Doe, Ann <b@x.com>`` is one. Never raises; one look at each character.
    """
    if "," not in text and ";" not in text:
        return [text.strip(" ")] if text.strip(" ") else []
    found: list[str] = []
    start, quoted, angled, named, escaped = 0, False, False, False, False
    for place, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped = character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character in "<>":
            angled = character == "<"
        elif character == "@":
            named = True
        elif character in ",;" and named and not angled:
            found.append(text[start:place])
            start, named = place + 1, False
    found.append(text[start:])
    return [one for one in (part.strip(" ,;") for part in found) if one]


def with_name(name: str, spec: str) -> str:
    """Return ``"name" <spec>``, which `parse_address` reads as both; without a name ``spec``."""
    if not name.strip(" "):
        return spec
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{spec}>'


@lru_cache(maxsize=1024)
def ascii_domain(domain: str) -> str:
    """Return ``domain`` in lower-case ASCII, by `ascii_host`.

    Raises ValueError for anything that is not a host name, IP addresses
    included.
    """
    ascii_form = ascii_host(domain)
    labels = ascii_form.split(".")
    if len(ascii_form) > MAX_HOST or labels[-1].isdigit():
        raise ValueError("not a domain")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("not a domain")
    return ascii_form


def mask_address(address: object) -> str:
    """Return ``u***@example.com`` for ``user@example.com``.

    Accepts any value and never raises: returns ``***`` if there is no address.
    A name next to the address is left out.
    """
    if not isinstance(address, str):
        return MASK
    text = address.strip()
    if text.endswith(">"):
        text = text[:-1].rpartition("<")[2]
    local, at, domain = text.rpartition("@")
    if not at:
        return MASK
    first = local[:1] if local[:1].isalnum() else ""
    return f"{first}{MASK}@{domain if _MASKABLE_DOMAIN.fullmatch(domain) else MASK}"


def mask_addresses_in(text: str) -> str:
    """Return ``text`` with everything in it that looks like an address masked."""
    return _ANY_ADDRESS.sub(lambda match: mask_address(match.group()), text)


def _split(text: str, field: str) -> tuple[str, str]:
    if not text.endswith(">"):
        return "", text
    name, bracket, spec = text[:-1].rpartition("<")
    name = name.strip(" ")
    if not bracket:
        raise InvalidPayload(field, "is not a mail address: the < before the address is missing")
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1]).strip(" ")
    elif set(name) & set('@<>"'):
        # "a@x.com, B <b@x.com>" would silently lose its first recipient.
        raise InvalidPayload(field, "must be one mail address; pass several as a list")
    if len(name) > MAX_NAME_CHARS:
        raise InvalidPayload(field, f"has a name of more than {MAX_NAME_CHARS} characters")
    return re.sub(" +", " ", name), spec
