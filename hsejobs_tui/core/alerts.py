"""Active alerts by the rules of ``hsejobs.watch.alerts``, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hsejobs.store.circuits import Circuit
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Snapshot
from hsejobs.watch.alerts import CALM_AT, Limits, Reading, readings, server_readings
from hsejobs.wording import jobs_wait, verb
from hsejobs_tui.core.text import duration, safe, short

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
    "backlog_full": "add workers, or raise the quota (TENANT_BACKLOG)",
    "eviction": "set maxmemory-policy noeviction",
    "memory": "clean completed jobs (c), or raise maxmemory",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. ``level``: critical, warning, note or ended; ``since`` and ``ended`` in ms.

    ``peak``: the worst value since it turned on, as `value_text` shows values; None if no process watches
    it. ``worst``: what it said then. ``who``: who paused the queue, or held its task.
    """

    level: str
    rule: str
    queue: str
    what: str
    todo: str
    since: int | None = None
    ended: int | None = None
    value: float | None = None
    peak: float | None = None
    worst: str = ""
    who: str = ""

    @property
    def key(self) -> str:
        """Identifies the alert in a list; one that ended and its next one differ."""
        return f"{self.rule}/{self.queue}\0{self.ended or ''}"


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
                    stats.paused_at,
                    value=stats.waiting,
                )
            )
        if stats.held_tasks:
            found.append(_held(stats))
    # Only a watching process evaluates these rules: it reads jobs.
    found += [
        _recorded(one)
        for one in seen.alerts.values()
        if one["rule"] in ("unknown_task", "sealed") and one["state"] == "on"
    ]
    if seen.server is not None:
        about = [_alert(one, seen) for one in server_readings(seen.server)]
        found += [one for one in about if one is not None]
    return by_level(found)


def _held(stats: QueueStats) -> Alert:
    since = min(one.since for one in stats.held_tasks)
    aside = sum(one.aside for one in stats.held_tasks)
    who = stats.held_tasks[0].who if len(stats.held_tasks) == 1 else ""
    what = f"{held_text(stats)}, {jobs_wait(aside)}" if aside else held_text(stats)
    return Alert("note", "task_held", stats.name, what, "H lets it go", since, value=aside, who=who)


def held_text(stats: QueueStats) -> str:
    """``task send_mail held by ann 12m``, or how many tasks are held; '' for none."""
    if len(stats.held_tasks) > 1:
        return f"{len(stats.held_tasks)} tasks held"
    for one in stats.held_tasks:
        name = safe(one.task.rpartition(".")[2], 40)
        by = f" by {safe(one.who, 20)}" if one.who else ""
        return f"task {name} held{by} {duration(max(0, stats.now - one.since))}"
    return ""


def circuit_alerts(circuits: Iterable[Circuit]) -> list[Alert]:
    """An alert for each host with circuits that are not closed: organizations have their own for it."""
    hosts: dict[str, list[Circuit]] = {}
    for one in circuits:
        if one.state != "closed":
            hosts.setdefault(one.host, []).append(one)
    return [_circuit_alert(host, found) for host, found in hosts.items()]


def _circuit_alert(host: str, found: list[Circuit]) -> Alert:
    is_open = any(one.state == "open" for one in found)
    manual, one = all(one.manual for one in found), len(found) == 1
    state = "held open by a person" if manual else "open" if is_open else "half-open"
    whose = "circuit" if one else f"circuits of {len(found)} organizations"
    errors = "its last error" if one else "their last errors"
    return Alert(
        "warning" if is_open else "note",
        "circuit",
        host,
        f"{whose} {state}: calls are postponed",
        f"c closes {'it' if one else 'them'} (6)" if manual else f"see {errors} (6)",
        min((one.since for one in found if one.since), default=None),
    )


def by_level(found: Iterable[Alert]) -> list[Alert]:
    """The alerts, most severe first."""
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
            peak=one.get("peak"),
            worst=one.get("worst", ""),
        )
        for one in sorted(over, key=lambda one: -one["endedMs"])
    ]


def _recorded(one: dict[str, Any]) -> Alert:
    queue, rule = one["queue"] or "", one["rule"]
    return Alert(
        "critical",
        rule,
        queue,
        one["message"],
        _TODO[rule],
        one["sinceMs"],
        value=one["value"],
        peak=one.get("peak"),
    )


#: Rules whose value is a time in ms, and those whose value is a share in percent.
_TIMES, _SHARES = ("no_worker", "oldest", "unknown_task", "sealed", "redis"), ("failures", "memory")


def value_text(rule: str, value: float | None) -> str:
    """The value of a rule with its unit; ``-`` for none."""
    if value is None or rule == "eviction":
        return "-"
    if rule in _TIMES:
        return duration(value)
    return f"{value:.0f} %" if rule in _SHARES else short(value)


def _alert(reading: Reading, seen: Snapshot) -> Alert | None:
    known = seen.alerts.get((reading.rule, reading.queue or ""))
    kept = known is not None and known["state"] == "on"
    if reading.value <= reading.limit * (CALM_AT if kept else 1):
        return None
    since = known["sinceMs"] if known is not None and kept else None
    peak = max(reading.value, known.get("peak", 0)) if known is not None and kept else None
    if since is None and reading.rule in _TIMES:
        # A time that grows tells itself when it exceeded the limit, and it is the longest now.
        since, peak = seen.now - int(reading.value - reading.limit), reading.value
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
        since,
        value=reading.value,
        peak=peak,
    )


def worst(found: list[Alert], stats: QueueStats) -> str:
    """The level of a queue's most severe alert; '' when it has none."""
    return next((one.level for one in found if one.queue == stats.name), "")
