"""A program that has done its work ends in time, whatever its application does at exit.

An application may have a thread or a handler at exit that never ends: ``multiprocessing.Pool`` waits
forever if a signal to the whole group, as ``timeout`` and systemd send it, ended its processes. No job is
held by then.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time

#: Seconds that an application gets for what it does at exit.
SECONDS = 5.0


def leave_in_time(status: int) -> None:
    """Gives this process SECONDS from when Python begins to exit; then ends it with ``status``."""
    exits = threading.Event()
    # Python starts no thread at its exit.
    threading.Thread(target=_leave, args=(exits, status), name="leaving", daemon=True).start()
    # Python waits for executors and threads before it calls the handlers at exit. This register, which is
    # that of executors, comes before all; without it, the time begins later. The last one is called first.
    getattr(threading, "_register_atexit", atexit.register)(exits.set)


def _leave(exits: threading.Event, status: int) -> None:
    exits.wait()
    time.sleep(SECONDS)
    text = f"what the application does at exit took longer than {SECONDS:.0f} s: ended without it\n"
    try:
        sys.stderr.write(text)
        # Python would write what a command has printed after all that.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    finally:
        os._exit(status)
