"""Why an alert is on and what helps, as every door says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hsejobs.store.crowds import FLOOD, Crowd
from hsejobs.store.holds import HeldTask
from hsejobs.store.read import QueueStats
from hsejobs.wording import counted, verb

#: What helps, by rule, if nothing is known that tells more. A door that has keys adds them in the braces.
TODO: dict[str, str] = {
    "waiting": "add workers, or see what they run{workers}",
    "failures": "see the shared errors{failures}",
    "stalled": "{their} worker died or hung: see the workers{workers}",
    "no_worker": "start one: hsejobs worker {queue}",
    "unknown_task": "start consumers of the release that has it",
    "sealed": "add that key to JOBS_SECRET_KEY of the consumers",
    "oldest": "add workers, or see what they run{workers}",
    "backlog_full": "add workers, or raise the quota (TENANT_BACKLOG)",
    "eviction": "set maxmemory-policy noeviction",
    "memory": "clean completed and failed jobs{clean}, or raise maxmemory",
}
#: The names in the braces that a door may fill.
KEYS = ("workers", "failures", "clean", "pause", "hold", "tenant", "tenants")
#: The rules that are on because jobs wait.
WAITING = frozenset(("waiting", "oldest", "backlog_full"))
#: The share of the longest wait from which a held job is what waits longest.
LONGEST = 0.9
#: ms after which a consumer without heartbeats does not count as alive.
DEAD = 30_000
#: The most characters of a name.
NAME = 40


class Advice(NamedTuple):
    """Why, '' if nothing is known, and what to do. ``held``: what is held explains it, not few workers."""

    cause: str
    todo: str
    held: bool = False


def asleep(workers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there are living consumers among the heartbeats, and none of them claims jobs."""
    alive = [one for one in workers if int(str(one.get("heartbeatAge", 0))) <= DEAD]
    return bool(alive) and all(one.get("state", "running") != "running" for one in alive)


def advise(
    rule: str,
    stats: QueueStats | None = None,
    crowd: Crowd | None = None,
    *,
    quiet: bool = False,
    count: int = 1,
    keys: Mapping[str, str] | None = None,
) -> Advice:
    """Why an alert of this rule is on, and what helps.

    ``crowd``: whose jobs wait; ``quiet``: all consumers are; ``count``: the jobs that the alert is about;
    ``keys``: the keys of a door, by what they do.
    """
    found = Advice("", TODO.get(rule, ""))
    if stats is not None and rule in WAITING:
        found = _of_waiting(rule, stats, crowd or Crowd(), quiet=quiet) or found
    shown = {name: (keys or {}).get(name, "") for name in KEYS}
    queue = stats.name if stats is not None else ""
    todo = found.todo.format(queue=queue, their=verb(count, "its", "their"), **shown)
    return found._replace(todo=todo)


def _of_waiting(rule: str, stats: QueueStats, crowd: Crowd, *, quiet: bool) -> Advice | None:
    """What helps where jobs wait for another reason than few workers; None if nothing tells."""
    if stats.is_paused:
        return Advice("the queue is paused", "resume it{pause}", held=True)
    aside = sum(one.aside for one in stats.held_tasks)
    texts = [tasks_text(stats.held_tasks) if aside else "", held_text(crowd)]
    held = aside + crowd.held_jobs > FLOOD * stats.waiting
    if rule == "oldest":
        longest = LONGEST * (stats.oldest_waiting or 0)
        held = held or max(crowd.held_ms, crowd.aside_ms) >= longest > 0
    if not held:
        texts.append(flood_text(crowd))
    cause = "; ".join(text for text in texts if text)
    if held:
        many = len(stats.held_tasks if aside else ()) + len(crowd.held if crowd.held_jobs else ())
        key = "{hold}" if aside else "{tenant}" if many == 1 else "{tenants}"
        return Advice(cause, f"let {verb(many, 'it', 'them')} go{key}", held=True)
    if quiet:
        why = "all workers are quiet"
        return Advice(f"{why}; {cause}" if cause else why, "wake one{workers}")
    if crowd.floods and rule != "backlog_full":
        return Advice(cause, "hold{hold} or limit it{tenants}, or add workers")
    return Advice(cause, TODO[rule]) if cause else None


def tasks_text(held: Sequence[HeldTask]) -> str:
    """``the task send is held by ann, 12 jobs of it wait``; '' for none."""
    if not held:
        return ""
    jobs = sum(one.aside for one in held)
    of = f", {_jobs(jobs, len(held))}" if jobs else ""
    if len(held) > 1:
        return f"{len(held)} tasks are held{of}"
    by = f" by {held[0].who[:NAME]}" if held[0].who else ""
    return f"the task {held[0].task.rpartition('.')[2][:NAME]} is held{by}{of}"


def held_text(crowd: Crowd, age: str = "") -> str:
    """``org-7 is held by ann 12m, 12 jobs of it wait``; '' if none is held. ``age``: for how long."""
    if not crowd.held:
        return ""
    of = f", {_jobs(crowd.held_jobs, len(crowd.held))}" if crowd.held_jobs else ""
    if len(crowd.held) > 1:
        return f"{len(crowd.held)}{'+' if crowd.more else ''} organizations are held{of}"
    by = f" by {crowd.held[0].who[:NAME]}" if crowd.held[0].who else ""
    return f"{crowd.held[0].name[:NAME]} is held{by}{age and f' {age}'}{of}"


def _jobs(jobs: int, of: int) -> str:
    return f"{counted(jobs, 'job')} of {verb(of, 'it', 'them')} {verb(jobs, 'waits', 'wait')}"


def flood_text(crowd: Crowd) -> str:
    """``org-7 has 99 % of what waits``; '' if no one floods."""
    if not crowd.floods or not crowd.waiting:
        return ""
    share = 100 * crowd.top_jobs / crowd.waiting
    return f"{(crowd.top or '')[:NAME]} has {share:.0f} % of what waits"
