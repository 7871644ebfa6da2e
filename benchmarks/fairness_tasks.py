"""The queue that ``benchmarks/fairness.py`` measures; real consumers import it."""

from __future__ import annotations

import os
import time
from typing import Any

from hsejobs.engine import JobHuey, current_job

huey = JobHuey("fairness")


@huey.task()
def work(payload: dict[str, Any]) -> None:
    """Sleeps, and notes its organization, begin and end (s since the epoch)."""
    began = time.time()
    time.sleep(payload["seconds"])
    if name := os.environ.get("FAIRNESS_NOTES"):
        line = f"{current_job().organization_id} {began:.6f} {time.time():.6f}\n"
        file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)


def _host_and_organization(payload: dict[str, Any], organization: str | None) -> str:
    return f"{payload['host']} {organization}"


@huey.task(key=_host_and_organization, key_limit=2)
def call(payload: dict[str, Any]) -> None:
    """Waits as long as the host takes to answer."""
    time.sleep(payload["seconds"])
