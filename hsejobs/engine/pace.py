"""How many jobs a worker may claim at once: several only while they are tiny."""

from __future__ import annotations

#: The jobs of one claim are expected to take at most this long together, in microseconds.
BUDGET_US = 2_000
#: The most jobs of one claim, however short they are.
MOST = 32
#: Decay per job of the longest run time: an outlier is forgotten after about 40 tiny jobs in a row.
_FORGET = 0.9


class Pace:
    """Tracks the longest recent run time to choose the batch size: a 5 ms job is claimed alone."""

    __slots__ = ("_longest",)

    def __init__(self) -> None:
        self._longest = float(BUDGET_US)

    def ran(self, run_us: int) -> None:
        """Records the run time of a job, in microseconds."""
        faded = self._longest * _FORGET
        self._longest = run_us if run_us > faded else faded

    @property
    def batch(self) -> int:
        """How many jobs to claim next, 1 to MOST."""
        return max(1, min(MOST, int(BUDGET_US / max(self._longest, 1.0))))

    @property
    def slow(self) -> bool:
        """Whether one of the recent jobs took longer than a whole batch may."""
        return self._longest > BUDGET_US
