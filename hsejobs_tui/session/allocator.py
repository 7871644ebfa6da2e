"""Memory that a large read needed, and that the C library keeps after it."""

from __future__ import annotations

import contextlib

#: Seconds between two calls of `give_back`: one takes a few milliseconds of another thread.
EVERY = 30.0


def give_back() -> None:
    """Returns freed memory to the system; does nothing with a C library that does so itself."""
    # Not on the first frame.
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
