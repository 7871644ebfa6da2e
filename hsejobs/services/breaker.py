"""A circuit breaker around a call to a remote server.

While the circuit is open the job is postponed; after a call its outcome is reported. When Redis
is unavailable the call is made: a breaker saves time and attempts, it is not access control.
"""

from __future__ import annotations

import logging
import random
from types import TracebackType

from hsejobs.errors import CircuitOpen, JobsError
from hsejobs.store.circuits import Circuits

#: Consecutive failures that open a circuit; how long it stays open at first and at most, in ms.
FAILURES, OPEN_MS, LONGEST_MS = 5, 60_000, 900_000
#: The total time for which a job may be postponed, in seconds.
GIVE_UP = 24 * 3600.0
#: Seconds until the next check of a circuit that an operator holds open, or whose trial is running.
HELD_SECONDS, TRIAL_SECONDS = 60.0, 5.0

log = logging.getLogger(__name__)


class Breaker:
    """Guards one call: ``with Breaker(...) as breaker:``, then call `succeeded` or `failed`.

    If neither is called, no outcome is counted and another job may make the trial.
    ``token`` identifies this attempt; ``seconds`` is the longest time the call may take.
    """

    def __init__(self, circuits: Circuits, name: str, *, token: str, seconds: float) -> None:
        self._circuits = circuits
        self.name = name
        self._token = token
        self._trial_ms = int((seconds + 5.0) * 1000)
        self._trial = False
        self._reported = False

    def __enter__(self) -> Breaker:
        """Raises CircuitOpen, which postpones the job."""
        try:
            entry = self._circuits.enter(self.name, self._token, self._trial_ms)
        except JobsError as error:
            log.warning("a circuit could not be asked", extra={"error": str(error)})
            return self
        if not entry.may:
            self._postpone(entry.kind, entry.wait_ms)
        self._trial = entry.kind == "trial"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._trial and not self._reported:
            self._report("none")

    def succeeded(self) -> None:
        """Report that the server accepted the call."""
        self._report("ok")

    def failed(self, error: str) -> None:
        """Report that the server failed or refused the call; operators see ``error``."""
        self._report("fail", error)

    def _report(self, verdict: str, error: str = "") -> None:
        self._reported = True
        try:
            self._circuits.report(
                self.name,
                self._token,
                verdict,
                error,
                threshold=FAILURES,
                open_ms=OPEN_MS,
                longest_ms=LONGEST_MS,
            )
        except JobsError as unavailable:
            # The call was made: failing the job now would repeat it.
            log.warning("a call could not be reported", extra={"error": str(unavailable)})

    def _postpone(self, kind: str, wait_ms: int | None) -> None:
        if wait_ms is None:
            delay, reason = HELD_SECONDS, "is held open by an operator"
        elif kind == "waiting":
            delay, reason = (
                min(wait_ms / 1000, TRIAL_SECONDS),
                "is half-open and a trial is running",
            )
        else:
            delay, reason = wait_ms / 1000, "is open after consecutive failures"
        # Spread the jobs: only one of them will make the trial.
        delay += random.uniform(0, min(1.0, delay / 10))
        error = CircuitOpen(f"the circuit {self.name} {reason}", delay=delay, limit=GIVE_UP)
        error.about = self.name
        raise error
