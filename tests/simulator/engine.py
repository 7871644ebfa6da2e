"""The real consumer, maintenance and worker, in simulated processes and threads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from hsejobs import forks
from hsejobs.engine import doorbell
from hsejobs.engine.consumer import JobConsumer
from hsejobs.engine.context import JobInterrupted, current_job
from hsejobs.engine.huey import JobHuey
from hsejobs.engine.runtime import Runtime
from hsejobs.engine.slots import Slot
from hsejobs.engine.worker import JobWorker
from hsejobs.errors import JobCancelled, JobsError, LeaseLost, Postpone, Unrecoverable
from hsejobs.settings import Settings
from tests.simulator.clock import Ended
from tests.simulator.network import Network, SimClient
from tests.simulator.observer import Hold, Observer
from tests.simulator.world import Actor, Group, Violation, World

QUEUE = "sim"


class Sim:
    """What all parts of one simulation share."""

    def __init__(
        self, world: World, network: Network, observer: Observer, settings: Settings
    ) -> None:
        self.world, self.network, self.observer = world, network, observer
        self.settings = settings
        self.client_class: type[SimClient] = type("Client", (SimClient,), {"network": network})
        self.groups: list[Group] = []
        self.consumers: list[SimConsumer] = []
        self.numbers = 0
        #: Whether jobs come in large batches, and workers claim them so: then the next claim is on its
        #: way while a batch runs.
        self.hasty = world.random.random() < 0.5
        #: The end: no more jobs, acts or faults are added, and the existing jobs must end.
        self.closing = False

    def huey(self) -> SimHuey:
        """The queue's code as one process has it."""
        runtime = Runtime(self.settings)
        runtime.__dict__["redis"] = self.client_class()
        return SimHuey(self, runtime)

    def start_consumer(self) -> None:
        """A new process with a consumer."""
        self.numbers += 1
        world, group = self.world, Group(f"c{self.numbers}")
        group.skew = world.random.uniform(-2, 2)
        self.groups.append(group)
        forking = world.random.random() < 0.5
        workers = world.random.choice((1, 2, 2, 3))
        recycle = world.random.choice((None, None, 9))

        def body() -> None:
            consumer = SimConsumer(
                self,
                group,
                workers=workers,
                max_tasks=recycle,
                worker_type="process" if forking else "thread",
            )
            self.consumers.append(consumer)
            try:
                consumer.run()
            except Ended as end:
                if str(end) == "restart":
                    self.start_consumer()
            finally:
                self.end_group(group)

        world.spawn(group, f"{group.name}k", body)

    def end_group(self, group: Group) -> None:
        """Kills a whole process with its children."""
        if not group.alive:
            return
        group.alive = False
        for actor in group.actors:
            self.world.kill(actor)
        for consumer in [one for one in self.consumers if one.group is group]:
            self.consumers.remove(consumer)
            for end in (consumer._wake_r, consumer._wake_w):
                os.close(end)


class SimHuey(JobHuey):
    """The queue, whose runtime is its process's own."""

    def __init__(self, sim: Sim, runtime: Runtime) -> None:
        self._sim, self._own = sim, runtime
        super().__init__(QUEUE, attempts=3, backoff=0.5)
        self.play = self.task(name="play")(lambda payload: play(sim, payload))
        self.tick = self.periodic_task(lambda at: at.minute % 2 == 0, name="tick")(
            lambda: play(sim, {"do": [["sleep", 0.2]]})
        )

    @property
    def runtime(self) -> Runtime:
        return self._own


class Busy(JobsError):
    """An error with a time for the next attempt, which a task raises."""

    code = "busy"
    retry_after = 0.7


def play(sim: Sim, payload: Any) -> Any:
    """A task's body: does what its payload says, one word after the other."""
    world, job = sim.world, current_job()
    actor = world.current
    assert actor is not None
    hold = sim.observer.begins(job, actor)
    try:
        for word, value in payload["do"]:
            if word == "sleep":
                world.sleep(value)
            elif word in ("progress", "log"):
                _tell(sim, job, hold, word, value)
            elif word == "once":
                _once(sim, job, value)
            elif word == "mark":
                job.mark_done(value)
                assert job.done(value)
            elif word == "check":
                job.check()
            elif word == "raise" and job.attempt <= value:
                raise ValueError("not this time")
            elif word == "busy" and job.attempt <= value:
                raise Busy("come again")
            elif word == "postpone":
                raise Postpone("not now", delay=value, limit=6)
            elif word == "final":
                raise Unrecoverable("never")
        hold.finished = True
        return payload.get("value")
    finally:
        hold.running = False


def _tell(sim: Sim, job: Any, hold: Hold, word: str, value: Any) -> None:
    try:
        if word == "progress":
            job.progress(value, "so far")
        else:
            line = f"{job.token}:{len(hold.said)}"
            hold.said.append(line)
            job.log(line)
    except (LeaseLost, JobCancelled):
        raise
    except Exception as error:
        raise sim.world.violation_of(f"{word}() raised {error!r}") from error


def _once(sim: Sim, job: Any, key: str) -> None:
    name = (job.id, job.created_at, key)
    earlier = name in sim.observer.asked
    sim.observer.asked.add(name)
    sim.observer.asked_once(job, key, job.once(key), earlier)


class SimFlag:
    """The consumer's stop flag; a wait for it passes simulated time."""

    def __init__(self, world: World) -> None:
        self._world, self._set = world, False
        self._wakers: list[Callable[[Any], None]] = []

    def set(self) -> None:
        self._set = True
        for wake in self._wakers:
            self._world.at(self._world.now, lambda wake=wake: wake(None))  # type: ignore[misc]
        self._wakers.clear()

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float) -> bool:
        if not self._set:
            self._wakers.append(self._world.waker())
            self._world.wait(timeout)
            if len(self._wakers) > 50:
                del self._wakers[:-10]
        return self._set


class SimProcess:
    """A thread or process of a consumer."""

    def __init__(self, sim: Sim, group: Group, run: Callable[[], None], name: str) -> None:
        self._sim, self._group, self._run = sim, group, run
        self._name = name
        self.pid = -1
        self.exitcode = 0
        self.actor: Actor | None = None

    def start(self) -> None:
        self.actor = self._sim.world.spawn(self._group, self._name, self._run)

    def is_alive(self) -> bool:
        return self.actor is not None and self.actor.alive

    def join(self, timeout: float | None = None) -> None:
        until = self._sim.world.now + (timeout or 0)
        while self.is_alive() and self._sim.world.now < until:
            self._sim.world.sleep(min(0.01, until - self._sim.world.now))


class SimEnvironment:
    """Huey's environment: how workers are made."""

    def __init__(self, sim: Sim, group: Group, *, forking: bool) -> None:
        self._sim, self._group, self.forks = sim, group, forking
        self.mp = SimpleNamespace(Lock=forks.lock)

    def get_stop_flag(self) -> SimFlag:
        return SimFlag(self._sim.world)

    def create_process(self, run: Callable[[], None], name: str) -> SimProcess:
        self._sim.numbers += 1
        return SimProcess(self._sim, self._group, run, f"{self._group.name}w{self._sim.numbers}")

    def init_child(self, process: Any) -> None:
        """Nothing is inherited here."""

    def end_programs(self) -> None:
        """No job starts any."""

    def is_alive(self, process: SimProcess) -> bool:
        return process.is_alive()

    def timeout(self, seconds: float) -> Any:
        return contextlib.nullcontext()


class SimConsumer(JobConsumer):
    """The real consumer, without calls to the operating system."""

    def __init__(self, sim: Sim, group: Group, **options: Any) -> None:
        self.sim, self.group = sim, group
        self._poked: Callable[[Any], None] | None = None
        super().__init__(sim.huey(), **options)
        self._logger = SimpleNamespace(info=lambda *args: None, exception=self._died)

    def _died(self, text: str, name: str) -> None:
        import sys

        error = sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1]
        if not self.sim.world.over:
            self.sim.world.violated(Violation(f"{name} died: {error!r}"), error)

    def get_environment(self, worker_type: str) -> Any:
        return SimEnvironment(self.sim, self.group, forking=worker_type == "process")

    def _create_worker(self) -> JobWorker:
        self._numbers += 1
        return SimWorker(self, Slot(self._numbers, forks.lock()))

    def _set_signal_handlers(self) -> None:
        """There are no signals."""

    def _replace_program(self) -> None:
        """The simulation starts another consumer instead."""
        raise Ended("restart")

    def stop(self) -> None:
        """Does what the handler of SIGTERM does."""
        self._signals += 1
        self.wake_maintenance()

    def _stop(self) -> None:
        self.group.stopping = True
        super()._stop()

    def wake_maintenance(self) -> None:
        if self._poked is not None:
            self.maintenance.fast_until = self.sim.world.now + 1.0
            self.sim.world.at(self.sim.world.now, lambda wake=self._poked: wake(None))  # type: ignore[misc]
            self._poked = None

    def _sleep(self, seconds: float) -> None:
        self._poked = self.sim.world.waker()
        self.sim.world.wait(seconds)
        if any(slot.left for slot in self.slots()):
            self.maintenance.fast_until = self.sim.world.now + 1.0

    def _sleep_for_end(self, processes: list[Any]) -> None:
        self.sim.world.sleep(0.02)

    def _signal(self, process: SimProcess, signum: int) -> None:
        """USR1 interrupts what the worker runs; KILL ends it."""
        import signal

        actor, world = process.actor, self.sim.world
        if actor is None or not actor.alive:
            return
        if signum == signal.SIGKILL:
            world.kill(actor)
            return
        worker = next(w for w, p in self.worker_threads if p is process)
        ends = worker.slot.cancelled or worker.slot.overdue(world.now)
        if worker.slot.running_now and (self.stop_flag.is_set() or ends):
            world.interrupt(actor, JobInterrupted())


class SimWorker(JobWorker):
    """The real one, whose doorbell is the simulated server's."""

    consumer: SimConsumer

    def _wait(self) -> None:
        network, world = self.consumer.sim.network, self.consumer.sim.world
        actor, self.waiting = world._me(), None
        try:
            if self.line.redis._exchange(("LPOP", self.line.bell)) is not None:
                return
        except Exception as error:
            if not isinstance(error, OSError) and "redis" not in type(error).__module__:
                raise
            self.stop_flag.wait(0.1)
            return
        if self.stop_flag.is_set():
            return
        wake = world.waker()
        network.bells.append((actor, wake))
        self.stop_flag._wakers.append(wake)
        world.wait(doorbell.WAIT)
        network.bells = [one for one in network.bells if one[1] is not wake]
