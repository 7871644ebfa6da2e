"""How many jobs a worker may claim at once: several only while they are tiny."""

from __future__ import annotations

#: The jobs of one claim are expected to take at most this long together, in microseconds.
BUDGET_US = 2_000
#: Seconds after which a running job counts as slow, and what of a batch was written alone: the jobs that wait
#: behind it are released.
SLOW_JOB = 0.01
#: The most jobs of one claim, however short they are; and while the worker waits for most replies of
#: steps that it sent ahead, because Redis is far away.
MOST, MOST_FAR = 32, 256
#: A reply is waited for if that takes longer, in microseconds; to read one that is there takes less.
WAIT_US = 400
#: How many replies without a wait one wait outweighs. Above half of the most, Redis is far away.
_WAIT_COUNTS, _WAIT_MOST = 16, 64
#: While no recent job took longer, in microseconds, the next ones are expected to take as long as the mean
#: one: on a busy machine, the longest of many tiny jobs was interrupted. Else as long as the longest one.
TINY_US = 200
#: The newest job's share of the mean, so that rare long ones have their part in it; the first jobs have more.
_SHARE, _SHARE_FADES = 1 / 256, 0.97
#: As how long a job counts there at most, in microseconds: one of a minute must not outweigh thousands.
_COUNTED_US = 20_000
#: Decay per job of the longest run time: an outlier is forgotten after about 40 tiny jobs in a row.
_FORGET = 0.9


class Pace:
    """Tracks the run times of recent jobs to choose the batch size: a 5 ms job is claimed alone."""

    __slots__ = ("_longest", "_mean", "_share", "_waits")

    def __init__(self) -> None:
        self._longest, self._mean, self._share = float(BUDGET_US), 0.0, 1.0
        self._waits = 0

    def ran(self, run_us: int) -> None:
        """Records the run time of a job, in microseconds."""
        faded = self._longest * _FORGET
        self._longest = run_us if run_us > faded else faded
        self._mean += ((run_us if run_us < _COUNTED_US else _COUNTED_US) - self._mean) * self._share
        if self._share > _SHARE:
            self._share *= _SHARE_FADES

    def wrote(self, wrote_us: float) -> None:
        """Records how long the last job's outcome was written alone, in microseconds: others waited."""
        self._mean += min(wrote_us, _COUNTED_US) * self._share

    def overran(self, jobs: int) -> None:
        """Records that that many jobs of a batch took far longer than a batch may: half as many are next."""
        self._mean = max(self._mean, BUDGET_US / max(1, jobs // 2))

    def waited(self, wait_us: float) -> None:
        """Records how long the worker waited for the reply of a step sent ahead, in microseconds."""
        change = _WAIT_COUNTS if wait_us > WAIT_US else -1
        self._waits = max(0, min(_WAIT_MOST, self._waits + change))

    @property
    def far(self) -> bool:
        """Whether the worker waits for most replies of steps that it sent ahead."""
        return self._waits > _WAIT_MOST / 2

    @property
    def batch(self) -> int:
        """How many jobs to claim next, 1 to MOST, or to MOST_FAR while Redis is far away."""
        most = MOST_FAR if self.far else MOST
        each = self._longest if self._longest > TINY_US else self._mean
        return max(1, min(most, int(BUDGET_US / max(each, 1.0))))

    @property
    def slow(self) -> bool:
        """Whether one of the recent jobs took longer than a whole batch may."""
        return self._longest > BUDGET_US
