"""Around a call to somebody else's server: postponed while the circuit is open, reported after.

Without Redis nothing is known of the circuit, and the call is made: a breaker saves time and
attempts, it is not what keeps anybody out.
"""

from __future__ import annotations

import logging
import random
from types import TracebackType

from hsejobs.errors import CircuitOpen, JobsError
from hsejobs.store.circuits import Circuits

#: Failures in a row that open a circuit; for how long, and how long at most, in ms.
FAILURES, OPEN_MS, LONGEST_MS = 5, 60_000, 900_000
#: How long a job may be postponed in all, in seconds.
GIVE_UP = 24 * 3600.0
#: How often a circuit that a person holds open, or whose trial runs, is asked about, in seconds.
HELD_SECONDS, TRIAL_SECONDS = 60.0, 5.0

log = logging.getLogger(__name__)


class Breaker:
    """One call: ``with Breaker(...) as breaker:``, then `succeeded` or `failed`.

    Leaving without either says that nothing was learned, so that another may make the trial.
    ``token`` is this attempt's own; ``seconds`` is how long the call may take.
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
        """The server works, and takes calls."""
        self._report("ok")

    def failed(self, error: str) -> None:
        """The server does not work or refuses; ``error`` is shown to operators."""
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
        except JobsError as away:
            # The call is made: failing the job now would make it again.
            log.warning("a call could not be reported", extra={"error": str(away)})

    def _postpone(self, kind: str, wait_ms: int | None) -> None:
        if wait_ms is None:
            delay, why = HELD_SECONDS, "is held open by an operator"
        elif kind == "waiting":
            delay, why = min(wait_ms / 1000, TRIAL_SECONDS), "is being tried"
        else:
            delay, why = wait_ms / 1000, "is open after failures in a row"
        # Not all at once: only one of them is let through.
        delay += random.uniform(0, min(1.0, delay / 10))
        raise CircuitOpen(f"the circuit {self.name} {why}", delay=delay, limit=GIVE_UP)
