"""Records the history of a queue: takes the samples, and makes the records of minutes that have ended.

Any number of processes may do this side by side: the scripts take each sample once and add each minute
once, in order. One that was away continues where the history ends.
"""

from __future__ import annotations

import time
from typing import Any

from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.history import QueueHistory
from hsejobs.store.periods import NAMES_TTL, RETENTION, Period, book_of, pack, total

#: ms in which no other process adds minutes to the same queue.
LEASE_MS = 5_000
#: Minutes in one call of the script, and the period within which they must lie.
STEP = 10
#: The oldest minutes that are added, in minutes: periods before them are forgotten.
OLDEST = RETENTION[60] // 60
#: Seconds for which one call of ``run`` adds minutes before it returns; seconds after which it returns even
#: in the middle of a step, which it begins again later: the caller has leases to renew.
BUDGET, LONGEST = 0.1, 1.0


class _Slow(Exception):
    """Redis answers too slowly."""


def _check(end: float) -> None:
    if time.monotonic() >= end:
        raise _Slow


class Recorder:
    """Records the history of one queue. ``run`` raises RedisUnavailable."""

    def __init__(
        self, client: RedisClient, prefix: str, queue: str, *, patience: float = 0.0
    ) -> None:
        self.redis, self.base, self.patience = client, keys.base(prefix, queue), patience
        self.history = QueueHistory(client, prefix, queue, patience=patience)

    def run(self) -> float:
        """Does what is due now; returns the seconds until more is due."""
        begun = time.monotonic()
        now, cursor, until, wanted, _ = self._run(scripts.SAMPLE, "", LEASE_MS)
        if cursor < until and not wanted:
            # Another process adds them, unless it dies.
            return LEASE_MS / 1000
        while cursor < until:
            if time.monotonic() - begun >= BUDGET:
                return 0.0
            try:
                cursor = self._step(cursor, until, begun + LONGEST)
            except _Slow:
                return LEASE_MS / 1000
        return _until_due(now)

    def sample(self, minute: int | None = None) -> bool:
        """Takes the sample of a minute (None: the current one); False if it was taken before."""
        return bool(self._run(scripts.SAMPLE, "" if minute is None else minute, 0)[4])

    def _run(self, script: scripts.Script, *args: scripts.Arg) -> Any:
        return self.redis.run(script, self.base, args, patience=self.patience)

    def _step(self, cursor: int, until: int, end: float = float("inf")) -> int:
        """Adds the next minutes, at most to the end of their ten; returns the last one in the history.

        Raises _Slow if that lasts until ``end``, by the monotonic clock.
        """
        first = max(cursor + 1, until - OLDEST) if cursor >= 0 else self._oldest(until)
        last = min(until, first - first % STEP + STEP - 1)
        book = book_of(first)
        _check(end)
        names = self.history.names([book], again=True)[book]
        _check(end)
        minutes = self.history.raw(range(first, last + 1))
        _check(end)
        stored: list[tuple[str, bytes, int]] = []
        found: list[Period] = []
        for at, period in zip(range(first, last + 1), minutes, strict=True):
            found.append(period.busiest())
            if not period.empty:
                stored.append((f"h1:{at}", pack(found[-1], names), RETENTION[1]))
        finer = 1
        for step in list(RETENTION)[1:]:
            if last % step != step - 1:
                break
            # The periods in it that have records already, and the new one.
            _check(end)
            start = last - step + 1
            begun = self.history.stored(finer, range(start, last + 1 - finer * len(found), finer))
            found, finer = [total([*begun, *found])], step
            if not found[0].empty:
                record = pack(found[0], names)
                stored.append((f"h{step}:{start}", record, RETENTION[step]))
        args: list[scripts.Arg] = [cursor, last, book, names.known]
        for name, number in names.fresh.items():
            args += ("n" + name, number, NAMES_TTL)
        for row in stored:
            args += row
        if self._run(scripts.FOLD, *args):
            return last
        # Another process was faster, or an organization was erased meanwhile.
        return int(self._run(scripts.SAMPLE, "", 0)[1])

    def _oldest(self, until: int) -> int:
        """Where a history begins: at the first minutes that have counters, or the newest without any."""
        starts = range(until - until % STEP - keys.MINUTE_TTL // 60, until + 1, STEP)
        calls = [
            (
                None,
                ["EXISTS", *(keys.of(self.base, "minute", str(at + n)) for n in range(STEP))],
            )
            for at in starts
        ]
        found = self.redis.batch(calls, patience=self.patience)
        return next((at for at, count in zip(starts, found, strict=True) if count), starts[-1])


def _until_due(now_ms: int) -> float:
    """The seconds until the next sample or the next minute to add."""
    passed = now_ms % 60_000
    return ((keys.SETTLE_MS if passed < keys.SETTLE_MS else 60_000) - passed) / 1000
