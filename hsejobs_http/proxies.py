"""Finds the caller's address, also behind reverse proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """The trusted reverse proxies (``JOBS_TRUSTED_PROXIES``: addresses and networks)."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(one) for one in networks]
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def _trusts(self, address: str) -> bool:
        """Returns whether the address is a trusted proxy's."""
        found = _address(address)
        return found is not None and any(
            found in network for network in self._networks if network.version == found.version
        )

    def client(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Returns the caller's address: the peer's, or the last one that a trusted proxy was called from.

        From right to left, each trusted proxy names the address it was called from; entries before the
        first other address can be forged.
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


@lru_cache(maxsize=1024)
def _plain(peer: str | None) -> str | None:
    address = None if peer is None else _address(peer)
    return peer if address is None else str(address)


def _address(text: str) -> Address | None:
    """Parses an address; IPv4 addresses that are mapped to IPv6 become IPv4. None if it is invalid."""
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
