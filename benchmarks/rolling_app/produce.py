"""Adds jobs at a steady rate until SIGTERM, and prints the kind and id of each."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time

import rolling_jobs  # type: ignore[import-not-found]

stopped: list[bool] = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
pause = 1 / float(sys.argv[1])
due = time.monotonic()
for kind in itertools.cycle(os.environ["ROLLING_SENDS"].split(",")):
    if stopped:
        break
    task, payload = rolling_jobs.SENDS[kind]
    sys.stdout.write(f"{kind} {task.add(payload).id}\n")
    due += pause
    time.sleep(max(0.0, due - time.monotonic()))
