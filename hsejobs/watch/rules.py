"""The alert rules: what each measures, and its limit. They read nothing: the caller has the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from hsejobs.model import iso_time
from hsejobs.wording import counted, jobs_wait, verb

# The TUI's first frame needs the rules, and not all that their watch reads and writes.
if TYPE_CHECKING:
    from hsejobs.settings import Settings
    from hsejobs.store.alerts import Unrunnable
    from hsejobs.store.read import QueueStats
    from hsejobs.store.read_live import Server

#: The share of its limit at which an alert is calm.
CALM_AT = 0.8
#: Ended jobs in 5 minutes, without cancelled ones, below which the share of failures is ignored.
LEAST_FINISHED = 5
#: Tasks that one message names.
SHOWN_TASKS = 3
#: Share of its memory that Redis may use, in percent.
MEMORY_PERCENT = 85
_DAY_MS = 86_400_000


class Reading(NamedTuple):
    """A rule's value for a queue at one time; the alert turns on above ``limit``."""

    rule: str
    queue: str | None
    value: float
    limit: float
    message: str


class Limits(NamedTuple):
    """The limits for queues from the settings ``JOBS_ALERT_*``; a rule without a limit is disabled."""

    waiting: int | None = 100
    failed_percent: int | None = 10
    stalled_ms: int | None = 30_000
    no_worker_ms: int | None = 30_000
    oldest_ms: int | None = 600_000

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(
            settings.alert_waiting,
            settings.alert_failed_percent,
            settings.alert_stalled_ms,
            settings.alert_no_worker_ms,
            settings.alert_oldest_ms,
        )


def readings(one: QueueStats, stalled: int, limits: Limits) -> Iterator[Reading]:
    """The readings of the enabled rules for a queue. ``stalled``: jobs stalled for too long."""
    if limits.waiting is not None:
        yield Reading("waiting", one.name, one.waiting, limits.waiting, jobs_wait(one.waiting))
    if limits.failed_percent is not None:
        last = one.window()
        share = 100 * last.failure_ratio if last.judged >= LEAST_FINISHED else 0.0
        text = f"{share:.0f} % of the jobs that ended in 5 minutes failed"
        yield Reading("failures", one.name, round(share, 1), limits.failed_percent, text)
    if limits.stalled_ms is not None:
        text = f"{counted(stalled, 'job')} stalled and no worker takes {verb(stalled, 'it', 'them')} over"
        yield Reading("stalled", one.name, stalled, 0, text)
    if limits.no_worker_ms is not None:
        alone = one.consumers == 0 and not one.is_paused
        text = f"{jobs_wait(one.waiting if alone else 0)} and there is no worker"
        missing, since = _without_worker(one) if alone else (0, "")
        yield Reading("no_worker", one.name, missing, limits.no_worker_ms, text + since)
    if limits.oldest_ms is not None:
        # Not for queues without workers, which have their own alert, or paused ones.
        worked = one.consumers > 0 and not one.is_paused
        oldest = one.oldest_waiting or 0 if worked else 0
        text = f"a job has waited for {counted(oldest // 60_000, 'minute')}"
        yield Reading("oldest", one.name, oldest, limits.oldest_ms, text)
    refused = one.window().refused
    adds = f"{counted(refused, 'add')} {verb(refused, 'was', 'were')} refused in 5 minutes"
    text = f"{adds}: an organization has reached its quota"
    yield Reading("backlog_full", one.name, refused, 0, text)


def _without_worker(one: QueueStats) -> tuple[int, str]:
    """For how many ms jobs have waited while no worker lived, and since when none does, in words.

    How old the jobs are does not tell: a backlog waits also while workers come back.
    """
    waited = one.oldest_waiting or 0
    if one.alone_since is None:
        return waited, ""
    since = iso_time(one.alone_since) or ""
    day = f"{since[:10]} " if one.now - one.alone_since > _DAY_MS else ""
    return min(waited, max(0, one.now - one.alone_since)), f", since {day}{since[11:16]} UTC"


def unrunnable(one: QueueStats, found: Unrunnable, limit_ms: int) -> Iterator[Reading]:
    """The readings of the rules about jobs that no consumer runs."""
    them = verb(len(found.unknown), "it", "them")
    text = f"jobs wait for {_named(found.unknown)}, and no living consumer has {them}"
    yield Reading("unknown_task", one.name, _waited(one, found.unknown), limit_ms, text)
    text = (
        f"jobs of {_named(found.sealed)} wait for a consumer with the key that sealed their secrets:"
        " JOBS_SECRET_KEY of those that took them does not have it"
    )
    yield Reading("sealed", one.name, _waited(one, found.sealed), limit_ms, text)


def _named(tasks: Mapping[str, int]) -> str:
    shown = ", ".join(sorted(tasks)[:SHOWN_TASKS])
    more = len(tasks) - SHOWN_TASKS
    also = f" and {more} more" if more > 0 else ""
    return f"{verb(len(tasks), 'the task', 'the tasks')} {shown}{also}"


def _waited(one: QueueStats, tasks: Mapping[str, int]) -> int:
    return max((one.now - at for at in tasks.values() if at < one.now), default=0)


def share_text(share: float) -> str:
    """A share in percent; how often it is more than tenfold tells nothing."""
    return f"{share:.0f} %" if share < 1000 else "over 999 %"


def server_readings(server: Server) -> Iterator[Reading]:
    """The readings of the rules about Redis' own settings; their queue is ''."""
    evicts = server.policy not in ("", "noeviction")
    policy = f"Redis may evict jobs: maxmemory-policy is {server.policy}"
    yield Reading("eviction", "", float(evicts), 0, policy)
    share = 100 * server.used_memory / server.maxmemory if server.maxmemory else 0.0
    full = f"Redis uses {share_text(share)} of its memory"
    if share >= 100 and not evicts:
        full += ": it refuses new jobs"
    yield Reading("memory", "", round(share, 1), MEMORY_PERCENT, full)
