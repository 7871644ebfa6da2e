"""Queue depths and waits over the last hour: sampled at each poll, never reconstructed.

For the minutes that the history does not have yet, and for users who may not read it.
"""

from __future__ import annotations

from collections.abc import Iterable

from hsejobs.store.read_live import Snapshot

#: Number of minutes kept.
MINUTES = 60
MINUTE_MS = 60_000


class Depths:
    """By queue and minute of the last hour: the most jobs waiting, and the longest wait in ms."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[int, tuple[int, int]]] = {}

    def note(self, seen: Snapshot) -> None:
        """Records a snapshot; queues that no longer exist are dropped."""
        self._seen = {one.name: self._seen.get(one.name, {}) for one in seen.queues}
        for one in seen.queues:
            minutes, minute = self._seen[one.name], one.now // MINUTE_MS
            waiting, oldest = minutes.get(minute, (0, 0))
            minutes[minute] = max(waiting, one.waiting), max(oldest, one.oldest_waiting or 0)
            for old in [at for at in minutes if at <= minute - MINUTES]:
                del minutes[old]

    def waiting(self, queue: str, ms: int) -> int | None:
        """The most jobs waiting in the minute of that time, None if there was no poll."""
        found = self._seen.get(queue, {}).get(ms // MINUTE_MS)
        return None if found is None else found[0]

    def longest(self, queues: Iterable[str]) -> dict[int, int]:
        """The longest wait of these queues, in ms, by the minutes since the epoch that were polled."""
        found: dict[int, int] = {}
        for queue in queues:
            for minute, (_, oldest) in self._seen.get(queue, {}).items():
                found[minute] = max(found.get(minute, 0), oldest)
        return found
