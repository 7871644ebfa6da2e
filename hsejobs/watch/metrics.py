"""The metrics for Prometheus: rendered from Redis at each scrape, so every process gives the same answer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from hsejobs.errors import RedisRefused
from hsejobs.store import keys, scripts, totals
from hsejobs.store.circuits import Circuits
from hsejobs.store.client import RedisClient
from hsejobs.store.crowds import MOST_HELD, Crowds
from hsejobs.store.read import JobReader, QueueStats
from hsejobs.store.totals import Totals, cumulative
from hsejobs.version import VERSION
from hsejobs.watch.alerts import stored

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STATES = ("waiting", "active", "completed", "failed", "delayed", "paused")

#: A sample: what follows the metric's name, its labels, its value.
Sample = tuple[str, dict[str, str], float]


def lines(client: RedisClient, prefix: str, names: Sequence[str]) -> list[str]:
    """The metrics of these queues and of the installation. Raises RedisUnavailable."""
    stats = JobReader(client, prefix).stats(names)
    out: list[str] = []
    _gauges(out, stats)
    _held(out, client, prefix, stats)
    _counters(out, totals.read(client, prefix, names))
    _metric(out, "slots", "gauge", "Slots of live consumers.", _slots(client, prefix, names))
    counts = {"closed": 0, "open": 0, "half_open": 0}
    for circuit in Circuits(client, prefix).all(None):
        state = str(circuit.public()["state"]).replace("-", "_")
        counts[state] = counts.get(state, 0) + 1
    circuits: list[Sample] = [("", {"state": state}, n) for state, n in sorted(counts.items())]
    _metric(out, "circuits", "gauge", "Circuit breakers by state.", circuits)
    on = [one for one in stored(client, prefix) if one["state"] == "on"]
    alerts: list[Sample] = [("", {"rule": a["rule"], "queue": a["queue"] or ""}, 1) for a in on]
    _metric(out, "alerts", "gauge", "Alerts that are on.", alerts)
    _memory(out, client)
    build: list[Sample] = [("", {"version": VERSION}, 1)]
    _metric(out, "build_info", "gauge", "The release of the process that answers.", build)
    return out


def _gauges(out: list[str], stats: Sequence[QueueStats]) -> None:
    shown = [(one, one.public()) for one in stats]
    _metric(
        out,
        "jobs",
        "gauge",
        "Jobs by queue and state.",
        [
            ("", {"queue": one.name, "state": state}, public[state])
            for one, public in shown
            for state in _STATES
        ],
    )
    for name, text, field, scale in (
        ("finished_per_minute", "Jobs finished per minute, over 5 minutes.", "rate", 1.0),
        ("failure_ratio", "Share of failed jobs, over 5 minutes.", "failureRate", 1.0),
        ("oldest_waiting_seconds", "How long the oldest job has waited.", "oldestWaiting", 1000.0),
    ):
        found: list[Sample] = [
            ("", {"queue": one.name}, public[field] / scale)
            for one, public in shown
            if public[field] is not None
        ]
        _metric(out, name, "gauge", text, found)
    stalled: list[Sample] = [("", {"queue": one.name}, one.window().stalled) for one in stats]
    _metric(out, "stalled_jobs", "gauge", "Jobs that stalled in the last 5 minutes.", stalled)
    consumers: list[Sample] = [("", {"queue": one.name}, one.consumers) for one in stats]
    _metric(out, "consumers", "gauge", "Live consumers.", consumers)


def _held(out: list[str], client: RedisClient, prefix: str, stats: Sequence[QueueStats]) -> None:
    """What is held: no job of it starts until somebody lets it go."""
    crowds = Crowds(client, prefix).read([one.name for one in stats], whole=True)
    tasks: list[Sample] = [("", {"queue": one.name}, len(one.held_tasks)) for one in stats]
    _metric(out, "held_tasks", "gauge", "Tasks that are held.", tasks)
    organizations: list[Sample] = [
        ("", {"queue": one.name}, len(crowds[one.name].held)) for one in stats
    ]
    text = f"Organizations that are held; of each queue, at most {MOST_HELD} are counted."
    _metric(out, "held_organizations", "gauge", text, organizations)


def _counters(out: list[str], found: Sequence[Totals]) -> None:
    for name, text in (
        ("added", "Jobs added."),
        ("completed", "Jobs completed."),
        ("retried", "Attempts that failed and were followed by another one."),
        ("stalled", "Attempts whose worker died or lost its lease."),
        ("removed", "Jobs removed by an act."),
    ):
        samples: list[Sample] = [
            ("", {"queue": one.queue}, getattr(one.counters, name)) for one in found
        ]
        _metric(out, f"jobs_{name}_total", "counter", text, samples)
    failed: list[Sample] = [
        ("", {"queue": one.queue, "code": code}, n)
        for one in found
        for code, n in sorted(one.failed.items())
    ]
    _metric(out, "jobs_failed_total", "counter", "Jobs that failed, by code.", failed)
    for name, text in (
        ("wait", "How long jobs waited before they began."),
        ("run", "How long runs took that completed or failed."),
    ):
        samples = []
        for one in found:
            label = {"queue": one.queue}
            pairs = cumulative(getattr(one.counters, name))
            samples += [("_bucket", {**label, "le": _bound(le)}, n) for le, n in pairs]
            samples.append(("_sum", label, getattr(one.counters, f"{name}_us") / 1e6))
            samples.append(("_count", label, pairs[-1][1]))
        _metric(out, f"job_{name}_seconds", "histogram", text, samples)


def _slots(client: RedisClient, prefix: str, names: Sequence[str]) -> list[Sample]:
    replies = client.run_many([(scripts.WORKERS, keys.base(prefix, name), ()) for name in names])
    found: list[Sample] = []
    for name, (_, *rows) in zip(names, replies, strict=True):
        records = [json.loads(text) for text in rows[::2]]
        busy = sum(slot is not None for one in records for slot in one.get("slots") or ())
        every = sum(int(one.get("concurrency") or 0) for one in records)
        for state, n in (("busy", busy), ("free", max(0, every - busy))):
            found.append(("", {"queue": name, "state": state}, n))
    return found


def _memory(out: list[str], client: RedisClient) -> None:
    """Redis' memory, where the server says it and the user may ask for it."""
    if client.cluster:
        return
    try:
        text = client.command("INFO", "memory").decode("utf-8", "replace")
    except RedisRefused:
        return
    info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    used: list[Sample] = [("", {}, int(info.get("used_memory") or 0))]
    _metric(out, "redis_memory_bytes", "gauge", "Memory that Redis uses.", used)
    limit = int(info.get("maxmemory") or 0)
    most: list[Sample] = [("", {}, limit)] if limit else []
    _metric(out, "redis_memory_limit_bytes", "gauge", "Memory that Redis may use.", most)


def _metric(out: list[str], name: str, kind: str, text: str, samples: Iterable[Sample]) -> None:
    out += [f"# HELP hsejobs_{name} {text}", f"# TYPE hsejobs_{name} {kind}"]
    for suffix, labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        head = f"hsejobs_{name}{suffix}" + (f"{{{shown}}}" if shown else "")
        out.append(f"{head} {_number(value)}")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))


def _bound(seconds: float) -> str:
    return "+Inf" if math.isinf(seconds) else _number(seconds)
