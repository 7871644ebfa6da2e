"""The actors other than consumers: producers, operators, and injected faults."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.model import State
from hsejobs.store.write import Cancel
from tests.simulator.engine import QUEUE, Sim
from tests.simulator.network import REFUSALS
from tests.simulator.observer import Row
from tests.simulator.world import Group, Violation

ORGS = (None, "one", "two")
#: Producers rest while the queue has this many jobs: each step reads them all.
MOST_JOBS = 24


def words(sim: Sim) -> list[list[Any]]:
    """What a job does."""
    random = sim.world.random
    length = random.choice((0, 0, 0, 1, 2, 4, 7))
    said: list[list[Any]] = []
    for _ in range(length):
        said.append(
            random.choice(
                (
                    ["sleep", round(random.choice((0.003, 0.05, 0.6, 2.0, 9.0)), 3)],
                    ["sleep", 0.3],
                    ["progress", random.randint(0, 100)],
                    ["log", 0],
                    ["log", 0],
                    ["once", random.choice("ab")],
                    ["mark", random.choice("ab")],
                    ["check", 0],
                )
            )
        )
    ending = random.random()
    if ending < 0.10:
        said.append(["raise", random.choice((1, 1, 9))])
    elif ending < 0.14:
        said.append(["busy", 1])
    elif ending < 0.20:
        said.append(["postpone", round(random.uniform(0.1, 2), 2)])
    elif ending < 0.22:
        said.append(["final", 0])
    return said


class Producer:
    """Adds jobs; if an add reports that Redis was unavailable, it adds the same job again."""

    def __init__(self, sim: Sim, name: str) -> None:
        self.sim, self.name = sim, name
        self.group = Group(name)
        self.group.skew = sim.world.random.uniform(-5, 5)
        sim.world.spawn(self.group, name, self.run)

    def run(self) -> None:
        sim, random = self.sim, self.sim.world.random
        huey = sim.huey()
        number = 0
        while True:
            sim.world.sleep(random.expovariate(1 / 0.12))
            if len(sim.observer.jobs) >= MOST_JOBS or sim.closing:
                continue
            if random.random() < 0.1 and number > 3:
                chosen = f"{self.name}-{random.randint(max(1, number - 9), number)}"
            else:
                number += 1
                chosen = f"{self.name}-{number}"
            many = random.choice((1, 6, 14) if sim.hasty else (1, 1, 1, 1, 6))
            self.add(huey, [f"{chosen}.{n}" for n in range(many)])

    def add(self, huey: Any, ids: list[str]) -> None:
        sim, random = self.sim, self.sim.world.random
        options: dict[str, Any] = {
            "organization_id": random.choice(ORGS),
            "priority": random.randint(1, 5),
            "delay": random.choice((0, 0, 0, 0.5, 3.0)),
            "timeout": random.choice((None, None, 0.5, 4.0)),
            "attempts": random.choice((1, 2, 3, 3)),
        }
        # Several small ones together are claimed together.
        payloads = [
            {"do": words(sim) if len(ids) == 1 else [], "value": random.choice((None, 7, "x" * 99))}
            for _ in ids
        ]
        if len(ids) > 1 and random.random() < 0.5:
            slow = random.randrange(len(ids)) if sim.hasty else -1
            payloads[slow]["do"] = [["sleep", random.choice((0.003, 0.03, 3.0, 7.0))]]
        for _ in range(random.choice((1, 4, 40))):
            try:
                jobs = huey.play.add_many(payloads, ids=ids, **options)
            except RedisUnavailable:
                sim.world.sleep(random.uniform(0.1, 1))
                continue
            except JobsError:
                continue
            for job in jobs:
                if job.created:
                    sim.observer.accepted.add(job.id)
                if job.id not in sim.observer.made:
                    raise Violation(f"{job.id} was accepted, and never made")
            return


class Operator:
    """Takes an operator's actions, on jobs as it saw them a moment ago."""

    def __init__(self, sim: Sim) -> None:
        self.sim = sim
        self.removed: list[Any] = []
        sim.world.spawn(Group("operator"), "operator", self.run)

    def run(self) -> None:
        sim, random = self.sim, self.sim.world.random
        runtime = sim.huey().runtime
        acts: list[Callable[[], Any]] = [
            lambda: runtime.writer.retry_many(QUEUE, self.some("f")),
            lambda: runtime.writer.retry_many(QUEUE, self.some("wadcf"), random.choice(ORGS)),
            lambda: runtime.writer.promote_many(QUEUE, self.some("dw")),
            lambda: self.remove(runtime.writer),
            lambda: self.restore(runtime.writer),
            lambda: runtime.writer.pause(QUEUE),
            lambda: runtime.writer.resume(QUEUE),
            lambda: runtime.writer.resume(QUEUE),
            lambda: self.clean(runtime.writer, State.COMPLETED),
            lambda: self.clean(runtime.writer, State.COMPLETED),
            lambda: self.clean(runtime.writer, random.choice((State.FAILED, State.DELAYED))),
            lambda: random.random() < 0.1 and runtime.writer.drain(QUEUE),
            lambda: self.count(runtime.reader),
        ]
        while True:
            sim.world.sleep(random.expovariate(1 / 0.8))
            act = random.choice(acts)
            if sim.closing:
                continue
            try:
                act()
            except JobsError:
                continue

    def some(self, states: str) -> list[str]:
        jobs = sorted(row.id for row in self.sim.observer.jobs.values() if row.state in states)
        random = self.sim.world.random
        return random.sample(jobs, min(len(jobs), random.randint(1, 4))) or ["no-such-job"]

    def remove(self, writer: Any) -> None:
        removed, _ = writer.remove_many(QUEUE, self.some("wadcf"))
        self.removed = (self.removed + removed)[-5:]

    def restore(self, writer: Any) -> None:
        if self.removed:
            writer.restore(self.removed.pop())

    def clean(self, writer: Any, state: State) -> None:
        random = self.sim.world.random
        writer.clean(QUEUE, state, random.choice((0, 2000)), organization_id=random.choice(ORGS))

    def count(self, reader: Any) -> None:
        """Compares the counts with the jobs at the time of the read."""
        observer, org = self.sim.observer, self.sim.world.random.choice(ORGS)
        rows = list(observer.jobs.values())
        steps = self.sim.world.steps
        (stats,) = reader.stats([QUEUE], org, minutes=2)
        if self.sim.world.steps != steps + 1:
            return
        told = {state.letter: getattr(stats, state.value) for state in State}
        if told != _counted(rows, org):
            raise Violation(f"the counts of {org} are {told}, should be {_counted(rows, org)}")


class Canceller:
    """Cancels jobs in any state. Not part of the operator: the old faults' seeds were found without it."""

    def __init__(self, sim: Sim) -> None:
        self.sim = sim
        sim.world.spawn(Group("canceller"), "canceller", self.run)

    def run(self) -> None:
        sim, random = self.sim, self.sim.world.random
        writer = sim.huey().runtime.writer
        while True:
            sim.world.sleep(random.expovariate(1 / 1.2))
            rows = sorted(sim.observer.jobs.values(), key=lambda row: row.id)
            ids = [row.id for row in rows if row.state in random.choice(("a", "a", "w", "wadcf"))]
            if sim.closing or not ids:
                continue
            chosen = random.sample(ids, min(len(ids), random.randint(1, 2)))
            with contextlib.suppress(JobsError):
                writer.cancel_many(QUEUE, chosen, Cancel("ann", "no"), random.choice(ORGS))


def _counted(rows: list[Row], org: str | None) -> dict[str, int]:
    mine = [row.state for row in rows if org is None or row.org == org]
    return {state.letter: mine.count(state.letter) for state in State}


#: The kinds of faults; frequent ones are listed more than once.
HURTS = (
    "crash",
    "crash",
    "stop",
    "kill_worker",
    "kill_worker",
    "freeze",
    "cut",
    "down",
    "down",
    "silent",
    "refuse",
    "refuse",
    "full",
    "full",
    "flush",
    "noise",
    "noise",
    "noise",
)


class Luck:
    """Injects faults into processes, the network and the server, one after the other."""

    def __init__(self, sim: Sim, consumers: int, hurts: Sequence[str]) -> None:
        self.sim, self.wanted, self.hurts = sim, consumers, hurts
        self.full_until = 0.0
        sim.world.spawn(Group("luck"), "luck", self.run)

    def run(self) -> None:
        sim = self.sim
        for _ in range(self.wanted):
            sim.start_consumer()
        while True:
            sim.world.sleep(sim.world.random.expovariate(1 / 2.5))
            if sim.closing:
                continue
            name = sim.world.random.choice(self.hurts)
            sim.world.note(f"luck: {name}")
            getattr(self, name)()

    def _time(self) -> float:
        return self.sim.world.random.choice((0.2, 0.7, 1.5, 4.0, 9.0, 14.0))

    def _victim(self) -> Any:
        living = [one for one in self.sim.consumers if one.group.alive]
        return self.sim.world.random.choice(living) if living else None

    def replace(self) -> None:
        """Starts another consumer, after a while."""
        sim = self.sim
        later = sim.world.now + sim.world.random.choice((0.01, 0.5, 3.0, 10.0))
        sim.world.at(later, sim.start_consumer)

    def crash(self) -> None:
        victim = self._victim()
        if victim is not None:
            self.sim.end_group(victim.group)
            self.replace()

    def stop(self) -> None:
        victim = self._victim()
        if victim is not None and victim._signals == 0:
            victim.stop()
            self.replace()

    def kill_worker(self) -> None:
        victim = self._victim()
        # A consumer that stops has none left at its end.
        if victim is not None and victim.environment.forks and victim.worker_threads:
            _, process = self.sim.world.random.choice(victim.worker_threads)
            if process.actor is not None:
                self.sim.world.kill(process.actor)

    def freeze(self) -> None:
        victim = self._victim()
        if victim is not None:
            until = self.sim.world.now + self._time()
            victim.group.frozen_until = max(victim.group.frozen_until, until)

    def cut(self) -> None:
        victim = self._victim()
        if victim is not None:
            until = self.sim.world.now + self._time()
            victim.group.cut_until = max(victim.group.cut_until, until)

    def down(self) -> None:
        self.sim.network.down_until = self.sim.world.now + self._time()

    def silent(self) -> None:
        self.sim.network.frozen_until = self.sim.world.now + self._time()

    def refuse(self) -> None:
        code = self.sim.world.random.choice(REFUSALS)
        self.sim.world.note(f"the server says {code}")
        self.sim.network.refusing = (code, self.sim.world.now + self._time())

    def full(self) -> None:
        """The server itself answers OOM to commands that need memory."""
        world = self.sim.world
        self.full_until = max(self.full_until, world.now + self._time())
        self.sim.network.wire.command("CONFIG", "SET", "maxmemory", "1")
        world.at(self.full_until, self._empty)

    def _empty(self) -> None:
        if self.sim.world.now >= self.full_until - 1e-6:
            self.sim.network.wire.command("CONFIG", "SET", "maxmemory", "0")

    def flush(self) -> None:
        wire = self.sim.network.wire
        wire.command("SCRIPT", "FLUSH")
        wire.load_check()

    def noise(self) -> None:
        network, random = self.sim.network, self.sim.world.random
        level = random.choice((0.0, 0.0, 0.0, 0.01, 0.05))
        network.lose, network.mute = level, level
        network.late, network.slow, network.fault = level / 2, level, level / 4

    def heal(self) -> None:
        """Ends all faults."""
        network, world = self.sim.network, self.sim.world
        network.lose = network.mute = network.late = network.slow = network.fault = 0.0
        network.down_until = min(network.down_until, world.now)
        network.frozen_until = min(network.frozen_until, world.now)
        network.refusing = ("", 0.0)
        self.full_until = world.now
        self._empty()
        for group in self.sim.groups:
            group.cut_until = min(group.cut_until, world.now)
