"""An application whose jobs start processes that outlive their parents; `test_supervisor` runs it."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from hsejobs.engine import JobHuey

threads = JobHuey("threads")
processes = JobHuey("processes", workers="processes")
#: A child, a session of its own, and a grandchild whose parents have ended.
TREE = "sleep {0} & setsid sleep {0} & (setsid setsid sleep {0} &) ; exec sleep {0}"


def spawn(payload: dict[str, Any]) -> None:
    """Starts four processes, which can be known by the number of seconds that they sleep."""
    subprocess.run(["/bin/sh", "-c", TREE.format(payload["seconds"])], check=True)


def nap(payload: dict[str, Any]) -> None:
    """Runs for this time."""
    time.sleep(payload["seconds"])


for queue in (threads, processes):
    for function in (spawn, nap):
        queue.task()(function)
