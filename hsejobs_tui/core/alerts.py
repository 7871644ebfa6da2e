"""Active alerts by the rules of ``hsejobs.watch.alerts``, and what to do about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Snapshot
from hsejobs.watch.alerts import CALM_AT, Limits, Reading, readings, server_readings
from hsejobs.wording import jobs_wait, verb

#: Rules that need action at any hour, and the failure percentage from which failures do.
CRITICAL = ("no_worker", "unknown_task", "sealed", "eviction", "memory")
CRITICAL_PERCENT = 50

_TODO = {
    "waiting": "add workers, or see what they run (3)",
    "failures": "see the shared errors (2)",
    "stalled": "{their} worker died or hung: see the workers (3)",
    "no_worker": "start one: hsejobs worker {queue}",
    "unknown_task": "start consumers of the release that has it",
    "sealed": "add that key to JOBS_SECRET_KEY of the consumers",
    "oldest": "add workers, or see what they run (3)",
    "eviction": "set maxmemory-policy noeviction",
    "memory": "clean completed jobs (c), or raise maxmemory",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. ``level``: critical, warning, note or ended; ``since`` and ``ended`` in ms."""

    level: str
    rule: str
    queue: str
    what: str
    todo: str
    since: int | None = None
    ended: int | None = None


#: The levels, most severe first, with their styles.
STYLES = {"critical": "bold fail", "warning": "warn", "note": "note", "ended": "dim"}
LEVELS = tuple(STYLES)


def active_alerts(seen: Snapshot, limits: Limits) -> list[Alert]:
    """The active alerts, most severe first.

    The rules are evaluated here, so that alerts need no watching process and are never late;
    an alert that a watching process recorded adds its start time.
    """
    found: list[Alert] = []
    for stats in seen.queues:
        own = [
            _alert(reading, seen)
            for reading in readings(stats, seen.stalled.get(stats.name, 0), limits)
        ]
        on = [one for one in own if one is not None]
        rules = {one.rule for one in on}
        # Waiting jobs need no alert of their own when another alert explains them.
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
    # Only a watching process evaluates these rules: it reads jobs.
    found += [
        _recorded(one)
        for one in seen.alerts.values()
        if one["rule"] in ("unknown_task", "sealed") and one["state"] == "on"
    ]
    if seen.server is not None:
        about = [_alert(one, seen) for one in server_readings(seen.server)]
        found += [one for one in about if one is not None]
    return sorted(found, key=lambda one: (LEVELS.index(one.level), one.queue))


def ended(seen: Snapshot) -> list[Alert]:
    """The alerts that ended in the last day, newest first."""
    over = [one for one in seen.alerts.values() if one["state"] == "off"]
    return [
        Alert(
            "ended",
            one["rule"],
            one["queue"] or "",
            one["message"],
            "",
            one["sinceMs"],
            one["endedMs"],
        )
        for one in sorted(over, key=lambda one: -one["endedMs"])
    ]


def _recorded(one: dict[str, Any]) -> Alert:
    queue, rule = one["queue"] or "", one["rule"]
    return Alert("critical", rule, queue, one["message"], _TODO[rule], one["sinceMs"])


def _alert(reading: Reading, seen: Snapshot) -> Alert | None:
    known = seen.alerts.get((reading.rule, reading.queue or ""))
    kept = known is not None and known["state"] == "on"
    if reading.value <= reading.limit * (CALM_AT if kept else 1):
        return None
    critical = reading.rule in CRITICAL
    critical = critical or (reading.rule == "failures" and reading.value >= CRITICAL_PERCENT)
    return Alert(
        "critical" if critical else "warning",
        reading.rule,
        reading.queue or "redis",
        reading.message,
        _TODO[reading.rule].format(
            queue=reading.queue, their=verb(int(reading.value), "its", "their")
        ),
        known["sinceMs"] if known is not None and kept else None,
    )


def worst(found: list[Alert], stats: QueueStats) -> str:
    """The level of a queue's most severe alert; '' when it has none."""
    return next((one.level for one in found if one.queue == stats.name), "")
