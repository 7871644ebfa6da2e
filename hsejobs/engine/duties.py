"""Duties with bulkheads: each stands alone, and none keeps the others from their turn.

A duty that raises or is refused is tried again later, and neither ends nor delays another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hsejobs.engine.outage import Outage
from hsejobs.errors import JobsError, RedisRefused, RedisUnavailable
from hsejobs.watch import logs

#: Seconds before what was refused is tried again; what failed for another reason doubles it up to
#: the longest.
RETRY_AFTER, LONGEST_RETRY = 0.25, 15.0
#: Seconds between two lines about the same duty.
TOLD_EVERY = 60.0


@dataclass(slots=True)
class Duty:
    """Something to do every ``every`` seconds; ``at``: when next, by the monotonic clock.

    ``advisory``: it is only a convenience, whose refusal is told once and is no outage.
    """

    name: str
    every: float
    act: Callable[[], Any]
    at: float = 0.0
    advisory: bool = False
    failures: int = 0
    told_at: float | None = None

    def run(self, queue: str, outage: Outage) -> bool:
        """Does it; whether that went well. Never raises."""
        now = time.monotonic()
        self.at = now + self.every
        try:
            self.act()
        except RedisUnavailable as error:
            if isinstance(error, RedisRefused) and self.advisory:
                # A right that is missing is nothing that passes by itself.
                self._failed(queue, error)
            else:
                self.at = time.monotonic() + RETRY_AFTER
            if not self.advisory:
                outage.begins(error, self.name)
            return False
        except Exception as error:  # one duty's fault must not end the others
            self._failed(queue, error)
            return False
        self.failures = 0
        outage.ends(self.name)
        return True

    def _failed(self, queue: str, error: Exception) -> None:
        self.failures += 1
        now = time.monotonic()
        self.at = now + min(LONGEST_RETRY, RETRY_AFTER * 2**self.failures)
        if self.told_at is None or now - self.told_at >= TOLD_EVERY:
            self.told_at = now
            told = str(error) if isinstance(error, JobsError) else repr(error)
            logs.tell("duty failed", 40, queue=queue, duty=self.name, error=told)


@dataclass(slots=True)
class Owed:
    """A write that must reach Redis: outcomes and jobs of a worker that is gone or slow.

    ``jobs``: the ids and tokens that it is about; their leases are renewed meanwhile. ``give_up``:
    when a fault, that is no outage, ends the trying; by then the jobs stall.
    """

    act: Callable[[], Any]
    jobs: list[tuple[str, str]]
    give_up: float


@dataclass(slots=True)
class PendingWrites:
    """What is owed to Redis, in order."""

    owed: list[Owed] = field(default_factory=list)

    def add(self, act: Callable[[], Any], jobs: Iterable[tuple[str, str]], lease_ms: int) -> None:
        """Owes a write, to be tried for at least a lease's time."""
        self.owed.append(Owed(act, list(jobs), time.monotonic() + lease_ms / 1000))

    def held(self) -> list[tuple[str, str]]:
        """The jobs whose leases must be kept until it is written."""
        return [job for one in self.owed for job in one.jobs]

    def pay(self, budget: float = 0.15) -> None:
        """Writes what it can within ``budget`` seconds. Raises RedisUnavailable: the rest stays.

        Raises the first fault after the others had their turn.
        """
        until, fault = time.monotonic() + budget, None
        for one in list(self.owed):
            try:
                one.act()
            except RedisUnavailable:
                raise
            except Exception as error:
                fault = fault or error
                if time.monotonic() < one.give_up:
                    continue
            self.owed.remove(one)
            if time.monotonic() >= until:
                break
        if fault is not None:
            raise fault
