"""When a consumer with threads holds them to restart itself: one long job must not idle the others."""

from __future__ import annotations

from collections.abc import Set

#: The part of the time since the restart is wanted for which the threads may be held at once; a third
#: of a lease at least.
PART = 0.25
#: How many times as long they go on before they are held again.
REST = 3


class Recycling:
    """Decides when the threads are held; ``lease`` and times are in seconds."""

    def __init__(self, lease: float) -> None:
        self._least = lease / 3
        #: Since when a restart is wanted.
        self.since: float | None = None
        self._began: float | None = None
        self._patience = self._rests_until = 0.0
        self._blockers: Set[tuple[str, str]] = frozenset()

    def holds(self, now: float, running: Set[tuple[str, str]]) -> bool:
        """Whether no job may begin now; ``running`` are those that run, as (id, token).

        When the threads were held in vain, they go on until the jobs that ran have ended. Each try
        takes longer than the one before, so that the consumer restarts in the end.
        """
        if self.since is None:
            self.since = now
        if self._began is None:
            if now < self._rests_until or self._blockers & running:
                return False
            self._began = now
            self._patience = max(self._least, (now - self.since) * PART)
        if now - self._began < self._patience:
            return True
        self._began, self._blockers = None, frozenset(running)
        self._rests_until = now + REST * self._patience
        return False
