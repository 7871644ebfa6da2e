"""Measure how tenants share a queue: real tasks, two consumers, a server of its own.

Run it in any folder::

    python -m benchmarks.fairness [--parts begins,shares,...] [--jobs 100000] [--tries 200]

``begins``      behind a backlog of one tenant, one job of another: the time until it begins, in
                job times (20 ms), with 1, 5 and 20 workers over two consumers;
``shares``      50 tenants with unequal backlogs and jobs of 10 to 40 ms: Jain's index of their
                running time in every 10 s; a tenant of weight 3 beside them;
``returns``     a tenant that comes back after a pause: its part of the next seconds;
``limits``      the event feed under a limit, a tenant limit and a rate, while a consumer is killed
                every second: the most at any moment, the most starts in any sliding window;
``failover``    the same limits while Sentinel replaces a killed primary, as the jobs themselves note
                it: the most that ran at any moment;
``neighbors``  the first jobs of five tenants behind 1,500 jobs of 20 ms of another one; a call to a
                fast host behind 25 calls of another tenant to a slow one, with a limit by host.

One JSON document on stdout; exit 1 if a limit was exceeded.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.fairness_field import BASE, Feed, Field, field, field_on, jain, sentinels
from benchmarks.figures import percentile
from hsejobs.store import keys

JOB = 0.02


def start_two(made: Field, workers: int) -> None:
    """``workers`` over two consumers; one consumer for a single worker."""
    halves = [workers] if workers == 1 else [workers // 2, workers - workers // 2]
    for half in halves:
        made.start(half)
    made.wait_ready(len(halves))


def begins(jobs: int, tries: int) -> dict[str, Any]:
    """Job times until a single job of another tenant begins."""
    report: dict[str, Any] = {}
    for workers in (1, 5, 20):
        with field() as made:
            made.add("flood", jobs, JOB)
            start_two(made, workers)
            waits = []
            for number in range(tries):
                time.sleep(random.uniform(0, 2 * JOB))
                (job_id,) = made.add(f"single-{number}", 1, JOB)
                waits.append(made.waited_ms(job_id) / 1000 / JOB)
            left = made.redis.command("ZCARD", keys.of(BASE, "waiting"))
        report[f"workers{workers}"] = {
            "p50": round(percentile(waits, 50), 2),
            "p99": round(percentile(waits, 99), 2),
            "max": round(max(waits), 2),
            "backlogLeft": left,
        }
    return report


def shares(seconds: float) -> dict[str, Any]:
    """Running time of 50 tenants with equal weights and one of weight 3."""
    with field() as made:
        for number in range(50):
            job = 0.01 * (1 + number % 4)
            need = int(seconds / job)
            made.add(f"org-{number}", need * (1 + number % 7), job)
        made.add("heavy", int(4 * seconds / JOB), JOB)
        made.redis.command("HSET", keys.of(BASE, "tenants"), "heavy", "3 - 0")
        made.redis.command("HSET", keys.of(BASE, "share"), "x", "1")
        start_two(made, 10)
        time.sleep(seconds)
        runs = made.runs()
    first, last = min(began for _, began, _ in runs) + 2, max(ended for _, _, ended in runs)
    indexes, ratios = [], []
    at = first
    while at + 10 <= last:
        used: dict[str, float] = defaultdict(float)
        for org, began, ended in runs:
            used[org] += max(0.0, min(ended, at + 10) - max(began, at))
        plain = [used[f"org-{number}"] for number in range(50)]
        indexes.append(jain(plain))
        ratios.append(used["heavy"] / statistics.mean(plain))
        at += 0.5
    return {
        "windows": len(indexes),
        "jainMin": round(min(indexes), 4),
        "jainMedian": round(statistics.median(indexes), 4),
        "weight3": {
            "min": round(min(ratios), 2),
            "median": round(statistics.median(ratios), 2),
            "max": round(max(ratios), 2),
        },
    }


def returns() -> dict[str, Any]:
    """The part of a tenant that comes back, second by second; 0.5 is its share."""
    with field() as made:
        made.add("back", 50, JOB)
        made.add("steady", 5000, JOB)
        start_two(made, 4)
        time.sleep(15)
        returned = time.time()
        made.add("back", 2000, JOB)
        time.sleep(6)
        runs = made.runs()
    parts = []
    for second in range(5):
        used: Counter[str] = Counter()
        for org, began, ended in runs:
            inside = min(ended, returned + second + 1) - max(began, returned + second)
            used[org] += round(max(0.0, inside) * 1e6)
        parts.append(round(used["back"] / max(1, sum(used.values())), 3))
    return {"partBySecond": parts}


def most_at_once(events: list[tuple[float, str, str, str]]) -> tuple[int, int]:
    """The most active jobs at a moment: of the queue, of one tenant."""
    active: dict[str, str] = {}
    by_org: Counter[str] = Counter()
    most, most_org = 0, 0
    for _, kind, job, org in events:
        if kind == "active":
            active[job] = org
            by_org[org] += 1
            most, most_org = max(most, len(active)), max(most_org, by_org[org])
        elif job in active:
            by_org[active.pop(job)] -= 1
    return most, most_org


def most_in_window(starts: list[float], window_ms: float) -> int:
    """The most starts in any half-open window."""
    most, first = 0, 0
    for at, one in enumerate(starts):
        while one - starts[first] >= window_ms:
            first += 1
        most = max(most, at - first + 1)
    return most


def limits(seconds: float) -> dict[str, Any]:
    """What the event feed says while consumers are killed."""
    settings = {
        "QUEUE_FAIRNESS_LIMIT": "6",
        "QUEUE_FAIRNESS_TENANT_LIMIT": "2",
        "QUEUE_FAIRNESS_RATE": "100/s",
        "QUEUE_LEASE_MS": "3000",
    }
    with field(settings) as made:
        feed = Feed(made)
        feed.start()
        for number in range(8):
            made.add(f"org-{number}", 1500, 0.03)
        start_two(made, 12)
        until = time.monotonic() + seconds
        kills = 0
        while time.monotonic() < until:
            time.sleep(1)
            made.kill(made.consumers[0])
            made.start(6)
            kills += 1
        time.sleep(4)
        feed.finish()
        starts = [ms for ms, kind, _, _ in feed.seen if kind == "active"]
        most, most_org = most_at_once(feed.seen)
        return {
            "kills": kills,
            "starts": len(starts),
            "startsASecond": round(len(starts) / (seconds + 4), 1),
            "most": most,
            "mostOfOneTenant": most_org,
            "mostInOneSecond": most_in_window(starts, 1000),
            "limits": {"limit": 6, "tenantLimit": 2, "rate": "100/s"},
            "exceeded": most > 6 or most_org > 2 or most_in_window(starts, 1000) > 100,
        }


def failover() -> dict[str, Any]:
    """What the tasks note while the primary is replaced; the event feed could lose its end."""
    settings = {"QUEUE_FAIRNESS_LIMIT": "6", "QUEUE_FAIRNESS_TENANT_LIMIT": "2"}
    with sentinels() as servers, field_on(servers.url, settings) as made:
        for number in range(8):
            made.add(f"org-{number}", 500, 0.05)
        start_two(made, 12)
        made.wait_runs(200)
        servers.fail_over()
        made.wait_runs(len(made.runs()) + 200)
        runs = made.runs()
    edges = sorted(
        edge for org, began, ended in runs for edge in ((began, 1, org), (ended, -1, org))
    )
    now, most, most_org = 0, 0, 0
    by_org: Counter[str] = Counter()
    for _, step, org in edges:
        now += step
        by_org[org] += step
        most, most_org = max(most, now), max(most_org, by_org[org])
    return {
        "runs": len(runs),
        "most": most,
        "mostOfOneTenant": most_org,
        "limits": {"limit": 6, "tenantLimit": 2},
        "exceeded": most > 6 or most_org > 2,
    }


def neighbors() -> dict[str, Any]:
    """Seconds until the single jobs of five tenants begin behind 1,500 jobs of another one."""
    with field() as made:
        start_two(made, 4)
        made.add("flood", 1500, JOB)
        made.wait_running(4)
        ids = [made.add(f"single-{number}", 1, JOB)[0] for number in range(5)]
        waits = [made.waited_ms(one) / 1000 for one in ids]
    with field() as made:
        start_two(made, 4)
        made.call("many", 25, 2.0, "slow")
        made.wait_running(2)
        (fast,) = made.call("one", 1, 0.02, "fast")
        call = made.waited_ms(fast) / 1000
    return {
        "seconds": [round(one, 3) for one in waits],
        "max": round(max(waits), 3),
        "callBehindSlowHost": round(call, 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--parts", default="begins,shares,returns,limits,failover,neighbors")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    parts = {
        "begins": lambda: begins(given.jobs, given.tries),
        "shares": lambda: shares(given.seconds),
        "returns": returns,
        "limits": lambda: limits(given.seconds),
        "failover": failover,
        "neighbors": neighbors,
    }
    report = {name: parts[name]() for name in given.parts.split(",")}
    print(json.dumps(report, indent=2))
    return int(any(report.get(name, {}).get("exceeded") for name in ("limits", "failover")))


if __name__ == "__main__":
    sys.exit(main())
