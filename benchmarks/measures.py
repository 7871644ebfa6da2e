"""The measurements. All contestants are measured by the same code.

Each job carries a mail of 330 bytes, its task returns ``{"ok": true, "id": n}``, and every
finished record is kept. A measurement that completes jobs ends with a look at all results: each
job must have its own. Each function takes a contestant, a `Plan` and a `Case`, and returns one
sample: figures by name, with their units.

``worker CPU us`` is what a job costs the processes of the workers, helpers included, while the
rate is measured; ``redis CPU us`` what it costs the server. ``adder CPU us`` is the same for the
process that adds.

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
from typing import NamedTuple

import redis

from benchmarks.arena import Arena, Spent
from benchmarks.cases import CASES, Case
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
    """The size of the run, and the worker shapes that tuning has chosen for each link."""

    jobs: int
    binary: str
    chosen: dict[tuple[str, int, str], Shape] = field(default_factory=dict)

    def shape(self, contestant: Contestant, processes: int, case: Case) -> Shape:
        candidates = contestant.one if processes == 1 else contestant.two
        return self.chosen.get((contestant.family, processes, case.link), candidates[0])


def tune(contestant: Contestant, plan: Plan, processes: int, case: Case) -> dict[str, float]:
    """Drain once with each shape and keep the fastest; return the result of each."""
    shapes = contestant.one if processes == 1 else contestant.two
    jobs = plan.jobs // 2
    rates = {s: _drain(contestant, plan, case, s, jobs)["jobs/s"] for s in shapes}
    best = max(rates, key=lambda shape: rates[shape])
    plan.chosen[contestant.family, processes, case.link] = best
    return {shape.label: round(rate, 1) for shape, rate in rates.items()}


def drain1(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """Jobs/s of one worker process on a queue filled beforehand."""
    return _drain(contestant, plan, case, plan.shape(contestant, 1, case), plan.jobs)


def drain2(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """Jobs/s of two worker processes together on a queue filled beforehand."""
    return _drain(contestant, plan, case, plan.shape(contestant, 2, case), plan.jobs)


def ordinary(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """Ten jobs of 5 ms at a time in one process, which is too long for claims of several jobs."""
    return _drain(contestant, plan, case, contestant.ten, plan.jobs // 4, "nap")


class _Moment(NamedTuple):
    at: float
    done: int
    spent: Spent


def _drain(
    contestant: Contestant, plan: Plan, case: Case, shape: Shape, jobs: int, task: str = "mail"
) -> Sample:
    """The clock starts when every process has begun its first job, and ends with the last.

    When a process begins only after half of the jobs are done, there are too few
    jobs for that; the clock then starts at the first completion.
    """
    first: _Moment | None = None
    steady: _Moment | None = None
    last: tuple[float, int] = (0.0, 0)
    jobs = max(int(jobs * contestant.portion), 1000)

    with Arena(contestant, plan.binary, case) as arena:
        arena.add("bulk", jobs, task)
        arena.start_workers(shape, task)

        def look() -> bool:
            nonlocal first, steady, last
            done = arena.completed()
            last = (time.perf_counter(), done)
            if done and first is None:
                first = _Moment(*last, arena.spent())
            if done and steady is None and arena.marks() >= shape.marks:
                steady = _Moment(*last, arena.spent())
            if done > jobs * 0.8:
                time.sleep(0.004)
                return done >= jobs
            time.sleep(0.02)
            return False

        arena.wait(look, 60 + jobs / 50, step=0)
        ended = arena.spent()
        results = arena.check()
    start = steady if steady and steady.done < jobs / 2 else first
    if start is None or start.done >= jobs:
        raise RuntimeError("too few jobs to see a rate; ask for more with --jobs")
    timed, spent = last[1] - start.done, ended.since(start.spent)
    sample = {
        "jobs/s": timed / (last[0] - start.at),
        "worker CPU us": spent.workers / timed * 1e6,
        "redis CPU us": sum(spent.servers) / timed * 1e6,
        "results": results,
    }
    if len(spent.servers) > 1:
        sample["busiest redis CPU us"] = max(spent.servers) / timed * 1e6
    return sample


def add(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """Jobs/s of one process that adds them one at a time."""
    return _add(contestant, plan, case, "add", plan.jobs // 2, 500)


def bulk(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """Jobs/s of one process that adds a thousand at a time."""
    return _add(contestant, plan, case, "bulk", plan.jobs, 1000)


def _add(contestant: Contestant, plan: Plan, case: Case, mode: str, n: int, warm: int) -> Sample:
    """A worker completes the jobs afterwards, which shows that what was added can run."""
    n = max(int(n * contestant.portion), 500)
    with Arena(contestant, plan.binary, case) as arena:
        before = arena.spent()
        adding = arena.add(mode, n, warm=warm)
        redis_spent = sum(arena.spent().since(before).servers)
        arena.start_workers(plan.shape(contestant, 1, case))
        arena.wait(lambda: arena.completed() >= arena.added, 60 + n / 50)
        arena.check()
    return {
        "jobs/s": n / adding.seconds,
        "adder CPU us": adding.cpu / n * 1e6,
        "redis CPU us": redis_spent / (n + warm) * 1e6,
    }


def pickup(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """From just before an add to the task's first line, with an idle worker."""
    return _lateness(contestant, plan, case, "pickup", PICKUPS)


def delayed(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """From the moment a job was due to the task's first line; delays of 0.5 to 2.5 s."""
    return _lateness(contestant, plan, case, "delayed", DELAYED)


def _lateness(contestant: Contestant, plan: Plan, case: Case, mode: str, n: int) -> Sample:
    with Arena(contestant, plan.binary, case) as arena:
        arena.start_workers(contestant.one[0], "probe")
        arena.add("bulk", 20, "probe")
        arena.wait(lambda: arena.completed() >= 20, 60)
        arena.add(mode, n, "probe", warm=20)
        arena.wait(lambda: arena.completed() >= arena.added, 60, step=0.1)
        arena.check()
        late = [float(line) for line in arena.lines("late")]
    if len(late) != n:
        raise RuntimeError(f"{len(late)} of {n} jobs said when they began")
    return {"p50 ms": percentile(late, 50), "p99 ms": percentile(late, 99)}


def memory(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """Growth of ``used_memory`` per completed job, with no worker before or after.

    Servers differ in this by a third and more for the same keys: see ``server`` in
    the report's ``environment``.
    """
    warm, n = 1000, max(int(plan.jobs * contestant.portion) // 2, 1000)

    with Arena(contestant, plan.binary, case) as arena:

        def used_after(jobs: int) -> int:
            arena.add("bulk", jobs)
            arena.start_workers(contestant.one[0])
            arena.wait(lambda: arena.completed() >= arena.added, 60 + jobs / 50)
            arena.stop_workers()
            return arena.server.used_memory()

        before = used_after(warm)
        grown = used_after(n) - before
        arena.check()
    return {"bytes": grown / n}


def commands(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """Redis's work per job: for a single add, and for one worker process that drains."""
    n = max(plan.jobs // 4, 1000)
    sample: Sample = {}
    with Arena(contestant, plan.binary, case) as arena:
        before = arena.totals()
        arena.add("add", n)
        added = arena.totals()
        arena.start_workers(plan.shape(contestant, 1, case))
        arena.wait(lambda: arena.completed() >= n, 60 + n / 50)
        worked = arena.totals()
        arena.check()
    for what, start, end in (("add: ", before, added), ("", added, worked)):
        sample[what + "commands"] = (end.commands - start.commands) / n
        sample[what + "round trips"] = (end.reads - start.reads) / n
    return sample


def losses(contestant: Contestant, plan: Plan, case: Case) -> Sample:
    """Jobs of 2,000 that never complete after one ``kill -9`` in the middle.

    Ten jobs of 5 ms at a time; leases of 3 s where there are leases. A worker
    started after the kill has the rest to itself until all are completed, or
    nothing has been for 10 s. ``ran twice`` counts jobs that ran to their end twice.
    """
    changed = (time.monotonic(), 0)

    with Arena(contestant, plan.binary, case, contestant.lease_env(LEASE_MS)) as arena:
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


MEASURES: dict[str, Callable[[Contestant, Plan, Case], Sample]] = {
    "drain1": drain1,
    "drain2": drain2,
    "ordinary": ordinary,
    "add": add,
    "bulk": bulk,
    "pickup": pickup,
    "delayed": delayed,
    "memory": memory,
    "commands": commands,
    "losses": losses,
}

#: The cases in which each is measured unless the command names others.
USUAL = {
    name: {
        "drain1": list(CASES),
        "drain2": ["tcp", "unix", "1ms"],
        "ordinary": ["tcp", "tenant"],
        "add": ["tcp", "unix", "1ms", "tenant"],
        "bulk": ["tcp", "1ms", "secret"],
        "memory": ["tcp", "tenant"],
        "commands": ["tcp", "tenant"],
    }.get(name, ["tcp"])
    for name in MEASURES
}
