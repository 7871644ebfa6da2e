"""How many jobs a worker may claim at once: several only while they are tiny."""

from __future__ import annotations

#: The jobs of one claim are expected to take at most this long together, in microseconds.
BUDGET_US = 2_000
#: Seconds after which a running job counts as slow, and outcomes of a batch that are written alone if there
#: are as many: the jobs that wait behind them are released.
SLOW_JOB, SLOW_OUTCOMES = 0.01, 4
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
#: For how many jobs outcomes that are written alone are remembered.
_LATELY = 32


class Pace:
    """Tracks the run times of recent jobs to choose the batch size: a 5 ms job is claimed alone."""

    __slots__ = ("_alone", "_alone_us", "_longest", "_mean", "_most", "_share", "_waits")

    def __init__(self) -> None:
        self._longest, self._mean, self._share = float(BUDGET_US), 0.0, 1.0
        self._waits = 0
        self._alone, self._alone_us, self._most = 0.0, 0.0, MOST_FAR

    def ran(self, run_us: int) -> None:
        """Records the run time of a job, in microseconds."""
        faded = self._longest * _FORGET
        self._longest = run_us if run_us > faded else faded
        self._mean += ((run_us if run_us < _COUNTED_US else _COUNTED_US) - self._mean) * self._share
        if self._share > _SHARE:
            self._share *= _SHARE_FADES

    def ended(self, jobs: int, alone: int, alone_us: float) -> None:
        """Records what was run of a batch: how many jobs, how many of their outcomes were written alone,
        because they are no success, and for how many microseconds.
        """
        weight = min(1.0, jobs / _LATELY)
        self._alone += (alone / jobs - self._alone) * weight
        self._alone_us += (alone_us / jobs - self._alone_us) * weight
        self._most = MOST_FAR
        if self._alone > SLOW_OUTCOMES / MOST_FAR:
            most = max(SLOW_OUTCOMES / self._alone, SLOW_JOB * 1e6 / max(1.0, self._alone_us))
            self._most = min(MOST_FAR, int(most))

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
        most = min(self._most, MOST_FAR if self.far else MOST)
        each = self._longest if self._longest > TINY_US else self._mean
        return max(1, min(most, int(BUDGET_US / max(each, 1.0))))

    @property
    def slow(self) -> bool:
        """Whether one of the recent jobs took longer than a whole batch may."""
        return self._longest > BUDGET_US
