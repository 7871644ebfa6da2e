"""Signals that end the TUI: they reach its event loop, and the program that it is part of keeps its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any

#: What is called with the number of a signal.
Called = Callable[[signal.Signals], None]


def listen(signals: Iterable[signal.Signals], call: Called) -> None:
    """Calls in the running loop for each of these signals, except those that are ignored.

    Not as a handler of the loop: when that is closed it sets the default, which kills the program while it
    cleans up.
    """
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: Any) -> None:
        # After the end of the loop, the end is under way.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(call, signal.Signals(number))

    for one in signals:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, handle)


@contextlib.contextmanager
def kept(signals: Iterable[signal.Signals]) -> Iterator[None]:
    """After the block, these signals are handled as before it."""
    before = {one: signal.getsignal(one) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            if handler is not None:
                signal.signal(one, handler)
