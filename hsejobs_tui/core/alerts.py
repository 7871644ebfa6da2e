"""Active alerts by the rules of ``hsejobs.watch.rules``, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from hsejobs.store.crowds import Crowd
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Snapshot
from hsejobs.watch.advice import Advice, advise, asleep
from hsejobs.watch.advice import held_text as tenants_text
from hsejobs.watch.rules import CALM_AT, Limits, Reading, readings, server_readings, share_text
from hsejobs.wording import jobs_wait, verb
from hsejobs_tui.core.text import duration, held_by, safe, short

if TYPE_CHECKING:
    from hsejobs.store.circuits import Circuit

#: Rules that need action at any hour, and the failure percentage from which failures do.
CRITICAL = ("no_worker", "unknown_task", "sealed", "eviction", "memory")
CRITICAL_PERCENT = 50

#: The keys that advice names here, by what they do.
KEYS = {
    "workers": " (3)",
    "failures": " (2)",
    "clean": " (1, then c)",
    "pause": " (P)",
    "hold": " (H)",
    "tenant": " (8, H)",
    "tenants": " (8)",
}
#: Rules that are no trouble, but must not be forgotten: something is held or paused on purpose.
HOLDS = ("paused", "task_held", "tenant_held")


class Alert(NamedTuple):
    """One alert. ``level``: critical, warning, note or ended; ``since`` and ``ended`` in ms.

    ``peak``: the worst value since it turned on, as `value_text` shows values; None if no process watches
    it. ``worst``: what it said then. ``who``: who paused the queue, or held its task or organization.
    ``cause``: why it is on.
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
    cause: str = ""

    @property
    def told(self) -> str:
        """What is wrong, and why."""
        return f"{self.what}: {self.cause}" if self.cause else self.what

    @property
    def key(self) -> str:
        """Identifies the alert in a list; one that ended and its next one differ."""
        return f"{self.rule}/{self.queue}\0{self.ended or ''}"


#: The levels, most severe first, with their styles.
STYLES = {"critical": "bold fail", "warning": "warn", "note": "note", "ended": "dim"}
LEVELS = tuple(STYLES)


def active_alerts(
    seen: Snapshot,
    limits: Limits,
    crowds: Mapping[str, Crowd] | None = None,
    keys: Mapping[str, str] | None = KEYS,
) -> list[Alert]:
    """The active alerts, most severe first. ``crowds``: whose jobs wait, by queue; ``keys``: see `advise`.

    The rules are evaluated here, so that alerts need no watching process and are never late;
    an alert that a watching process recorded adds its start time.
    """
    found: list[Alert] = []
    for stats in seen.queues:
        found += _of_queue(stats, seen, limits, (crowds or {}).get(stats.name), keys)
    # Only a watching process evaluates these rules: it reads jobs.
    found += [
        _recorded(one, keys)
        for one in seen.alerts.values()
        if one["rule"] in ("unknown_task", "sealed") and one["state"] == "on"
    ]
    if seen.server is not None:
        for reading in server_readings(seen.server):
            one = _alert(reading, seen, advise(reading.rule, keys=keys))
            found += [one] if one is not None else []
    return by_level(found)


def _of_queue(
    stats: QueueStats,
    seen: Snapshot,
    limits: Limits,
    crowd: Crowd | None,
    keys: Mapping[str, str] | None,
) -> list[Alert]:
    quiet = asleep(seen.workers.get(stats.name, ()))
    found, explained = {}, False
    for reading in readings(stats, seen.stalled.get(stats.name, 0), limits):
        count = int(reading.value)
        advice = advise(reading.rule, stats, crowd, quiet=quiet, count=count, keys=keys)
        one = _alert(reading, seen, advice)
        if one is not None:
            found[one.rule] = one
            explained = explained or (advice.held and not stats.is_paused)
    # Waiting jobs need no alert of their own when another alert explains them.
    if stats.is_paused or found.keys() & {"no_worker", "oldest"}:
        found.pop("waiting", None)
    notes = _notes(stats, None if explained else crowd, keys)
    return [*found.values(), *(one for one in notes if one.rule == "paused" or not explained)]


def _notes(
    stats: QueueStats, crowd: Crowd | None, keys: Mapping[str, str] | None
) -> Iterator[Alert]:
    """What is paused or held on purpose: it must not be forgotten."""
    if stats.is_paused and stats.waiting:
        what, todo = f"paused, {jobs_wait(stats.waiting)}", "P resumes it" if keys else "resume it"
        yield Alert("note", "paused", stats.name, what, todo, stats.paused_at, value=stats.waiting)
    if stats.held_tasks:
        yield _held(stats, _let_go(len(stats.held_tasks), "H" if keys else ""))
    if crowd is not None and crowd.held:
        todo = _let_go(len(crowd.held), "H" if keys else "") + (" (8)" if keys else "")
        since = min((one.since for one in crowd.held if one.since), default=None)
        who = crowd.held[0].who if len(crowd.held) == 1 else ""
        age = duration(max(0, stats.now - since)) if since else ""
        what, jobs = tenants_text(crowd, age), crowd.held_jobs
        yield Alert("note", "tenant_held", stats.name, what, todo, since, value=jobs, who=who)


def _let_go(held: int, key: str) -> str:
    them = verb(held, "it", "them")
    return f"{key} lets {them} go" if key else f"let {them} go"


def _held(stats: QueueStats, todo: str) -> Alert:
    since = min(one.since for one in stats.held_tasks)
    aside = sum(one.aside for one in stats.held_tasks)
    who = stats.held_tasks[0].who if len(stats.held_tasks) == 1 else ""
    what = f"{held_text(stats)}, {jobs_wait(aside)}" if aside else held_text(stats)
    return Alert("note", "task_held", stats.name, what, todo, since, value=aside, who=who)


def held_text(stats: QueueStats) -> str:
    """``task send_mail held by ann 12m``, or how many tasks are held; '' for none."""
    if len(stats.held_tasks) > 1:
        return f"{len(stats.held_tasks)} tasks held"
    for one in stats.held_tasks:
        name = safe(one.task.rpartition(".")[2], 40)
        return f"task {name} held{held_by(one.who, stats.now - one.since)}"
    return ""


def circuit_alerts(circuits: Iterable[Circuit], *, keys: bool = True) -> list[Alert]:
    """An alert for each host with circuits that are not closed: organizations have their own for it.

    ``keys``: name the keys that help.
    """
    hosts: dict[str, list[Circuit]] = {}
    for one in circuits:
        if one.state != "closed":
            hosts.setdefault(one.host, []).append(one)
    return [_circuit_alert(host, found, keys=keys) for host, found in hosts.items()]


def _circuit_alert(host: str, found: list[Circuit], *, keys: bool) -> Alert:
    is_open = any(one.state == "open" for one in found)
    manual, one = all(one.manual for one in found), len(found) == 1
    state = "held open by a person" if manual else "open" if is_open else "half-open"
    whose = "circuit" if one else f"circuits of {len(found)} organizations"
    todo = "see its last error" if one else "see their last errors"
    if manual:
        todo = f"{'c closes' if keys else 'close'} {'it' if one else 'them'}"
    return Alert(
        "warning" if is_open else "note",
        "circuit",
        host,
        f"{whose} {state}: calls are postponed",
        f"{todo} (6)" if keys else todo,
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


def _recorded(one: dict[str, Any], keys: Mapping[str, str] | None) -> Alert:
    queue, rule = one["queue"] or "", one["rule"]
    return Alert(
        "critical",
        rule,
        queue,
        one["message"],
        advise(rule, keys=keys).todo,
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
    return share_text(value) if rule in _SHARES else short(value)


def _alert(reading: Reading, seen: Snapshot, advice: Advice) -> Alert | None:
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
        advice.todo,
        since,
        value=reading.value,
        peak=peak,
        cause=advice.cause,
    )


def worst(found: list[Alert], stats: QueueStats) -> str:
    """The level of a queue's most severe alert; '' when it has none."""
    return next((one.level for one in found if one.queue == stats.name), "")
