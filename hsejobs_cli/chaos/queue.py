"""The queue of ``hsejobs chaos``: its jobs record in the ledger what happens to them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from hsejobs.engine import JobHuey, current_job
from hsejobs_cli.chaos.ledger import VARIABLE, Ledger

NAME = "chaos"
#: One attempt, as blows use none up: more would hide a failure.
huey = JobHuey(NAME, attempts=1, timeout=120.0)

_ledgers: dict[str, Ledger] = {}


def _note(what: str) -> None:
    path = os.environ[VARIABLE]
    ledger = _ledgers.setdefault(path, Ledger(Path(path)))
    job = current_job()
    ledger.write(what, job.id, run=job.token, pid=os.getpid(), group=os.getsid(0))


@huey.task()
def nap(payload: dict[str, Any]) -> None:
    _note("begin")
    time.sleep(payload["seconds"])
    _note("end")


@huey.task()
def talk(payload: dict[str, Any]) -> None:
    """Runs for ``seconds`` and keeps reporting progress and log lines."""
    _note("begin")
    job, steps = current_job(), max(1, int(payload["seconds"] * 20))
    for step in range(steps):
        job.progress(100 * step / steps, f"step {step}")
        job.log(f"step {step}")
        time.sleep(payload["seconds"] / steps)
    _note("end")


@huey.task()
def act(payload: dict[str, Any]) -> None:
    """Has an effect that must happen only once, whatever happens to its worker."""
    _note("begin")
    time.sleep(payload["seconds"])
    if current_job().once("effect"):
        _note("effect")
    _note("end")
