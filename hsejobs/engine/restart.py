"""How a consumer replaces itself: no signal to stop is lost on the way.

A signal is lost where it arrives after the last look at what has arrived and before the new program
has its handlers. Therefore the signals are blocked before that last look, stay blocked through
``exec``, and are unblocked by the new program's handlers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from hsejobs import pulse

#: Signals that stop a consumer.
STOPS = (signal.SIGINT, signal.SIGTERM)
_HELD = (*STOPS, signal.SIGHUP)


def listen(
    stop: Callable[[int, Any], None], hang_up: Callable[[int, Any], None], wake: int
) -> None:
    """Sets the handlers, whose signals also arrive as bytes at the descriptor ``wake``.

    Lets through what arrived while the program started.
    """
    for signum in STOPS:
        signal.signal(signum, stop)
    signal.signal(signal.SIGHUP, hang_up)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def replace(stopped: Callable[[], bool], arrived: int, *, supervised: bool) -> None:
    """Executes this program again, with the same process id. Returns only if it has to stop instead.

    If it is ``supervised``, it ends, and its supervisor ends what it has left behind and starts
    another. ``arrived`` is the other end of ``wake``. When Python cannot be executed, the process
    ends with 1.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    for signum in STOPS:
        # A thread that hangs may receive the signal instead of this one: then it ends the process.
        signal.signal(signum, signal.SIG_DFL)
    with contextlib.suppress(BlockingIOError):
        # Also what came just before, for which Python has not called the handler.
        if set(os.read(arrived, 65536)) & set(STOPS):
            return
    if stopped() or signal.sigpending() & set(STOPS):
        return
    if supervised:
        os._exit(pulse.AGAIN)
    pulse.hand_over()
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"error: cannot restart: {sys.executable}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(1)
