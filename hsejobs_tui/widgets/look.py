"""What the user saw in a list whose rows have just changed their places."""

from __future__ import annotations

import time
from collections.abc import Mapping

#: Seconds for which a list that changed cannot have been seen by the user who presses a key.
UNSEEN = 1.0


class Look:
    """The keys by position and the cursor before a list changed, while no one can have seen the change."""

    def __init__(self) -> None:
        self._seen: tuple[Mapping[int, str], int] | None = None
        self._changed = 0.0

    def note(self, keys: Mapping[int, str], cursor: int) -> None:
        """Keeps what was shown before rows changed their places."""
        if self._seen is None or time.monotonic() - self._changed >= UNSEEN:
            self._seen, self._changed = (keys, cursor), time.monotonic()

    def forget(self) -> None:
        """Another list is shown."""
        self._seen = None

    def meant(self, key: str | None, by: int) -> str | None:
        """The key of the row that was ``by`` rows from that of ``key``, or None: from the cursor."""
        if self._seen is None or time.monotonic() - self._changed >= UNSEEN:
            return None
        keys, cursor = self._seen
        if key is not None:
            cursor = next((n for n, one in keys.items() if one == key), -1)
        return keys.get(cursor + by) if cursor >= 0 else None
