"""Who is at the other end of a connection, also where a proxy of ours stands between."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """The proxies that are believed (``JOBS_TRUSTED_PROXIES``: addresses and networks)."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(one) for one in networks]
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def _trusts(self, address: str) -> bool:
        """Whether it is one of them."""
        found = _address(address)
        return found is not None and any(
            found in network for network in self._networks if network.version == found.version
        )

    def client(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The caller's address: the connection's, or the last that a proxy of ours was called by.

        From right to left each proxy names whom it was called by; what stands before the first
        that is not ours anybody may have written.
        """
        found = _plain(peer)
        if not self._networks or found is None or not self.trusts(found):
            return found
        hops = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        for hop in reversed(hops.decode("latin-1").split(",")):
            address = _address(_without_port(hop.strip()))
            if address is None:
                break
            found = str(address)
            if not self.trusts(found):
                break
        return found


def _plain(peer: str | None) -> str | None:
    address = None if peer is None else _address(peer)
    return peer if address is None else str(address)


def _address(text: str) -> Address | None:
    """The address, an IPv4 one also where a socket for both kinds wrote it as IPv6."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return found if mapped is None else mapped


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, colon, port = hop.partition(":")
    return host if colon and port.isdigit() else hop
