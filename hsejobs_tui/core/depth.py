"""Queue depths over the last hour: sampled at each poll, never reconstructed."""

from __future__ import annotations

from hsejobs.store.read_live import Snapshot

#: Number of minutes kept.
MINUTES = 60
MINUTE_MS = 60_000


class Depths:
    """The most jobs waiting in each minute of the last hour, by queue; None where there was no poll."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[int, int]] = {}

    def note(self, seen: Snapshot) -> None:
        """Records a snapshot; queues that no longer exist are dropped."""
        self._seen = {one.name: self._seen.get(one.name, {}) for one in seen.queues}
        for one in seen.queues:
            minutes, minute = self._seen[one.name], one.now // MINUTE_MS
            minutes[minute] = max(minutes.get(minute, 0), one.waiting)
            for old in [at for at in minutes if at <= minute - MINUTES]:
                del minutes[old]

    def of(self, queue: str, now: int) -> list[int | None]:
        """The last hour of a queue, one value per minute, oldest first; ``now`` in ms."""
        minutes, minute = self._seen.get(queue, {}), now // MINUTE_MS
        return [minutes.get(minute - back) for back in range(MINUTES - 1, -1, -1)]
