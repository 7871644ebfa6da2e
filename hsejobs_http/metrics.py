"""/metrics: rendered from Redis at each scrape, so every instance gives the same answer."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hsejobs.store.circuits import Circuits
from hsejobs.store.minutes import BUCKETS_PER_OCTAVE
from hsejobs.store.read import QueueStats
from hsejobs.watch.alerts import stored
from hsejobs_http import counting
from hsejobs_http.state import Shim

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Upper bounds of the duration histogram, in seconds.
BOUNDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600)


def render(shim: Shim) -> str:
    """Renders the metrics. Raises RedisUnavailable."""
    stats = shim.runtime.reader.stats(shim.names())
    lines: list[str] = []

    def gauge(name: str, doc: str, values: Iterable[tuple[str, float | None]]) -> None:
        lines.extend((f"# HELP hsejobs_{name} {doc}", f"# TYPE hsejobs_{name} gauge"))
        lines.extend(
            f"hsejobs_{name}{{{label}}} {value:g}" for label, value in values if value is not None
        )

    states = ("waiting", "active", "completed", "failed", "delayed", "paused")
    shown = [(one, one.public()) for one in stats]
    gauge(
        "jobs",
        "Jobs by queue and state.",
        (
            (f'queue="{one.name}",state="{state}"', public[state])
            for one, public in shown
            for state in states
        ),
    )
    for name, doc, field, scale in (
        ("finished_per_minute", "Jobs finished per minute, over 5 minutes.", "rate", 1.0),
        ("failure_ratio", "Share of failed jobs, over 5 minutes.", "failureRate", 1.0),
        ("oldest_waiting_seconds", "How long the oldest job has waited.", "oldestWaiting", 1000.0),
    ):
        gauge(
            name,
            doc,
            (
                (f'queue="{one.name}"', None if public[field] is None else public[field] / scale)
                for one, public in shown
            ),
        )
    gauge(
        "stalled_jobs",
        "Jobs that stalled in the last 5 minutes.",
        ((f'queue="{one.name}"', one.window().stalled) for one in stats),
    )
    gauge(
        "consumers",
        "Live consumers.",
        ((f'queue="{one.name}"', one.consumers) for one in stats),
    )
    lines.append(
        "# HELP hsejobs_job_duration_seconds Run times over 5 minutes; not cumulative, so no rate()."
    )
    lines.append("# TYPE hsejobs_job_duration_seconds histogram")
    for one in stats:
        lines += _histogram(one)
    counts = {"closed": 0, "open": 0, "half_open": 0}
    for circuit in Circuits(shim.runtime.redis, shim.runtime.prefix).all(None):
        state = str(circuit.public()["state"]).replace("-", "_")
        counts[state] = counts.get(state, 0) + 1
    gauge(
        "circuits",
        "Circuit breakers by state.",
        ((f'state="{state}"', n) for state, n in sorted(counts.items())),
    )
    on = [one for one in stored(shim.runtime.redis, shim.runtime.prefix) if one["state"] == "on"]
    gauge(
        "alerts",
        "Alerts that are on.",
        ((f'rule="{one["rule"]}",queue="{one["queue"] or ""}"', 1) for one in on),
    )
    lines += counting.lines(shim.tallies)
    return "\n".join(lines) + "\n"


def _histogram(one: QueueStats) -> list[str]:
    last, label = one.window(), f'queue="{one.name}"'
    lines = []
    for bound in BOUNDS:
        # A bucket of the stored counters counts where it ends.
        below = sum(n for bucket, n in last.run.items() if _upper_bound(bucket) <= bound)
        lines.append(f'hsejobs_job_duration_seconds_bucket{{{label},le="{bound:g}"}} {below}')
    total = sum(last.run.values())
    lines.append(f'hsejobs_job_duration_seconds_bucket{{{label},le="+Inf"}} {total}')
    lines.append(f"hsejobs_job_duration_seconds_sum{{{label}}} {last.run_us / 1e6:g}")
    lines.append(f"hsejobs_job_duration_seconds_count{{{label}}} {total}")
    return lines


def _upper_bound(bucket: int) -> float:
    return (math.exp2((bucket + 1) / BUCKETS_PER_OCTAVE) - 1) / 1e6
