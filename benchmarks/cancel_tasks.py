"""The queue that ``benchmarks/cancel.py`` measures; a real consumer imports it."""

from __future__ import annotations

import os
import random
import time
from typing import Any

from hsejobs.engine import JobHuey, Postpone, current_job

huey = JobHuey("cancelled", attempts=3, backoff=0.05)


def _note(word: str) -> None:
    """One line: the job, what happened, and the wall clock in ms, which the canceller shares."""
    line = f"{current_job().id} {word} {time.time() * 1000:.1f}\n"
    with open(os.environ["CANCEL_NOTES"], "a") as file:
        file.write(line)


@huey.task()
def busy(payload: dict[str, Any]) -> int:
    """Works for a while in short steps, tells how far it is, and sometimes fails or waits."""
    luck = random.random()
    try:
        for step in range(payload["steps"]):
            time.sleep(0.01)
            current_job().progress(min(100, step))
    except BaseException:
        _note("interrupted")
        raise
    if luck < 0.2:
        raise ValueError("not this time")
    if luck < 0.3:
        raise Postpone("not now", delay=0.2)
    return int(payload["steps"])


@huey.task()
def sleep(payload: dict[str, Any]) -> None:
    """Sleeps in one piece: only a signal ends it."""
    _note("began")
    try:
        time.sleep(payload["seconds"])
    except BaseException:
        _note("interrupted")
        raise


@huey.task()
def check(payload: dict[str, Any]) -> None:
    """Asks at each step whether it may go on."""
    _note("began")
    until = time.monotonic() + payload["seconds"]
    try:
        while time.monotonic() < until:
            current_job().check()
            time.sleep(0.005)
    except BaseException:
        _note("interrupted")
        raise
