"""What the menu finds beside commands: queues, tenants, jobs and errors, by name."""

from __future__ import annotations

from dataclasses import dataclass

from hsejobs.errors import InvalidJobId
from hsejobs.model import JobRecord, State, check_job_id
from hsejobs.store.read import QueueStats
from hsejobs_tui.core import failures
from hsejobs_tui.core.command import MOVES, Command
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.view import kind_of

#: Organizations of a queue, and groups of errors, that the menu knows.
TENANTS, ERRORS = 100, 100
#: The shortest text that is looked up as a job's id.
SHORTEST_ID = 4


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization, and the queue in which it has most jobs that wait, run or failed."""

    name: str
    queue: str
    state: State
    jobs: int


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """A group of errors of the last hour, as the failures screen lists it."""

    key: str
    queue: str
    kind: str
    text: str
    count: int


def rank(command: Command) -> int:
    """The place of a command in the menu: acts, then what opens something, then cursor moves."""
    if command.id in MOVES:
        return 0
    return 2 if command.writes else 1


def tenants(source: LiveSource) -> list[Tenant]:
    """The busiest organizations of each queue; none in a session of one. Raises RedisUnavailable."""
    best: dict[str, Tenant] = {}
    for queue in list(source.infos) if source.org is None else ():
        for one in source.tenants(queue, limit=TENANTS).tenants:
            if one.organization_id is None:
                continue
            counts = {
                State.FAILED: one.failed,
                State.WAITING: one.waiting,
                State.ACTIVE: one.active,
                State.DELAYED: one.delayed,
            }
            state = max(counts, key=lambda which: counts[which])
            found = Tenant(one.organization_id, queue, state, sum(counts.values()))
            known = best.get(found.name)
            if known is None or found.jobs > known.jobs:
                best[found.name] = found
    return sorted(best.values(), key=lambda one: (-one.jobs, one.name))


def errors(source: LiveSource, bounds: tuple[int, int]) -> list[ErrorGroup]:
    """The groups of errors of the window, the most frequent first. Raises RedisUnavailable."""
    past = failures.read_past(source, bounds)
    found = []
    for (queue, code, text), trend in (past.trends if past is not None else {}).items():
        kind = kind_of({"code": code, "error": text})
        if trend.count:
            found.append(ErrorGroup(f"{queue}\0{kind}\0{text}", queue, kind, text, trend.count))
    return sorted(found, key=lambda one: -one.count)[:ERRORS]


def jobs(source: LiveSource, text: str) -> list[JobRecord]:
    """The jobs with this id, in any queue. Raises RedisUnavailable."""
    try:
        wanted = check_job_id(text.strip(), internal=True)
    except InvalidJobId:
        return []
    if len(wanted) < SHORTEST_ID:
        return []
    return [job for queue in list(source.infos) for job in source.jobs(queue, [wanted]) if job]


def first_state(stats: QueueStats | None) -> State:
    """The state in which a queue opens: failed jobs first, otherwise the next state that has jobs."""
    order = (State.FAILED, State.WAITING, State.ACTIVE, State.DELAYED, State.COMPLETED)
    if stats is None:
        return State.WAITING
    return next((one for one in order if getattr(stats, one.value)), State.WAITING)
