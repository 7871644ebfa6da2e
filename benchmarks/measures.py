"""The measurements. All contestants are measured by the same code.

All jobs carry about 300 bytes of JSON, their task does nothing, and every finished
record is kept. Each function takes a contestant and a `Plan` and returns one
sample: figures by name, with their units and directions in `FIGURES`.

How Redis's work is measured: ``commands`` is the growth of
``total_commands_processed``, which counts the calls made inside scripts too.
``round trips`` is the growth of ``total_reads_processed``: each time the server
finds something to read at a client's socket, so requests that a client sends
together count as one. The benchmark's own requests are subtracted from both.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

from benchmarks.arena import Arena
from benchmarks.contestants import Contestant, Shape
from benchmarks.figures import percentile

Sample = dict[str, float]

#: The exceptions that fail a measurement without ending the run.
FAILURES = (RuntimeError, OSError, subprocess.TimeoutExpired, redis.RedisError)

PICKUPS = 300
DELAYED = 200
LOSSES = 2000
LEASE_MS = 3000


@dataclass
class Plan:
    """The size of the run, and the worker shapes chosen by tuning."""

    jobs: int
    binary: str
    chosen: dict[tuple[str, int], Shape] = field(default_factory=dict)

    def shape(self, contestant: Contestant, processes: int) -> Shape:
        candidates = contestant.one if processes == 1 else contestant.two
        return self.chosen.get((contestant.family, processes), candidates[0])


def tune(contestant: Contestant, plan: Plan, processes: int) -> dict[str, float]:
    """Drain once with each shape and keep the fastest; return the result of each."""
    shapes = contestant.one if processes == 1 else contestant.two
    rates = {s: _drain(contestant, plan, s, max(plan.jobs // 2, 1000))["jobs/s"] for s in shapes}
    plan.chosen[contestant.family, processes] = max(rates, key=lambda shape: rates[shape])
    return {shape.label: round(rate, 1) for shape, rate in rates.items()}


def drain1(contestant: Contestant, plan: Plan) -> Sample:
    """Jobs/s of one worker process on a queue filled beforehand."""
    return _drain(contestant, plan, plan.shape(contestant, 1), plan.jobs)


def drain2(contestant: Contestant, plan: Plan) -> Sample:
    """Jobs/s of two worker processes together on a queue filled beforehand."""
    return _drain(contestant, plan, plan.shape(contestant, 2), plan.jobs)


def _drain(contestant: Contestant, plan: Plan, shape: Shape, jobs: int) -> Sample:
    """The clock starts when every process has begun its first job, and ends with the last.

    When a process begins only after half of the jobs are done, there are too few
    jobs for that; the clock then starts at the first completion.
    """
    first: tuple[float, int] | None = None
    steady: tuple[float, int] | None = None
    last = (0.0, 0)

    with Arena(contestant, plan.binary) as arena:
        arena.add("bulk", jobs)
        arena.start_workers(shape)

        def look() -> bool:
            nonlocal first, steady, last
            done = arena.completed()
            last = (time.perf_counter(), done)
            if done and first is None:
                first = last
            if done and steady is None and arena.marks() >= shape.marks:
                steady = last
            if done > jobs * 0.8:
                time.sleep(0.004)
                return done >= jobs
            time.sleep(0.02)
            return False

        arena.wait(look, 60 + jobs / 50, step=0)
    start = steady if steady and steady[1] < jobs / 2 else first
    if start is None or start[1] >= jobs:
        raise RuntimeError("too few jobs to see a rate; ask for more with --jobs")
    return {"jobs/s": (last[1] - start[1]) / (last[0] - start[0])}


def add(contestant: Contestant, plan: Plan) -> Sample:
    """Jobs/s of one process that adds them one at a time."""
    n = max(plan.jobs // 2, 500)
    with Arena(contestant, plan.binary) as arena:
        return {"jobs/s": n / arena.add("add", n, warm=500)}


def bulk(contestant: Contestant, plan: Plan) -> Sample:
    """Jobs/s of one process that adds a thousand at a time."""
    with Arena(contestant, plan.binary) as arena:
        return {"jobs/s": plan.jobs / arena.add("bulk", plan.jobs, warm=1000)}


def pickup(contestant: Contestant, plan: Plan) -> Sample:
    """From just before an add to the task's first line, with an idle worker."""
    return _lateness(contestant, plan, "pickup", PICKUPS)


def delayed(contestant: Contestant, plan: Plan) -> Sample:
    """From the moment a job was due to the task's first line; delays of 0.5 to 2.5 s."""
    return _lateness(contestant, plan, "delayed", DELAYED)


def _lateness(contestant: Contestant, plan: Plan, mode: str, n: int) -> Sample:
    with Arena(contestant, plan.binary) as arena:
        arena.start_workers(contestant.one[0], "probe")
        arena.add("bulk", 20, "probe")
        arena.wait(lambda: arena.completed() >= 20, 60)
        arena.add(mode, n, "probe", warm=20)
        arena.wait(lambda: len(arena.lines("late")) >= n, 60, step=0.1)
        late = [float(line) for line in arena.lines("late")]
    return {"p50 ms": percentile(late, 50), "p99 ms": percentile(late, 99)}


def memory(contestant: Contestant, plan: Plan) -> Sample:
    """Growth of ``used_memory`` per completed job, with no worker before or after.

    Servers differ in this by a third and more for the same keys: see ``server`` in
    the report's ``environment``.
    """
    sample = {"bytes": _bytes_kept(contestant, plan, None)}
    if contestant.organizations:
        sample["bytes with organization"] = _bytes_kept(contestant, plan, "org-123")
    return sample


def _bytes_kept(contestant: Contestant, plan: Plan, organization: str | None) -> float:
    warm, n = 1000, max(plan.jobs // 2, 1000)

    with Arena(contestant, plan.binary) as arena:

        def used_after(jobs: int) -> int:
            total = arena.completed() + jobs
            arena.add("bulk", jobs, organization=organization)
            arena.start_workers(contestant.one[0])
            arena.wait(lambda: arena.completed() >= total, 60 + jobs / 50)
            arena.stop_workers()
            return arena.server.used_memory()

        before = used_after(warm)
        return (used_after(n) - before) / n


def commands(contestant: Contestant, plan: Plan) -> Sample:
    """Redis's work per job: for a single add, and for one worker process that drains."""
    n = max(plan.jobs // 4, 1000)
    sample = {}
    with Arena(contestant, plan.binary) as arena:
        before = arena.server.totals()
        arena.add("add", n)
        added = arena.server.totals()
        arena.start_workers(plan.shape(contestant, 1))
        arena.wait(lambda: arena.completed() >= n, 60 + n / 50)
        worked = arena.server.totals()
    for what, start, end in (("add: ", before, added), ("", added, worked)):
        sample[what + "commands"] = (end.commands - start.commands) / n
        sample[what + "round trips"] = (end.reads - start.reads) / n
    return sample


def losses(contestant: Contestant, plan: Plan) -> Sample:
    """Jobs of 2,000 that never complete after one ``kill -9`` in the middle.

    Ten jobs of 5 ms at a time; leases of 3 s where there are leases. A worker
    started after the kill has the rest to itself until all are completed, or
    nothing has been for 10 s. ``ran twice`` counts jobs that ran to their end twice.
    """
    changed = (time.monotonic(), 0)

    with Arena(contestant, plan.binary, contestant.lease_env(LEASE_MS)) as arena:
        arena.add("bulk", LOSSES, "nap")
        arena.start_workers(contestant.ten, "nap")
        arena.wait(lambda: len(arena.lines("ran")) >= LOSSES / 2, 60, step=0.01)
        arena.kill_workers()
        arena.start_workers(contestant.ten, "nap")

        def still() -> bool:
            nonlocal changed
            done = arena.completed()
            if done != changed[1]:
                changed = (time.monotonic(), done)
            return done >= LOSSES or time.monotonic() > changed[0] + 10

        changed = (time.monotonic(), arena.completed())
        arena.wait(still, 120)
        ran = arena.lines("ran")
        return {"lost": LOSSES - arena.completed(), "ran twice": len(ran) - len(set(ran))}


MEASURES: dict[str, Callable[[Contestant, Plan], Sample]] = {
    "drain1": drain1,
    "drain2": drain2,
    "add": add,
    "bulk": bulk,
    "pickup": pickup,
    "delayed": delayed,
    "memory": memory,
    "commands": commands,
    "losses": losses,
}
