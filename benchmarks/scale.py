"""Compare the cost of reading and processing a queue of a million jobs with a small one.

Run it in any folder::

    python benchmarks/scale.py
    python benchmarks/scale.py --jobs 200000

One JSON document on stdout: for each size the Redis commands (those inside
scripts included) and the milliseconds, best of five, of the counts, the first and
the last page and one job; the jobs/s of one worker; and the ratio of the two.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.arena import Arena
from benchmarks.contestants import Subject
from benchmarks.server import find_binary
from hsejobs.model import State
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader

SMALL = 1_000


def _looks(arena: Arena, status: State) -> dict[str, dict[str, float]]:
    reader = JobReader(RedisClient(arena.server.url), "hsejobs")
    some = reader.page("bench", status, limit=1, reverse=True).jobs[0].id
    looks: dict[str, Callable[[], object]] = {
        "counts": lambda: reader.stats(["bench"]),
        "first page": lambda: reader.page("bench", status),
        "last page": lambda: reader.page("bench", status, reverse=True),
        "one job": lambda: reader.job("bench", some),
    }
    seen = {}
    for name, look in looks.items():
        look()
        before = arena.server.totals().commands
        look()
        commands = arena.server.totals().commands - before
        best = min(_seconds(look) for _ in range(5))
        seen[name] = {"commands": commands, "ms": round(best * 1000, 2)}
    return seen


def _seconds(look: Callable[[], object]) -> float:
    start = time.perf_counter()
    look()
    return time.perf_counter() - start


def _rate(arena: Arena, jobs: int) -> float:
    """Return the jobs/s of one worker, measured from its first job."""
    arena.start_workers(Subject.one[0])
    arena.wait(lambda: arena.completed() > 0, 60, step=0.002)
    start, begun = time.perf_counter(), arena.completed()
    arena.wait(lambda: arena.completed() >= jobs, 120, step=0.01)
    rate = (arena.completed() - begun) / (time.perf_counter() - start)
    arena.stop_workers()
    return rate


def measure(waiting: int, worked: int, binary: str) -> dict[str, Any]:
    """A queue with ``waiting`` jobs, of which a worker then does ``worked``."""
    with Arena(Subject(), binary) as arena:
        adding = arena.add("bulk", waiting)
        report: dict[str, Any] = {
            "added jobs/s": round(waiting / adding.seconds),
            "Redis MB": round(arena.server.used_memory() / 1e6),
            "waiting": _looks(arena, State.WAITING),
        }
        report["worked jobs/s"] = round(_rate(arena, worked))
        report["completed"] = _looks(arena, State.COMPLETED)
        return report


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", type=int, default=1_000_000, help="size of the large queue")
    parser.add_argument("--worked", type=int, default=20_000, help="jobs that the worker does")
    parser.add_argument("--redis", help="server program, or 'valkey'")
    given = parser.parse_args()
    binary = find_binary(given.redis)
    small = measure(given.worked + SMALL, given.worked, binary)
    large = measure(given.jobs, given.worked, binary)
    ratio = round(large["worked jobs/s"] / small["worked jobs/s"], 2)
    report = {f"{given.jobs:,} jobs": large, f"{given.worked + SMALL:,} jobs": small}
    print(json.dumps({**report, "worked, large to small": ratio}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
