"""The periodic duties of the maintenance thread, isolated from each other.

A duty that fails is retried later; it neither ends nor delays the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hsejobs.engine.outage import Outage
from hsejobs.errors import JobsError, RedisRefused, RedisUnavailable
from hsejobs.watch import logs

#: Seconds before a duty that Redis refused is retried; other failures double it, up to the longest.
RETRY_AFTER, LONGEST_RETRY = 0.25, 15.0
#: Seconds between two runs of a duty early after the start.
EARLY_EVERY = 0.25
#: Seconds between two log lines about the same duty.
LOG_EVERY = 60.0


@dataclass(slots=True)
class Duty:
    """An action to run every ``every`` seconds; ``at`` is its next run, by the monotonic clock.

    ``advisory``: the duty is optional; its refusal is logged and does not count as an outage. ``early``:
    until then it runs every EARLY_EVERY seconds.
    """

    name: str
    every: float
    act: Callable[[], Any]
    at: float = 0.0
    advisory: bool = False
    early: float = 0.0
    failures: int = 0
    logged_at: float | None = None

    def run(self, queue: str, outage: Outage) -> bool:
        """Runs the action; returns whether it succeeded. Never raises."""
        now = time.monotonic()
        self.at = now + (self.every if now >= self.early else EARLY_EVERY)
        try:
            self.act()
        except RedisUnavailable as error:
            if isinstance(error, RedisRefused) and self.advisory:
                # A missing permission does not resolve by itself.
                self._failed(queue, error)
            else:
                self.at = time.monotonic() + RETRY_AFTER
            if not self.advisory:
                outage.begins(error, self.name)
            return False
        except Exception as error:  # a failing duty must not end the others
            self._failed(queue, error)
            return False
        self.failures = 0
        outage.ends(self.name)
        return True

    def _failed(self, queue: str, error: Exception) -> None:
        self.failures += 1
        now = time.monotonic()
        self.at = now + min(LONGEST_RETRY, RETRY_AFTER * 2**self.failures)
        if self.logged_at is None or now - self.logged_at >= LOG_EVERY:
            self.logged_at = now
            text = str(error) if isinstance(error, JobsError) else repr(error)
            logs.emit("duty failed", 40, queue=queue, duty=self.name, error=text)


#: Seconds within which a write fails if its connection was closed meanwhile.
AT_ONCE = 0.05


@dataclass(slots=True)
class PendingWrite:
    """A write that must reach Redis: outcomes or releases of a worker that is dead or slow.

    ``jobs``: the ids and tokens that it concerns; their leases are renewed meanwhile. ``give_up``:
    when, by the monotonic clock, an error other than an outage ends the retries; the jobs then
    stall. ``patience``: the seconds that it gets again after an outage.
    """

    act: Callable[[], Any]
    jobs: list[tuple[str, str]]
    give_up: float
    patience: float


def _act(one: PendingWrite) -> None:
    """Performs a write. A connection that was closed since its last use fails at once, and a new one may
    work: otherwise connections that are cut again and again would keep all writes back until leases end.
    """
    began = time.monotonic()
    try:
        one.act()
    except RedisUnavailable:
        if time.monotonic() - began > AT_ONCE:
            raise
        one.act()


@dataclass(slots=True)
class PendingWrites:
    """Writes that must still reach Redis, in order."""

    writes: list[PendingWrite] = field(default_factory=list)

    def add(self, act: Callable[[], Any], jobs: Iterable[tuple[str, str]], lease_ms: int) -> None:
        """Adds a write, to be retried for at least the duration of a lease."""
        patience = lease_ms / 1000
        self.writes.append(PendingWrite(act, list(jobs), time.monotonic() + patience, patience))

    def jobs(self) -> list[tuple[str, str]]:
        """The jobs whose leases must be renewed until the writes are done, as (id, token)."""
        return [job for one in self.writes for job in one.jobs]

    def flush(self, budget: float = 0.15) -> None:
        """Performs writes for up to ``budget`` seconds. Raises RedisUnavailable: the rest stays.

        Raises the first other error after all writes had their turn.
        """
        until, fault = time.monotonic() + budget, None
        for one in list(self.writes):
            try:
                _act(one)
            except RedisUnavailable:
                for each in self.writes:
                    each.give_up = time.monotonic() + each.patience
                raise
            except Exception as error:
                fault = fault or error
                if time.monotonic() < one.give_up:
                    continue
            self.writes.remove(one)
            if time.monotonic() >= until:
                break
        if fault is not None:
            raise fault
