"""Measure the history: memory of 30 days, and the time that a read of 24 hours takes.

``python -m benchmarks.history`` fills a private server with the records of six queues, 40 tasks, 50
error groups a queue and 200 busy tenants, as recorders would have made them, and prints one JSON
document. ``memory`` is in MB: what Redis uses more than before, and the lengths of the records alone;
``read`` in ms of CPU time, the median of several reads of the last 24 hours in steps of 10 minutes:
of one queue, except for ``allQueues``. ``month``: reads of 30 days of all queues, likewise, each with the
largest memory in MB that Python took meanwhile: counters by the hour (``hours``, as Insight draws
them), sums (``hsejobs history --by``), the document of HTTP and ``--json`` of all queues and of one, and
the findings of Insight.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
import tracemalloc
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.server import Server, find_binary
from hsejobs.control import history
from hsejobs.control.actors import Actor
from hsejobs.control.findings import Finder
from hsejobs.store import keys
from hsejobs.store.client import RedisClient
from hsejobs.store.history import Range
from hsejobs.store.minutes import Minute
from hsejobs.store.periods import MOST, NAMES_TTL, RETENTION, By, Names, Period, book_of, pack

PREFIX = "hsejobs"
QUEUES = ("email", "reports", "data-exports", "webhooks", "tenant-onboarding", "cleanup")
TASKS, TENANTS, GROUPS = 40, 200, 60


def _histogram(rng: random.Random, count: int, middle: int) -> dict[int, int]:
    """As many times, in buckets around one."""
    found: dict[int, int] = {}
    for _ in range(min(count, 60)):
        bucket = max(0, round(rng.gauss(middle, 3)))
        found[bucket] = found.get(bucket, 0) + max(1, count // 60)
    return found


def _minute(rng: random.Random, jobs: int, *, sampled: bool) -> Minute:
    failed = jobs // 20
    minute = Minute(
        added=jobs + rng.randrange(5),
        completed=jobs - failed,
        failed=failed,
        retried=failed * 2,
        run_us=jobs * rng.randrange(50_000, 400_000),
        run=_histogram(rng, jobs, 70),
        wait=_histogram(rng, jobs, 55),
    )
    if sampled:
        minute.sampled = (rng.randrange(500), rng.randrange(20), rng.randrange(30))
        minute.peak = (minute.sampled[0] + rng.randrange(200), 20, 30)
    return minute


def _period(rng: random.Random, step: int, tenants: list[str], tasks: list[str]) -> Period:
    period = Period(_minute(rng, 400 * step, sampled=True))
    # Of the queue alone.
    period.whole.oldest = rng.randrange(3_600_000)
    period.whole.wait_us = 400 * step * 90_000
    period.parts[By.TASK] = {name: _minute(rng, 60 * step, sampled=False) for name in tasks}
    busy = rng.sample(tenants, MOST)
    period.parts[By.ORG] = {
        name: _minute(rng, rng.randrange(2, 16) * step, sampled=True) for name in busy
    }
    groups = rng.sample(range(GROUPS), min(GROUPS, 5 + step // 2))
    period.parts[By.ERROR] = {
        f"error ConnectionError: no answer from <text> after <n> s, group {number}": Minute(
            failed=rng.randrange(5 * step), retried=rng.randrange(9 * step)
        )
        for number in groups
    }
    return period.busiest()


def _fill(client: RedisClient, queue: str, tenants: list[str], tasks: list[str], seed: int) -> int:
    """Writes the records that a queue has after 30 days; returns their bytes."""
    rng, base, size = random.Random(seed), keys.base(PREFIX, queue), 0
    minute = history.now(client, PREFIX) // 60_000
    names: dict[int, Names] = {}
    for step, kept in RETENTION.items():
        last = minute - minute % step
        for start in range(last - kept // 60, last, step):
            day = names.setdefault(book_of(start), Names({}))
            record = pack(_period(rng, step, tenants, tasks), day)
            size += len(record)
            key = keys.of(base, "period", f"{step}:{start}")
            client.command("SET", key, record, "EX", kept)
    for number, day in names.items():
        words: list[str | int] = ["", day.last]
        for name, at in day.fresh.items():
            words += (name, at)
            size += len(name) + 4
        key = keys.of(base, "names", str(number))
        client.command("HSET", key, *words)
        client.command("EXPIRE", key, NAMES_TTL)
    client.command("HSET", keys.of(base, "history"), "m", minute - 1)
    return size


def _timed(act: Callable[[], object], times: int) -> float:
    took = []
    for _ in range(times):
        started = time.process_time()
        act()
        took.append((time.process_time() - started) * 1000)
    return round(statistics.median(took), 1)


def _month(client: RedisClient, times: int) -> dict[str, object]:
    """The reads of 30 days."""
    actor, now = Actor("cli"), history.now(client, PREFIX)

    def read(wanted: Range, by: str | None, **options: Any) -> history.History:
        return history.read(client, PREFIX, QUEUES, wanted, actor, by=by, **options)

    def document(by: str, *queues: str) -> bytes:
        wanted = history.span(now, "30d", divided=len(queues))
        found = history.read(client, PREFIX, queues, wanted, actor, by=by)
        return b"".join(found.pieces())

    month = history.span(now, "30d")
    acts: dict[str, Callable[[], object]] = {"queues": partial(read, month, None)}
    for by in By:
        acts |= {
            f"{by} hours": partial(read, month, by, brief=True, marks=False),
            f"{by} sums": partial(read, month.whole(), by, brief=True),
            f"{by} document": partial(document, by, *QUEUES),
            f"{by} document of one queue": partial(document, by, QUEUES[0]),
        }
    finder, start = Finder(client, PREFIX, actor), now - 30 * 86_400_000
    acts["findings"] = lambda: finder.read(QUEUES, start, now)
    found: dict[str, object] = {}
    for name, act in acts.items():
        ms = _timed(act, times)
        tracemalloc.start()
        act()
        found[name] = {"ms": ms, "MB": round(tracemalloc.get_traced_memory()[1] / 1e6, 1)}
        tracemalloc.stop()
    return found


def measure(client: RedisClient, times: int) -> dict[str, object]:
    """Fills the server, and reads."""
    tenants = [str(uuid.UUID(int=random.Random(n).getrandbits(128))) for n in range(TENANTS)]
    tasks = [f"tasks.module_{n % 6}.do_something_{n}" for n in range(TASKS)]

    def used() -> int:
        text = client.command("INFO", "memory").decode()
        return int(text.partition("used_memory:")[2].split()[0])

    before, size = used(), 0
    for number, queue in enumerate(QUEUES):
        size += _fill(client, queue, tenants, tasks[number::6], number)
    memory = {"MB": round((used() - before) / 1e6, 1), "recordsMB": round(size / 1e6, 1)}
    actor = Actor("cli")

    def read(
        by: str | None, queues: tuple[str, ...], org: str | None = None
    ) -> Callable[[], object]:
        return lambda: history.read(
            client,
            PREFIX,
            queues,
            history.span(history.now(client, PREFIX), "24h", None, "10m"),
            actor,
            by=by,
            organization_id=org,
        )

    one = QUEUES[:1]
    reads = {
        "queue": _timed(read(None, one), times),
        "byTask": _timed(read("task", one), times),
        "byError": _timed(read("error", one), times),
        "byOrg": _timed(read("org", one), times),
        "oneOrganization": _timed(read(None, one, tenants[0]), times),
        "allQueues": _timed(read(None, QUEUES), times),
    }
    return {"memory": memory, "read": reads, "month": _month(client, max(1, times // 5))}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--times", type=int, default=15, help="reads of each kind (default 15)")
    plan = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(prefix="hj-") as folder,
        Server(find_binary(None), Path(folder)) as server,
    ):
        client = RedisClient(server.url)
        print(json.dumps(measure(client, plan.times), indent=2))
        client.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
