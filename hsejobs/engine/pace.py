"""How many jobs a worker may claim at once: several only while they are tiny."""

from __future__ import annotations

#: The jobs of one claim are expected to take at most this long together, in microseconds.
BUDGET_US = 2_000
#: The most jobs of one claim, however short they are; and while the worker waits for most replies of
#: steps that it sent ahead, because Redis is far away.
MOST, MOST_FAR = 32, 128
#: A reply is waited for if that takes longer, in microseconds; to read one that is there takes less.
WAIT_US = 400
#: How many replies without a wait one wait outweighs. Above half of the most, Redis is far away.
_WAIT_COUNTS, _WAIT_MOST = 16, 64
#: Decay per job of the longest run time: an outlier is forgotten after about 40 tiny jobs in a row.
_FORGET = 0.9


class Pace:
    """Tracks the longest recent run time to choose the batch size: a 5 ms job is claimed alone."""

    __slots__ = ("_longest", "_waits")

    def __init__(self) -> None:
        self._longest = float(BUDGET_US)
        self._waits = 0

    def ran(self, run_us: int) -> None:
        """Records the run time of a job, in microseconds."""
        faded = self._longest * _FORGET
        self._longest = run_us if run_us > faded else faded

    def waited(self, wait_us: float) -> None:
        """Records how long the worker waited for the reply of a step sent ahead, in microseconds."""
        change = _WAIT_COUNTS if wait_us > WAIT_US else -1
        self._waits = max(0, min(_WAIT_MOST, self._waits + change))

    @property
    def batch(self) -> int:
        """How many jobs to claim next, 1 to MOST, or to MOST_FAR while Redis is far away."""
        most = MOST_FAR if self._waits > _WAIT_MOST / 2 else MOST
        return max(1, min(most, int(BUDGET_US / max(self._longest, 1.0))))

    @property
    def slow(self) -> bool:
        """Whether one of the recent jobs took longer than a whole batch may."""
        return self._longest > BUDGET_US
