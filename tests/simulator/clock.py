"""Puts simulated time, and seeded randomness, in the place of the real ones while a world runs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from tests.simulator.world import EPOCH, World

#: Modules of the engine and the store that look at a clock or sleep, and those that ask the system.
_CLOCKED = (
    "hsejobs.store.client",
    "hsejobs.store.recording",
    "hsejobs.store.work",
    "hsejobs.engine.alone",
    "hsejobs.engine.executing",
    "hsejobs.engine.worker",
    "hsejobs.engine.stepping",
    "hsejobs.engine.maintenance",
    "hsejobs.engine.heartbeat",
    "hsejobs.engine.calm",
    "hsejobs.engine.duties",
    "hsejobs.engine.outage",
    "hsejobs.engine.timer",
    "hsejobs.engine.progress_log",
    "hsejobs.engine.context",
    "hsejobs.engine.outcome",
    "hsejobs.engine.periodic",
    "hsejobs.engine.consumer",
    "hsejobs.engine.workers",
    "hsejobs.model",
)
_ASKING = (
    "hsejobs.engine.stepping",
    "hsejobs.engine.heartbeat",
    "hsejobs.engine.consumer",
    "hsejobs.engine.workers",
    "hsejobs.model",
    "hsejobs.store.new_job",
)


class SimTime:
    """The module ``time`` as the engine sees it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def monotonic(self) -> float:
        return self._world.now

    def time(self) -> float:
        actor = self._world.current
        return EPOCH + self._world.now + (actor.group.skew if actor else 0.0)

    def perf_counter_ns(self) -> int:
        return int(self._world.now * 1e9)

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    def sleep(self, seconds: float) -> None:
        self._world.sleep(seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Ended(BaseException):
    """The simulated process ended itself."""


class SimOs:
    """The module ``os``: the same process id for all, seeded bytes, and an end that ends an actor."""

    def __init__(self, world: World) -> None:
        self._world = world

    def getpid(self) -> int:
        return 4242

    def uname(self) -> Any:
        return SimpleNamespace(nodename="sim")

    def urandom(self, size: int) -> bytes:
        return self._world.random.randbytes(size)

    def _exit(self, code: int) -> None:
        raise Ended

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@contextlib.contextmanager
def simulated_time(world: World) -> Iterator[None]:
    """While it lasts, the engine lives in the world's time."""
    from hsejobs import model

    replaced: list[tuple[Any, str, Any]] = []
    clock, system = SimTime(world), SimOs(world)
    for names, name, value in ((_CLOCKED, "time", clock), (_ASKING, "os", system)):
        for module in map(import_module, names):
            replaced.append((module, name, getattr(module, name)))
            setattr(module, name, value)
    kept = list(model._id_state)
    model._id_state[:] = [0, 0, 0, "", None]
    try:
        yield
    finally:
        model._id_state[:] = kept
        for module, name, value in replaced:
            setattr(module, name, value)
