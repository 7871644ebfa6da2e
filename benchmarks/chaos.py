"""Pulls the plug on workers and on Redis, and counts what was lost and what ran twice.

Run by hand, from anywhere::

    python benchmarks/chaos.py
    python benchmarks/chaos.py --only kill,outage --jobs 5000

Jobs of 5 ms on two consumers, lease 3 s, and every second one of them in turn gets

``kill``   ``SIGKILL``, and another is started in its place;
``stop``   ``SIGSTOP`` for longer than the lease, then ``SIGCONT``;
``term``   ``SIGTERM``, and another is started in its place;

or, in ``outage``, Redis is stopped for 30 s and started again from its append-only
file. One JSON document on stdout: jobs that never completed, that ran to their end
twice, that waited for a lease; late outcomes that were refused; lines about the outage.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.arena import Arena
from benchmarks.contestants import Shape, Subject
from benchmarks.server import find_binary
from hsejobs.model import State
from hsejobs.store.client import Link
from hsejobs.store.read import Reader

LEASE_MS = 3_000
OUTAGE_S = 30.0
_ONE = Shape("1 x thread x 1", 1, ("-k", "thread", "-w", "1"), 1)


def _kill(arena: Arena, number: int) -> None:
    arena.send(number, signal.SIGKILL)
    arena.replace(number, _ONE, "nap")


def _term(arena: Arena, number: int) -> None:
    arena.send(number, signal.SIGTERM)
    arena.replace(number, _ONE, "nap")


def _stop(arena: Arena, number: int) -> None:
    arena.send(number, signal.SIGSTOP)
    time.sleep(LEASE_MS / 1000 * 1.7)
    arena.send(number, signal.SIGCONT)


def _outage(arena: Arena, _: int) -> None:
    arena.server.stop()
    time.sleep(OUTAGE_S)
    arena.server.start()


ACTS: dict[str, Callable[[Arena, int], None]] = {
    "kill": _kill, "stop": _stop, "term": _term, "outage": _outage,
}  # fmt: skip


def measure(name: str, jobs: int, binary: str) -> dict[str, Any]:
    """One way of pulling the plug, until all jobs are completed or nothing moves for 15 s."""
    env = {"QUEUE_LEASE_MS": str(LEASE_MS), "JOBS_LOG_LEVEL": "INFO"}
    acts, moved = 0, (time.monotonic(), 0)
    turn = itertools.cycle((0, 1))
    with Arena(Subject(), binary, env, append_only=True) as arena:
        arena.add("bulk", jobs, "nap")
        arena.start_workers(_ONE, "nap")
        arena.start_workers(_ONE, "nap")
        arena.wait(lambda: arena.completed() > jobs // 20, 60)
        start = time.monotonic()
        while (done := arena.completed()) < jobs:
            if done != moved[1]:
                moved = (time.monotonic(), done)
            if time.monotonic() - moved[0] > 15:
                break
            if time.monotonic() - start >= acts + 1 and (name != "outage" or not acts):
                ACTS[name](arena, next(turn))
                acts += 1
                moved = (time.monotonic(), done)
            time.sleep(0.01)
        return {"jobs": jobs, "acts": acts, **_counted(arena, jobs)}


def _counted(arena: Arena, jobs: int) -> dict[str, Any]:
    reader = Reader(Link(arena.server.url), "hsejobs")
    records = [
        record for page in reader.walk("bench", State.COMPLETED, payload_bytes=0) for record in page
    ]
    ran = collections.Counter(arena.lines("ran"))
    told: collections.Counter[str] = collections.Counter()
    for line in arena.log().splitlines():
        if line.startswith("{"):
            told[json.loads(line)["event"]] += 1
    return {
        "lost": jobs - len(records),
        "ran twice": sum(1 for times in ran.values() if times > 1),
        "ran more often": sum(1 for times in ran.values() if times > 2),
        "waited for a lease": sum(1 for record in records if record.stalls),
        "late outcomes refused": told["refused"],
        "lines: redis away": told["redis away"],
        "lines: redis back": told["redis back"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", help=f"of {', '.join(ACTS)}, separated by commas")
    parser.add_argument("--jobs", type=int, default=2_000)
    parser.add_argument("--redis", help="server program, or 'valkey'")
    given = parser.parse_args()
    chosen = given.only.split(",") if given.only else list(ACTS)
    unknown = [name for name in chosen if name not in ACTS]
    if unknown:
        parser.error(f"--only: {unknown[0]} is none of {', '.join(ACTS)}")
    binary = find_binary(given.redis)
    report = {name: measure(name, given.jobs, binary) for name in chosen}
    print(json.dumps(report, indent=2))
    return 1 if any(one["lost"] for one in report.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
