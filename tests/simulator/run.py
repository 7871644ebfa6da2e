"""One seed from its beginning to its end; and from the command line several of them."""

from __future__ import annotations

import atexit
import contextlib
import gc
import itertools
import json
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from hsejobs.engine import maintenance, pace, stepping
from hsejobs.settings import load_settings
from hsejobs.store import keys
from hsejobs.watch import logs
from tests.simulator.clock import simulated_time
from tests.simulator.engine import QUEUE, Sim
from tests.simulator.network import Network
from tests.simulator.observer import Observer
from tests.simulator.people import HURTS, Canceller, Luck, Operator, Producer
from tests.simulator.wire import Wire
from tests.simulator.world import Violation, World
from tests.support.leaks import find_leaks
from tests.support.server import Server, server_binary

#: Seconds in which all jobs must end after the last fault.
SETTLE = 400.0
PREFIX = "t"
ENV = {
    "QUEUE_LEASE_MS": "5000",
    "QUEUE_MAX_STALLS": "3",
    "QUEUE_SHUTDOWN_GRACE_MS": "3000",
    "QUEUE_CANCEL_GRACE_MS": "1000",
    "JOBS_HOME": "/nonexistent",
    "QUEUE_REDIS_PREFIX": PREFIX,
}


@dataclass(slots=True)
class Result:
    """How a seed went. ``digest``: of the whole trace, the same at each replay."""

    seed: int
    steps: int
    simulated_seconds: float
    digest: int
    violation: str | None = None
    at_step: int = 0
    trace: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)


@contextlib.contextmanager
def _quiet(world: World) -> Iterator[None]:
    """What the engine logs goes into the trace; faults that the simulation did not cause are violations."""
    logging.disable(logging.CRITICAL)
    kept = {name: getattr(logs, name) for name in ("configure", "job", "emit", "completed")}

    def emit(event: str, level: int = 20, **fields: Any) -> None:
        world.note(f"log: {event} {fields.get('duty', '')} {str(fields.get('error', ''))[:70]}")
        told = str(fields.get("error", ""))
        # What is optional, as the history, says that Redis refuses it.
        refused = fields.get("duty") == "history" and "NOPERM" in told
        faults = ("worker", "duty failed", "schedule failed")
        if event in faults and "mistake" not in told and not refused:
            world.violated(Violation(f"{event}: {told}"), sys.exc_info()[1])

    silent: Any = lambda *args, **options: None  # noqa: E731
    for name in kept:
        setattr(logs, name, emit if name == "emit" else silent)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for name, value in kept.items():
            setattr(logs, name, value)


@contextlib.contextmanager
def _linked(sim: Sim) -> Iterator[None]:
    """Links that the worker and the maintenance thread make for themselves are simulated too."""
    places: tuple[Any, ...] = (stepping, maintenance)
    kept = [module.RedisClient for module in places]
    for module in places:
        module.RedisClient = sim.client_class
    try:
        yield
    finally:
        for module, client in zip(places, kept, strict=True):
            module.RedisClient = client


@contextlib.contextmanager
def _paced(sim: Sim) -> Iterator[None]:
    """If the simulation is hasty, workers soon forget a long job, and one wait makes Redis far away: few jobs
    are simulated.
    """
    kept = pace._FORGET, pace._WAIT_COUNTS
    if sim.hasty:
        pace._FORGET, pace._WAIT_COUNTS = 0.3, 64
    try:
        yield
    finally:
        pace._FORGET, pace._WAIT_COUNTS = kept


def simulate(
    server: Server,
    seed: int,
    steps: int,
    patches: dict[str, Callable[[str], str]] | None = None,
    hurts: Sequence[str] = HURTS,
    *,
    cancels: bool = True,
) -> Result:
    """Runs a seed for ``steps`` steps, and then until all is settled.

    ``patches``: of scripts' texts; ``hurts``: what may happen; ``cancels``: whether people cancel jobs.
    """
    world = World(seed)
    wire = Wire(f"{server.folder}/r.sock", keys.base(PREFIX, QUEUE), patches)
    observer = Observer(
        world, lambda job_id: wire.command("LRANGE", f"{wire.base}l:{job_id}", 0, -1)
    )
    network = Network(world, wire, observer)
    sim = Sim(world, network, observer, load_settings(ENV))
    try:
        with simulated_time(world), _quiet(world), _linked(sim), _paced(sim):
            luck = Luck(sim, world.random.choice((2, 3)), hurts)
            for name in ("p", "q")[: world.random.choice((1, 2))]:
                Producer(sim, name)
            Operator(sim)
            if cancels:
                Canceller(sim)
            world.run(lambda: world.steps >= steps)
            if world.violation is None:
                _settle(sim, luck, server)
            at_step, simulated = world.steps, world.now
            for group in list(sim.groups):
                sim.end_group(group)
            world.end()
    finally:
        wire.command("CONFIG", "SET", "maxmemory", "0")
        wire.close()
    result = Result(seed, at_step, round(simulated, 1), world.digest, calls=dict(observer.seen))
    result.trace = list(world.trace)
    if world.violation is not None:
        result.violation, result.at_step = str(world.violation), at_step
        if world.violation.__cause__ is not None:
            import traceback

            result.trace += traceback.format_exception(world.violation.__cause__)
    return result


def _settle(sim: Sim, luck: Luck, server: Server) -> None:
    """Ends all faults: every job must then end and leave no keys."""
    world, observer = sim.world, sim.observer
    sim.closing = True
    luck.heal()
    until = world.now + SETTLE
    # What an operator sent before may still be on its way.
    paused = keys.of(sim.network.wire.base, "paused")
    world.at(world.now + 7, lambda: sim.network.wire.command("DEL", paused))

    def settled() -> bool:
        return world.now > until or (
            world.now > until - SETTLE + 12
            and all(row.state in "cf" for row in observer.jobs.values())
        )

    world.run(settled)
    if world.violation is not None:
        return
    left = [f"{row.id} {row.state}" for row in observer.jobs.values() if row.state not in "cf"]
    if left:
        world.violated(Violation(f"never ended: {', '.join(left)}"))
    with server.client() as client:
        leaks = find_leaks(client, PREFIX)
    if leaks:
        world.violated(Violation(f"left in Redis: {leaks[0]}"))


_servers: list[Server] = []


def _begin() -> None:
    """Each process has its own server."""
    server = Server(server_binary())
    server.start()
    _servers.append(server)
    atexit.register(server.close)


def _one(seed: int, steps: int) -> Result:
    result = simulate(_servers[0], seed, steps)
    gc.collect()
    return result


def main() -> int:
    """SEEDS (``7`` or ``1:50``), STEPS and how many processes; prints JSON. Exit 1 on a violation."""
    first, _, last = sys.argv[1].partition(":")
    steps, workers = int(sys.argv[2]), int(sys.argv[3])
    seeds = range(int(first), int(last or first) + 1)
    began, results = time.perf_counter(), []
    with ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
    ) as pool:
        for result in pool.map(_one, seeds, itertools.repeat(steps)):
            results.append(result)
            if result.violation is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    seconds, done = time.perf_counter() - began, sum(one.steps for one in results)
    report: dict[str, Any] = {
        "seeds": sys.argv[1],
        "steps": done,
        "seconds": round(seconds, 1),
        "stepsPerSecond": round(done / seconds),
        "simulatedSeconds": round(sum(one.simulated_seconds for one in results)),
        "violation": None,
    }
    last_one = results[-1]
    if last_one.violation is not None or len(seeds) == 1:
        report.update({**asdict(last_one), "steps": done})
    print(json.dumps(report, indent=2))
    return 1 if last_one.violation is not None else 0


if __name__ == "__main__":
    sys.exit(main())
