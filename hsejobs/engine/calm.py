"""Which leases of other consumers a sweep may end, judged by what this consumer knows of Redis."""

from __future__ import annotations

import time

from hsejobs.store.work import RENEWED_WITHIN

#: Seconds between sweeps.
SWEEP_EVERY = 1.0
#: Seconds after which a sweep looks again at a lease that it has found ended.
LOOK_AGAIN = 0.1


class Calm:
    """A sweep ends a lease only if it had ended already when Redis answered the sweep before.

    A lease that ended since then may have ended while Redis was silent: its renewal then waits there,
    perhaps behind this sweep. The next sweep comes soon, after everything that waited.
    """

    def __init__(self) -> None:
        #: Until when no job counts as stalled.
        self.until = 0.0
        #: Redis time in ms at the last sweep; 0: none was answered since the start or a refusal.
        self.answered = 0

    def outage(self) -> None:
        """Redis refused: leases that are still in use, here and elsewhere, may have expired."""
        self.answered = 0

    def late(self) -> None:
        """A call took so long that other consumers may be late, too: let all renew first."""
        self.until = max(self.until, time.monotonic() + RENEWED_WITHIN)

    def ended_by(self) -> int:
        """The Redis time in ms by which a lease must have ended; 0: none is to be taken."""
        return self.answered if self.until <= time.monotonic() else 0

    def swept(self, began: float, redis_ms: int) -> None:
        """A sweep that began at that time, by the monotonic clock, was answered at this Redis time."""
        now = time.monotonic()
        # While Redis or this consumer was away, renewals of others may have been lost: they try again.
        away = max(now - began, (redis_ms - self.answered) / 1000 - SWEEP_EVERY)
        if away > LOOK_AGAIN:
            self.until = max(self.until, now + min(away, RENEWED_WITHIN))
        self.answered = redis_ms

    def next_look(self, ends_ms: int) -> float:
        """When to sweep for a lease that ends in ``ends_ms`` ms, by the monotonic clock."""
        return max(time.monotonic() + max(LOOK_AGAIN, ends_ms / 1000 + 0.001), self.until)
