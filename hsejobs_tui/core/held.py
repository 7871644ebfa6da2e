"""Circuits and the delayed jobs that each holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hsejobs.store.circuits import Circuit
from hsejobs.store.read_live import Snapshot
from hsejobs_tui.core.source import LiveSource, circuit_of
from hsejobs_tui.core.steady import Rank

#: Delayed jobs of a queue whose reasons are read, those that are due first.
READ = 1_000
#: The states of circuits, those in trouble first.
STATES = ("open", "half-open", "closed")


@dataclass(slots=True)
class Held:
    """What a circuit holds: its jobs by queue. ``more``: a queue has more delayed jobs than were read."""

    queues: Counter[str] = field(default_factory=Counter)
    more: bool = False

    @property
    def count(self) -> int:
        """All jobs."""
        return self.queues.total()

    @property
    def text(self) -> str:
        """The number of jobs, ``1,000+`` if there may be more."""
        return f"{self.count:,}{'+' if self.more and self.count else ''}"


@dataclass(slots=True)
class Circuited:
    """The circuits, and what each holds, by name."""

    circuits: list[Circuit] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)


def read(source: LiveSource, seen: Snapshot) -> Circuited:
    """The circuits, in no order (see `rank`), and what each holds. Raises RedisUnavailable.

    A member does not see the names of circuits, so nor what they hold.
    """
    circuits = source.circuits()
    found = Circuited(circuits, {one.name: Held() for one in circuits})
    # A circuit that was closed still holds its jobs until they are due.
    if circuits and source.actor.role != "member":
        for queue in [one for one in seen.queues if one.delayed]:
            _count(source, queue.name, found)
    return found


def rank(one: Circuit, held: Held) -> Rank:
    """Those in trouble first, and among them those that hold most jobs."""
    return Rank((STATES.index(one.state),), (float(held.count),), (one.name,))


def _count(source: LiveSource, queue: str, found: Circuited) -> None:
    """Adds the delayed jobs of a queue to the circuits that they wait for."""
    reasons, more = source.postponed(queue, READ)
    for reason in reasons:
        if (name := circuit_of(reason, found.held)) is not None:
            held = found.held[name]
            held.queues[queue] += 1
            held.more = held.more or more
