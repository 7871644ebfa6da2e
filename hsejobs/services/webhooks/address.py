"""Parse a webhook's URL strictly, and decide which addresses may be called.

URLs are parsed here only; the connection is made from the parts, so that no second parser can
find a different host in the URL.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote

from hsejobs.errors import InvalidPayload
from hsejobs.services.hosts import MAX_HOST, ascii_host

MAX_URL = 2000
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[^\]]*\]|[^/?#:\[\]]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][^#]*)?(?:#.*)?",
    re.IGNORECASE | re.ASCII,
)
#: Characters that a host never contains; percent-encoding would hide the rest.
_BAD = re.compile(r"[\s\\@\x00-\x20\x7f]")
#: Characters that a URL must not contain as they are.
_UNENCODED = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
#: A last label that browsers and ``inet_aton`` read as a number: ``0x7f.1``, ``2130706433``.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_KEPT = "".join(chr(code) for code in range(0x21, 0x7F))

_V4 = ipaddress.IPv4Network
_V6 = ipaddress.IPv6Network
_REFUSED_V4 = (
    _V4("192.0.0.0/24"),  # protocol assignments; `is_global` is true for some of them
    _V4("192.88.99.0/24"),  # 6to4 relays
    _V4("168.63.129.16/32"),  # Azure's platform services, reachable from every machine there
)
_UNICAST_V6 = _V6("2000::/3")
_REFUSED_V6 = (_V6("2001::/23"), _V6("2001:db8::/32"), _V6("3fff::/20"))
_NAT64 = _V6("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The parts of a URL: the host in lower-case ASCII without brackets, path and query as sent."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def literal(self) -> Address | None:
        """The host as an IP address; None if it is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def place(self) -> str:
        """``host:port``, IPv6 addresses in brackets: part of a circuit's name."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_url(url: str) -> Endpoint:
    """Parse an http(s) URL. Raises InvalidPayload for ``url``, which never repeats the URL."""
    if len(url) > MAX_URL:
        raise InvalidPayload("url", f"has more than {MAX_URL} characters")
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidPayload("url", "must be http://host/path or https://host/path")
    if _BAD.search(match["host"]):
        raise InvalidPayload(
            "url", "the host must be a name or an address, without user and password"
        )
    if _UNENCODED.search(url):
        raise InvalidPayload(
            "url", "must not contain spaces or control characters: percent-encode them"
        )
    scheme = match["scheme"].lower()
    port = int(match["port"] or (443 if scheme == "https" else 80))
    if not 1 <= port <= 65535:
        raise InvalidPayload("url", "the port must be 1 to 65535")
    path = quote(match["target"] or "/", safe=_KEPT)
    return Endpoint(scheme, _host(match["host"]), port, path if path[0] == "/" else f"/{path}")


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            address = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            raise InvalidPayload("url", "the host in brackets is not an IPv6 address") from None
        if address.scope_id:
            raise InvalidPayload("url", "the address must not have a zone")
        return str(address)
    try:
        host = ascii_host(text.removesuffix(".")).removesuffix(".")
    except ValueError:
        raise InvalidPayload("url", "the host is not a valid host name") from None
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise InvalidPayload(
                "url", "an IPv4 address must be four decimal numbers, as in 192.0.2.1"
            ) from None
    if len(host) > MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidPayload("url", "the host is not a valid host name")
    return host


def check_reachable(target: Endpoint) -> None:
    """Raise InvalidPayload for ``url`` if its host is an address that is not public.

    ``localhost`` counts as such an address. Other names are resolved at the call.
    """
    literal = target.literal
    local = target.host == "localhost" or target.host.endswith(".localhost")
    if local or (literal is not None and not is_public(literal)):
        raise InvalidPayload(
            "url", "the host must be a public address, which the internet can reach"
        )


def is_public(address: Address) -> bool:
    """Return whether it is a global unicast address, also for an embedded IPv4 address.

    Stricter than ``ipaddress.is_global``, which is true for NAT64, 6to4, site-local and
    multicast addresses that lead elsewhere.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded_ipv4(address)
        if inner is not None:
            return is_public(inner)
        return (
            address in _UNICAST_V6
            and address.is_global
            and not address.scope_id
            and not any(address in network for network in _REFUSED_V6)
        )
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _REFUSED_V4)
    )


def _embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address embedded in a v4-mapped, NAT64 or 6to4 address.

    Teredo (2001::/32), local NAT64 (64:ff9b:1::/48) and v4-compatible addresses are always refused.
    """
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
