"""Counters that all shims share, so that each can report the totals."""

from __future__ import annotations

from collections.abc import Mapping

from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.scripts import Arg

#: Seconds after which unused counters expire.
KEPT = 30 * 86_400


class Tallies:
    """The counters of HTTP. Both methods raise RedisUnavailable."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis, self.base = client, keys.http(prefix)

    def add(self, reporter: str, number: int, counts: Mapping[str, int]) -> None:
        """Adds a report; a repeated ``number`` of the same ``reporter`` adds nothing."""
        args: list[Arg] = [reporter, number, KEPT]
        for field, by in counts.items():
            args += (field, by)
        self.redis.run(scripts.TALLY, self.base, args, patience=1.0)

    def all(self) -> dict[str, int]:
        flat = self.redis.command("HGETALL", keys.of(self.base, "tally"))
        return {name.decode(): int(n) for name, n in zip(flat[::2], flat[1::2], strict=True)}
