"""How deep the queues were: what was seen at each look, and nothing that was worked out afterwards."""

from __future__ import annotations

from hsejobs.store.read_live import Snapshot

#: Minutes that are kept.
MINUTES = 60
MINUTE_MS = 60_000


class Depths:
    """The most jobs that waited in each minute of the last hour, by queue; None where nobody looked."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[int, int]] = {}

    def note(self, seen: Snapshot) -> None:
        """Takes in a look; a queue that is gone is forgotten."""
        self._seen = {one.name: self._seen.get(one.name, {}) for one in seen.queues}
        for one in seen.queues:
            minutes, minute = self._seen[one.name], one.now // MINUTE_MS
            minutes[minute] = max(minutes.get(minute, 0), one.waiting)
            for old in [at for at in minutes if at <= minute - MINUTES]:
                del minutes[old]

    def of(self, queue: str, now: int) -> list[int | None]:
        """The last hour of a queue, oldest first; ``now`` in ms."""
        minutes, minute = self._seen.get(queue, {}), now // MINUTE_MS
        return [minutes.get(minute - back) for back in range(MINUTES - 1, -1, -1)]
