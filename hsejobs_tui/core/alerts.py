"""What is wrong now, by the rules of ``hsejobs.watch.alerts``, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Snapshot
from hsejobs.watch.alerts import CALM_AT, Limits, Reading, readings, server_readings
from hsejobs.wording import jobs_wait, verb

#: Rules that cannot wait until the morning, and the share of failures from which that is so.
CRITICAL = ("no_worker", "eviction", "memory")
CRITICAL_PERCENT = 50

_TODO = {
    "waiting": "more workers, or look at what they run (3)",
    "failures": "2 shows the errors they share",
    "stalled": "{their} worker died or hung: look at the workers (3)",
    "no_worker": "start one: hsejobs worker {queue}",
    "oldest": "more workers, or look at what they run (3)",
    "eviction": "set maxmemory-policy noeviction",
    "memory": "clean completed jobs (c), or raise maxmemory",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """Something wrong. ``level``: critical, warning, note or over; ``since`` and ``ended`` in ms."""

    level: str
    rule: str
    queue: str
    what: str
    todo: str
    since: int | None = None
    ended: int | None = None


#: The levels, the worst first, with their signals.
STYLES = {"critical": "bold fail", "warning": "warn", "note": "note", "over": "dim"}
LEVELS = tuple(STYLES)


def active_alerts(seen: Snapshot, limits: Limits) -> list[Alert]:
    """What is wrong at this moment, the worst first.

    An alert that the watching process keeps tells since when; the rules are
    looked at here as well, so that none is needed and none is late.
    """
    found: list[Alert] = []
    for stats in seen.queues:
        own = [
            _alert(reading, seen)
            for reading in readings(stats, seen.stalled.get(stats.name, 0), limits)
        ]
        on = [one for one in own if one is not None]
        rules = {one.rule for one in on}
        # That jobs wait is no news where it is said why.
        found += [one for one in on if one.rule != "waiting" or not rules & {"no_worker", "oldest"}]
        if stats.is_paused and stats.waiting:
            found = [one for one in found if (one.rule, one.queue) != ("waiting", stats.name)]
            found.append(
                Alert(
                    "note",
                    "paused",
                    stats.name,
                    f"paused, {jobs_wait(stats.waiting)}",
                    "P resumes it",
                )
            )
    if seen.server is not None:
        about = [_alert(one, seen) for one in server_readings(seen.server)]
        found += [one for one in about if one is not None]
    return sorted(found, key=lambda one: (LEVELS.index(one.level), one.queue))


def ended(seen: Snapshot) -> list[Alert]:
    """The alerts that went off in the last day, the newest first."""
    over = [one for one in seen.alerts.values() if one["state"] == "off"]
    return [
        Alert(
            "over",
            one["rule"],
            one["queue"] or "",
            one["message"],
            "",
            one["sinceMs"],
            one["endedMs"],
        )
        for one in sorted(over, key=lambda one: -one["endedMs"])
    ]


def _alert(reading: Reading, seen: Snapshot) -> Alert | None:
    known = seen.alerts.get((reading.rule, reading.queue or ""))
    kept = known is not None and known["state"] == "on"
    if reading.value <= reading.limit * (CALM_AT if kept else 1):
        return None
    grave = reading.rule in CRITICAL
    grave = grave or (reading.rule == "failures" and reading.value >= CRITICAL_PERCENT)
    return Alert(
        "critical" if grave else "warning",
        reading.rule,
        reading.queue or "redis",
        reading.message,
        _TODO[reading.rule].format(
            queue=reading.queue, their=verb(int(reading.value), "its", "their")
        ),
        known["sinceMs"] if known is not None and kept else None,
    )


def worst(found: list[Alert], stats: QueueStats) -> str:
    """The level of a queue's worst trouble, '' when it has none."""
    return next((one.level for one in found if one.queue == stats.name), "")
