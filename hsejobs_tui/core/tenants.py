"""What the Tenants screen shows: how organizations share a queue now, and shared it in a window of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hsejobs.control.history import Series
from hsejobs.model import State, iso_time
from hsejobs.store.minutes import Minute
from hsejobs.store.periods import By
from hsejobs.store.shares import QueueTenant
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.steady import Rank

#: Organizations that are read of each queue: the busiest.
MOST = 200
#: From which share of the jobs added in the window, or of those that wait, a tenant floods a queue; and
#: how many tenants there must be, as one of two always has a half.
FLOOD, OTHERS = 0.5, 3
#: Waiting jobs below which no one floods a queue.
_FEW = 10


@dataclass(slots=True)
class TenantRow:
    """One organization in the queues shown; None: all jobs of no organization.

    ``now``: how it stands in each queue. ``total``: its counters in the window; ``past``: by the ms of each
    step, what it added there, or where it added nothing what ended. The shares, 0 to 1, are those of the
    running time, of the jobs added, and of those waiting if the window ends now.
    """

    organization_id: str | None
    now: dict[str, QueueTenant] = field(default_factory=dict)
    total: Minute = field(default_factory=Minute)
    past: dict[int, int] = field(default_factory=dict)
    share: float = 0.0
    added_share: float = 0.0
    waiting_share: float = 0.0
    floods: bool = False

    @property
    def key(self) -> str:
        """The key of its row; no organization has an empty id."""
        return self.organization_id or ""

    def count(self, name: str) -> int:
        """Its jobs in a state now, such as ``waiting``, in all queues shown."""
        return sum(getattr(one, name) for one in self.now.values())

    @property
    def weight(self) -> str:
        """Its weight; ``1-5`` where it differs between queues."""
        weights = sorted({one.weight for one in self.now.values()}) or [1]
        return "-".join(map(str, dict.fromkeys((weights[0], weights[-1]))))

    @property
    def limit(self) -> str:
        """Its limits; ``-`` for none of its own."""
        limits = sorted({one.limit for one in self.now.values() if one.limit is not None})
        return "-".join(map(str, dict.fromkeys((limits[0], limits[-1])))) if limits else "-"

    @property
    def held(self) -> list[str]:
        """The queues in which it is held."""
        return [queue for queue, one in self.now.items() if one.paused]

    @property
    def free(self) -> list[str]:
        """The queues in which it is not held, of one that is held in others."""
        return [queue for queue, one in self.now.items() if not one.paused] if self.held else []

    @property
    def busiest(self) -> tuple[str, State] | None:
        """Where most of its jobs are: the queue, and the state to look at; None if it has none."""
        states = (State.WAITING, State.FAILED, State.ACTIVE, State.DELAYED)
        counts = [
            (getattr(one, state.value), -at, queue, state)
            for queue, one in self.now.items()
            for at, state in enumerate(states)
        ]
        best = max(counts, key=lambda one: one[:2], default=None)
        return (best[2], best[3]) if best and best[0] else None


@dataclass(slots=True)
class Tenancy:
    """All rows, in no order: see `rank`. ``start``, ``end`` and ``step`` of the window in ms."""

    rows: list[TenantRow]
    start: int
    end: int
    step: int
    #: Whether some queue has more organizations than were read.
    more: bool = False
    added: int = 0
    waiting: int = 0

    def past(self, row: TenantRow) -> list[int]:
        """The tenant's past, a value each step."""
        return [row.past.get(at, 0) for at in range(self.start, self.end, self.step)]


def read(source: LiveSource, queues: Sequence[str], start: int, end: int, *, live: bool) -> Tenancy:
    """Reads how organizations share these queues. ``live``: the window ends now.

    Raises Forbidden, Refused, RedisUnavailable.
    """
    found: dict[str | None, TenantRow] = {}
    more = False
    for queue in queues:
        page = source.tenants(queue, limit=MOST)
        more = more or page.next is not None
        for one in page.tenants:
            row = found.setdefault(one.organization_id, TenantRow(one.organization_id))
            row.now[queue] = one
    times: dict[str, Any] = {"start": iso_time(start), "end": iso_time(end)}
    past = source.history(queues, by=By.ORG.value, brief=True, marks=False, **times)
    _add_past(found, past.series)
    rows = list(found.values())
    made = Tenancy(rows, past.start, past.end, past.step, more)
    _share(made, live=live)
    return made


def _add_past(found: dict[str | None, TenantRow], series: Sequence[Series]) -> None:
    for one in series:
        row = found.setdefault(one.name or None, TenantRow(one.name or None))
        total = row.total
        for at, minute in one.points:
            total.added += minute.added
            total.completed += minute.completed
            total.failed += minute.failed
            total.run_us += minute.run_us
            row.past[at] = row.past.get(at, 0) + (minute.added or minute.ended)


def _share(made: Tenancy, *, live: bool) -> None:
    """Sets the shares, and who floods."""
    rows = made.rows
    run_us = sum(one.total.run_us for one in rows)
    made.added = sum(one.total.added for one in rows)
    # What waits now tells nothing of a window in the past.
    made.waiting = sum(one.count("waiting") for one in rows) if live else 0
    for one in rows:
        one.share = one.total.run_us / run_us if run_us else 0.0
        one.added_share = one.total.added / made.added if made.added else 0.0
        one.waiting_share = one.count("waiting") / made.waiting if made.waiting else 0.0
        waits = one.waiting_share >= FLOOD and made.waiting >= _FEW
        added = one.added_share >= FLOOD and made.added >= _FEW
        one.floods = one.organization_id is not None and len(rows) >= OTHERS and (waits or added)


def rank(row: TenantRow) -> Rank:
    """The busiest first, by the largest of the shares."""
    load = max(row.share, row.added_share, row.waiting_share)
    return Rank((), (load,), (-row.count("active"), row.key))
