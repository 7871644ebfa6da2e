"""Counters that all shims share, so that each of them can tell the whole."""

from __future__ import annotations

from collections.abc import Mapping

from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.scripts import Arg

#: Seconds after which counters that nobody adds to are forgotten.
KEPT = 30 * 86_400


class Tallies:
    """The counters of HTTP. Both methods raise RedisUnavailable."""

    def __init__(self, link: RedisClient, prefix: str) -> None:
        self.link, self.base = link, keys.http(prefix)

    def add(self, reporter: str, number: int, counts: Mapping[str, int]) -> None:
        """Adds a report; the same ``number`` of a ``reporter`` again adds nothing."""
        args: list[Arg] = [reporter, number, KEPT]
        for field, by in counts.items():
            args += (field, by)
        self.link.run(scripts.TALLY, self.base, args, patience=1.0)

    def all(self) -> dict[str, int]:
        """Every counter."""
        flat = self.link.command("HGETALL", keys.of(self.base, "tally"))
        return {name.decode(): int(n) for name, n in zip(flat[::2], flat[1::2], strict=True)}
