"""What the first screen tells before there was any job, and the sample job that it offers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hsejobs.control import making, schema
from hsejobs.errors import JobsError
from hsejobs.model import ROLES
from hsejobs.store import totals
from hsejobs.store.keys import DEAD_MS
from hsejobs.store.read_live import Snapshot
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs_tui.core.source import LiveSource

#: Words of tasks that take something away: no sample should.
_TAKES_AWAY = re.compile(r"clean|remov|delet|eras|purg|drop|expir|prun", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sample:
    """A job that the session may add: a real task of a queue, with a payload that its schema accepts."""

    info: QueueInfo
    task: TaskInfo
    payload: dict[str, Any]

    @property
    def warning(self) -> str:
        """What to think of before it is added."""
        if self.info.outbound:
            return "Its task calls servers outside: check the payload first."
        return "Its task really runs, with this payload."


def had_jobs(source: LiveSource, seen: Snapshot) -> bool:
    """Whether there was a job before, in the last 30 days. Raises RedisUnavailable."""
    if source.org is not None:
        # The sums are those of all organizations.
        return False
    names = [one.name for one in seen.queues]
    found = totals.read(source.redis, source.options.prefix, names) if names else []
    return any(one.counters.added or one.counters.ended for one in found)


def sample_of(infos: Mapping[str, QueueInfo], role: str = "operator") -> Sample | None:
    """The most harmless job there is: of a task that calls no server, takes nothing away, and needs least.

    Only required fields are set, so that no task writes to an address that its schema merely allows.
    """
    found: list[tuple[tuple[Any, ...], Sample]] = []
    for info in infos.values():
        needs = info.enqueue if info.enqueue in ROLES else "operator"
        if ROLES.index(role) < ROLES.index(needs):
            continue
        scheduled = {one.task for one in info.schedules}
        for task in info.tasks:
            made = None if task.name in scheduled else _payload(info, task)
            if made is None:
                continue
            removes = bool(_TAKES_AWAY.search(f"{info.name} {task.name}"))
            order = (info.outbound, removes, len(made), info.name, task.name)
            found.append((order, Sample(info, task, made)))
    return min(found, key=lambda one: one[0])[1] if found else None


def _payload(info: QueueInfo, task: TaskInfo) -> dict[str, Any] | None:
    """A payload that the task's schema accepts; None if none is found."""
    made = schema.sample(task.schema or {})
    if not isinstance(made, dict):
        return None
    try:
        making.make(making.described(info, task), made)
    except JobsError:
        return None
    return made


def workers_text(seen: Snapshot) -> tuple[str, bool]:
    """Which consumers live, and whether any does."""
    live = [
        f"{queue} on {one.get('host')}"
        for queue, found in sorted(seen.workers.items())
        for one in found
        if one.get("heartbeatAge", 0) <= DEAD_MS
    ]
    if not live:
        return "none lives: jobs wait until you start one with `hsejobs worker`", False
    more = f" and {len(live) - 4} more" if len(live) > 4 else ""
    return f"{len(live)} live: {', '.join(live[:4])}{more}", True
