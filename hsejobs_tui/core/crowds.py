"""Whose jobs wait in a queue: the organization that has most of them, and those that are held."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from hsejobs.model import State
from hsejobs.store import keys
from hsejobs.store.client import RedisClient
from hsejobs.store.read_live import PATIENCE
from hsejobs.store.shares import settings_of
from hsejobs.wording import counted, verb
from hsejobs_tui.core.text import safe

#: Places of the line and waiting jobs at each that are looked at, and held organizations that are counted.
PLACES, LOOKED_AT, MOST_HELD = 5, 20, 20
#: From which share of what waits one organization floods a queue, and jobs below which no one does.
FLOOD, FEW = 0.5, 10


class Crowd(NamedTuple):
    """What waits in a queue, and of whom. ``top``: who has most of it, if it is more than a half.

    ``held``: the organizations that are held in the queue, with their waiting jobs, most first.
    """

    waiting: int
    top: str | None = None
    top_jobs: int = 0
    held: tuple[tuple[str, int], ...] = ()

    @property
    def held_jobs(self) -> int:
        return sum(jobs for _, jobs in self.held)

    @property
    def is_held(self) -> bool:
        """Whether most of what waits is of organizations that are held: more workers do not help."""
        return self.held_jobs > FLOOD * self.waiting

    @property
    def floods(self) -> bool:
        """Whether one organization that may run has most of what waits."""
        return self.top is not None and self.top not in dict(self.held)

    @property
    def held_text(self) -> str:
        """``org-7 is held, 12 jobs of it wait``; '' for none."""
        if not self.held_jobs:
            return ""
        jobs = counted(self.held_jobs, "job")
        if len(self.held) > 1:
            waits = verb(self.held_jobs, "waits", "wait")
            return f"{len(self.held)} organizations are held, {jobs} of them {waits}"
        return f"{safe(self.held[0][0], 40)} is held, {jobs} of it {verb(self.held_jobs, 'waits', 'wait')}"

    @property
    def flood_text(self) -> str:
        """``org-7 has 99 % of what waits``; '' if no one floods."""
        if not self.floods or not self.waiting:
            return ""
        share = 100 * self.top_jobs / self.waiting
        return f"{safe(self.top or '', 40)} has {share:.0f} % of what waits"


def read(redis: RedisClient, prefix: str, queue: str, waiting: int) -> Crowd | None:
    """Whose jobs wait; None if none does. ``waiting``: about how many do. Raises RedisUnavailable.

    Looks at some places of the line, not at every organization: there may be thousands.
    """
    base = keys.base(prefix, queue)
    line = keys.index(base, State.WAITING)
    calls: list[tuple[None, tuple[str | int, ...]]] = [
        (None, ("ZCARD", line)),
        (None, ("HGETALL", keys.of(base, "tenants"))),
    ]
    for place in range(PLACES):
        at = max(0, waiting - LOOKED_AT) * place // (PLACES - 1)
        calls.append((None, ("ZRANGE", line, at, at + LOOKED_AT - 1)))
    waiting, settings, *places = redis.batch(calls, patience=PATIENCE)
    if not waiting:
        return None
    ids = dict.fromkeys(one for found in places for one in found)
    owners = Counter(
        owner.decode("utf-8", "replace")
        for owner in redis.batch(
            [(None, ("HGET", keys.of(base, "job", one.decode()), "o")) for one in ids],
            patience=PATIENCE,
        )
        if owner
    )
    pairs = zip(settings[::2], settings[1::2], strict=False)
    # A tenant's settings: its weight, its limit, and whether it is held.
    held = [name.decode("utf-8", "replace") for name, text in pairs if settings_of(text)[2]]
    del held[MOST_HELD:]
    top = owners.most_common(1)[0][0] if waiting >= FEW and len(owners) > 0 else None
    names = list(dict.fromkeys([*held, *([top] if top else [])]))
    counts = (
        redis.batch(
            [(None, ("ZCARD", keys.index(base, State.WAITING, one))) for one in names],
            patience=PATIENCE,
        )
        if names
        else []
    )
    of = dict(zip(names, counts, strict=True))
    kept = sorted(((one, of[one]) for one in held if of[one]), key=lambda one: -one[1])
    if top is not None and of[top] <= FLOOD * waiting:
        top = None
    return Crowd(waiting, top, of[top] if top else 0, tuple(kept))
