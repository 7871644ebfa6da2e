"""Signals that end the TUI: the program that it is part of keeps its own handlers."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def kept(signals: Iterable[signal.Signals]) -> Iterator[None]:
    """After the block, these signals are handled as before it.

    An event loop sets the default when it is closed, which would kill the program while it cleans up.
    """
    before = {one: signal.getsignal(one) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            if handler is not None:
                signal.signal(one, handler)
