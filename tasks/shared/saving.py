"""Save a file in the middle of being made, so that the job's next attempt continues from there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: A file is made in about this many pieces; the end of each is a place from which it can be continued.
PIECES = 20
#: Seconds between two saves: a file that is made faster is not worth saving.
PAUSE = 0.05

#: The format of the states; increase it when a state of the release before cannot be continued.
_VERSION = 1
#: Seconds after which a file is made from the start instead: it would mix old and new rows, and the
#: hourly cleanup removes what was saved so long ago.
_OLDEST = 20 * 3600

#: The most and the least rows of a batch; a few batches are in memory at a time.
STEP, LEAST = 1000, 50

Checkpoint = Callable[[dict[str, Any]], None]


def step_of(total: int) -> int:
    """Return the rows of a batch: fewer if there are few, so that the pieces are small as well."""
    return max(LEAST, min(STEP, total // PIECES))


@dataclass(frozen=True, slots=True)
class Saved:
    """What a job's attempts share: ``at``, the time (seconds) that the file describes, and a state."""

    at: int
    state: dict[str, Any] | None = None

    @classmethod
    def of(cls, checkpoint: Any, now: int) -> Saved:
        """Return what the checkpoint of an earlier attempt has, if it can be used."""
        if isinstance(checkpoint, dict) and checkpoint.get("version") == _VERSION:
            at, state = checkpoint.get("at"), checkpoint.get("state")
            if isinstance(at, int) and isinstance(state, dict) and now - _OLDEST < at <= now:
                return cls(at, state)
        return cls(now)

    def with_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the checkpoint with a state."""
        return {"version": _VERSION, "at": self.at, "state": state}


class Saver:
    """Decides when to save, and passes on what was saved.

    ``checkpoint`` (None: nothing is saved) takes the state that the next attempt continues from.
    One thread calls ``save``, another one ``pass_on``.
    """

    def __init__(self, checkpoint: Checkpoint | None) -> None:
        self._checkpoint = checkpoint
        self._state: dict[str, Any] | None = None
        self._saved_at = time.monotonic()

    def save(self, state: Callable[[], dict[str, Any]]) -> None:
        """Call *state*, which stores what was written so far, if it is time to save."""
        if self._checkpoint is not None and time.monotonic() - self._saved_at >= PAUSE:
            self._state = state()
            self._saved_at = time.monotonic()

    def pass_on(self) -> None:
        """Pass the newest saved state to ``checkpoint``. Raises LeaseLost."""
        state = self._state
        if state is not None and self._checkpoint is not None:
            self._state = None
            self._checkpoint(state)
