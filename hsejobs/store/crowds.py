"""Whose jobs wait in a queue: the organization that has most of them, and those that are held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hsejobs.model import whole_number
from hsejobs.store import keys, scripts
from hsejobs.store.client import PATIENCE, RedisClient

#: Places of the line and waiting jobs at each that are looked at; organizations that one call goes
#: through, and held ones that are kept.
PLACES, LOOKED_AT, STEP, MOST_HELD = 5, 20, 500, 100
#: From which share of what waits one organization floods a queue, and jobs below which no one does.
FLOOD, FEW = 0.5, 10


class HeldTenant(NamedTuple):
    """An organization that is held in a queue, and its waiting jobs. ``since`` in Redis ms, 0 if not known;
    ``who`` held it, '' if not known, and in what one organization sees.
    """

    name: str
    jobs: int
    since: int = 0
    who: str = ""


class Crowd(NamedTuple):
    """What waits in a queue, and of whom. ``top``: who has most of it, if it is more than a half.

    ``held``: the organizations that are held in the queue, those with most waiting jobs first; ``more``:
    there may be others. ``held_ms`` and ``aside_ms``: how long the longest waiting job of a held
    organization, and of a held task, has waited; 0 if none waits.
    """

    waiting: int = 0
    top: str | None = None
    top_jobs: int = 0
    held: tuple[HeldTenant, ...] = ()
    more: bool = False
    held_ms: int = 0
    aside_ms: int = 0

    @property
    def held_jobs(self) -> int:
        """The waiting jobs of the held organizations."""
        return sum(one.jobs for one in self.held)

    @property
    def floods(self) -> bool:
        """Whether one organization that may run has most of what waits."""
        return self.top is not None and self.top not in [one.name for one in self.held]


class Crowds:
    """Reads whose jobs wait, in calls of limited size. Methods raise RedisUnavailable.

    Each call goes through some of a queue's organizations, the next one through others; those that were
    found held are looked at each time. With ``organization_id``, only that one is looked at.
    """

    def __init__(
        self, client: RedisClient, prefix: str, organization_id: str | None = None
    ) -> None:
        self.redis, self.prefix, self.organization_id = client, prefix, organization_id
        self._held: dict[str, list[str]] = {}
        self._cursors: dict[str, str] = {}

    def read(
        self, queues: Sequence[str], *, whole: bool = False, patience: float = PATIENCE
    ) -> dict[str, Crowd]:
        """What waits in each queue, by name, in one round trip.

        ``whole``: goes through all organizations, in as many round trips as that takes.
        """
        found: dict[str, Crowd] = {}
        left = list(queues)
        if whole:
            self._cursors.clear()
        while left:
            calls = [(scripts.CROWD, keys.base(self.prefix, one), self._args(one)) for one in left]
            replies = self.redis.run_many(calls, patience=patience)
            for queue, reply in zip(left, replies, strict=True):
                found[queue] = self._note(queue, reply)
            left = [one for one in left if whole and self._cursors[one] != "0"]
        return found

    def _args(self, queue: str) -> tuple[scripts.Arg, ...]:
        if self.organization_id is not None:
            # Who else has jobs there is not shown.
            return 0, 1, "0", 0, 1, self.organization_id
        cursor, known = self._cursors.get(queue, "0"), self._held.get(queue, ())
        return PLACES, LOOKED_AT, cursor, STEP, MOST_HELD, *known

    def _note(self, queue: str, reply: Sequence[Any]) -> Crowd:
        waiting, top, top_jobs, aside, cursor, *rows = reply
        held = []
        for raw, jobs, _, by in zip(*(iter(rows),) * 4, strict=True):
            since, _, who = by.decode("utf-8", "replace").partition(" ")
            who = who if self.organization_id is None else ""
            held.append(
                HeldTenant(raw.decode("utf-8", "replace"), jobs, whole_number(since) or 0, who)
            )
        self._cursors[queue] = cursor.decode()
        self._held[queue] = [one.name for one in held]
        if self.organization_id is not None:
            waiting = aside = 0
        name = top.decode("utf-8", "replace") or None
        if waiting < FEW or top_jobs <= FLOOD * waiting:
            name, top_jobs = None, 0
        return Crowd(
            waiting,
            name,
            top_jobs,
            tuple(sorted(held, key=lambda one: (-one.jobs, one.name))),
            len(held) >= MOST_HELD,
            max([0, *rows[2::4]]),
            max(0, aside),
        )
