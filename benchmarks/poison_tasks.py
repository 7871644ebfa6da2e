"""The queue that ``poison.py`` poisons."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import Any

from hsejobs.engine import JobHuey

huey = JobHuey("poisoned", attempts=3, backoff=0.1, timeout=60.0)


@huey.task()
def innocent(payload: dict[str, Any]) -> int:
    """Take some ms, which the payload says."""
    time.sleep(payload["ms"] / 1000)
    return os.getpid()


@huey.task()
def poison(payload: dict[str, Any]) -> None:
    """End the process that runs it: by ``kill``, or by a ``fault`` of an extension."""
    if payload["by"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    ctypes.string_at(0)
