"""A program that has done its work ends in time, whatever its application does at exit.

An application may have a handler at exit that never returns: ``multiprocessing.Pool`` waits forever if a
signal to the whole group, as ``timeout`` and systemd send it, ended its processes. No job is held by then.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time

#: Seconds that an application gets for what it does at exit.
SECONDS = 5.0


def leave_in_time(status: int) -> None:
    """From the first handler at exit on, gives this process SECONDS; then ends it with ``status``."""
    exits = threading.Event()
    # Python starts no thread at its exit.
    threading.Thread(target=_leave, args=(exits, status), name="leaving", daemon=True).start()
    # The handler that is registered last is called first.
    atexit.register(exits.set)


def _leave(exits: threading.Event, status: int) -> None:
    exits.wait()
    time.sleep(SECONDS)
    text = f"what the application does at exit took longer than {SECONDS:.0f} s: ended without it\n"
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    finally:
        os._exit(status)
