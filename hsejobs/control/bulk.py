"""Acts on the jobs that match a filter: found once, at the moment of the question, with their versions.

What is added or changes after that stays as it is and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hsejobs.control import views
from hsejobs.control.act_table import ACTS
from hsejobs.control.acts import Acts
from hsejobs.control.filters import Filter, moment, parse
from hsejobs.control.progress import Progress, why
from hsejobs.control.search import Search
from hsejobs.errors import InvalidOption
from hsejobs.model import State
from hsejobs.store.pages import BRIEF
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo
from hsejobs.store.write import Seen

#: The acts on jobs that match, and the states that the jobs may be in.
STATES = {name: ACTS[name].states for name in ("retry", "promote", "remove", "cancel")}


@dataclass(slots=True)
class Matched:
    """The jobs that an act is bound to: ids and versions, in the order of their lists."""

    act: str
    queue: str
    where: str
    jobs: list[Seen] = field(default_factory=list)


def check_status(act: str, status: str | None) -> tuple[State, ...]:
    """The states to search for the act: the one that the status means, or all. Raises InvalidOption."""
    allowed = STATES[act]
    if status is None:
        return allowed
    state = views.state_of(status)
    if state not in allowed:
        words = " or ".join(one.value for one in allowed)
        raise InvalidOption("status", f"must be {words} for {act}")
    return (state,)


def parse_where(where: str, now: int | None = None) -> Filter:
    """The filter of an act. Raises InvalidOption also for one without terms.

    An empty filter is an empty variable in somebody's script, not a wish to remove every job.
    """
    wanted = parse(where, now)
    if not wanted.terms:
        problem = "must have a term, such as error~timeout; until=0s matches every job"
        raise InvalidOption("where", problem)
    return wanted


def match(
    acts: Acts, reader: JobReader, info: QueueInfo, act: str, status: str | None, where: str
) -> Matched:
    """Finds the jobs in a state (None: in every state that the act allows) that match, as of now.

    Only jobs that the actor may act on are found: a member's own. Raises InvalidOption, Forbidden.
    """
    acts.check(act)
    owner = acts.actor.owner
    # Jobs that are added while the lists are read do not belong to the question.
    now = reader.now(info.name)
    search = Search(
        info.name,
        check_status(act, status),
        parse_where(where, now),
        acts.actor,
        info,
        acts.org,
        errors=BRIEF,
        if_paused=status == "paused",
    )
    found = Matched(act, info.name, where)
    for step in search.steps(reader):
        found.jobs += [
            (job.id, job.version)
            for job in step.jobs
            if moment(job) <= now and owner in (None, job.user_id)
        ]
    return found


def carry_out(
    acts: Acts,
    found: Matched,
    *,
    reason: str | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Acts on the jobs found, in steps; yields the same Progress each time. See ``Acts.many``."""
    if not found.jobs:
        yield Progress(found.act, found.queue, 0)
        return
    yield from acts.many(found.act, found.queue, found.jobs, stop, reason=reason, where=found.where)


def report(found: Matched, progress: Progress | None) -> dict[str, Any]:
    """The object that the HTTP shim and ``--json`` return; ``progress`` None: nothing was done."""
    refused = progress.refusals if progress else []
    return {
        "matched": len(found.jobs),
        "done": progress.done if progress else 0,
        "refused": [{"jobId": one.id, "why": why(one)} for one in refused],
    }
