"""The queue that ``refusals.py`` disturbs."""

from __future__ import annotations

import os
import time
from typing import Any

from hsejobs.engine import JobHuey, current_job

huey = JobHuey("refused", attempts=3, backoff=0.1, timeout=900.0)


def _note(word: str) -> None:
    # One write per line, so that lines of several processes do not mix.
    fd = os.open(os.environ["REFUSAL_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(fd, f"{word} {current_job().id}\n".encode())
    finally:
        os.close(fd)


@huey.task()
def talk(payload: dict[str, Any]) -> int:
    """Run for the payload's number of seconds and report progress about once a second."""
    job, until = current_job(), time.monotonic() + payload["seconds"]
    _note("begin")
    steps = 0
    while (left := until - time.monotonic()) > 0:
        job.progress(100 * (1 - left / payload["seconds"]), f"step {steps}")
        job.log(f"step {steps}")
        steps += 1
        time.sleep(min(left, 1.0))
    _note("end")
    return steps


@huey.task()
def short(payload: dict[str, Any]) -> str:
    """Run for a few ms and return a large result."""
    _note("begin")
    time.sleep(payload["seconds"])
    return "x" * int(payload.get("size", 10))
