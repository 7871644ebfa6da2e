"""Circuits and the delayed jobs that each holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hsejobs.model import State
from hsejobs.store import keys
from hsejobs.store.circuits import Circuit
from hsejobs.store.read_live import PATIENCE, Snapshot
from hsejobs.wording import counted
from hsejobs_tui.core.alerts import Alert
from hsejobs_tui.core.source import LiveSource

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
    """The circuits in the order of trouble, and what each holds, by name."""

    circuits: list[Circuit] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)


def read(source: LiveSource, seen: Snapshot) -> Circuited:
    """The circuits, those that hold most jobs first among the open ones. Raises RedisUnavailable.

    A member does not see the names of circuits, so nor what they hold.
    """
    circuits = source.circuits()
    found = Circuited(circuits, {one.name: Held() for one in circuits})
    if any(one.state != "closed" for one in circuits) and source.actor.role != "member":
        for queue in [one for one in seen.queues if one.delayed]:
            _count(source, queue.name, found)
    found.circuits = sorted(
        circuits,
        key=lambda one: (STATES.index(one.state), -found.held[one.name].count, one.name),
    )
    return found


def _count(source: LiveSource, queue: str, found: Circuited) -> None:
    """Adds the delayed jobs of a queue to the circuits that they wait for."""
    base = keys.base(source.options.prefix, queue)
    index = keys.index(base, State.DELAYED, source.org)
    rows = source.redis.command("ZRANGE", index, 0, READ, "WITHSCORES", patience=PATIENCE)
    ids, scores = rows[: 2 * READ : 2], rows[1 : 2 * READ : 2]
    reasons = (
        source.redis.batch(
            [(None, ("HGET", keys.of(base, "job", one.decode()), "wy")) for one in ids],
            patience=PATIENCE,
        )
        if ids
        else []
    )
    for score, reason in zip(scores, reasons, strict=True):
        at, _, rest = (reason or b"").decode("utf-8", "replace").partition(" ")
        code, _, about = rest.partition(" ")
        # A reason holds until the time that it names; a long name is cut off in it.
        if code == "circuit_open" and about and at == str(int(float(score))):
            for one in found.circuits:
                if one.name == about or (len(rest.encode()) >= 48 and one.name.startswith(about)):
                    held = found.held[one.name]
                    held.queues[queue] += 1
                    held.more = held.more or len(rows) > 2 * READ
                    break


def alerts(found: Circuited) -> list[Alert]:
    """An alert for each circuit that is not closed, or is held open by a person."""
    made = []
    for one in found.circuits:
        if one.state == "closed":
            continue
        held = found.held.get(one.name, Held())
        queue = held.queues.most_common(1)[0][0] if held.queues else ""
        how = "held open by a person" if one.manual else one.state
        what = f"circuit of {one.host} is {how}"
        if held.count:
            what += f" and holds {held.text} {'job' if held.count == 1 else 'jobs'}"
        todo = "c closes it (6)" if one.manual else "see its last error (6)"
        level = "warning" if held.count or one.manual else "note"
        made.append(
            Alert(level, "circuit", queue or one.host, what, todo, one.since, value=held.count)
        )
    return made


def mark(found: Circuited, queue: str) -> str:
    """What a queue's line says of the circuits that hold its jobs: ``178 held by 1 circuit``; or ''."""
    holding = {name: held for name, held in found.held.items() if held.queues[queue]}
    count = sum(held.queues[queue] for held in holding.values())
    more = any(held.more for held in holding.values())
    if not count:
        return ""
    return f"{count:,}{'+' * more} held by {counted(len(holding), 'circuit')}"
