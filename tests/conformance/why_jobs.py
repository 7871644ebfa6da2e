"""Queues whose jobs wait for every reason there is; real consumers import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel

from hsejobs.engine import JobHuey, Postpone, current_job
from hsejobs.engine.runtime import runtime
from hsejobs.masking import Secret
from hsejobs.services.breaker import Breaker
from hsejobs.store.circuits import Circuits

huey = JobHuey("causes", attempts=3, backoff=600.0)
capped = JobHuey("capped", limit=1)
paced = JobHuey("paced", rate="1/h")
lonely = JobHuey("lonely")
CIRCUIT = "smtp:down.example:25"


class Pin(BaseModel):
    pin: Annotated[str, Secret()]


def _wait() -> None:
    """Runs until the test removes the file, without heeding a cancel."""
    while Path(os.environ["WHY_FILE"]).exists():
        time.sleep(0.01)


@huey.task()
def hold(payload: dict[str, Any]) -> None:
    _wait()


@huey.task()
def lock(payload: dict[str, Any]) -> None:
    with huey.lock_task("printer"):
        _wait()


@huey.task(key=lambda payload: str(payload["host"]), key_limit=1)
def call(payload: dict[str, Any]) -> None:
    _wait()


@huey.task(key=lambda payload: str(payload["to"]), key_rate="1/h")
def mail(payload: dict[str, Any]) -> None:
    """Ends at once."""


@huey.task()
def limited(payload: dict[str, Any]) -> None:
    with huey.rate_limit("prints", 1, 3600):
        pass


@huey.task()
def fail(payload: dict[str, Any]) -> None:
    raise ValueError("no")


@huey.task()
def later(payload: dict[str, Any]) -> None:
    raise Postpone("the mailbox is busy", delay=600)


@huey.task()
def send(payload: dict[str, Any]) -> None:
    with Breaker(
        Circuits(runtime().redis, runtime().prefix), CIRCUIT, token=current_job().token, seconds=1
    ):
        """Never gets here while the circuit is open."""


@huey.task()
def open_safe(payload: Pin) -> None:
    """Needs the key of its payload's secret."""


@capped.task()
def one_at_a_time(payload: dict[str, Any]) -> None:
    _wait()


@paced.task()
def one_an_hour(payload: dict[str, Any]) -> None:
    """Ends at once."""


@lonely.task()
def stay(payload: dict[str, Any]) -> None:
    _wait()


@lonely.task()
def kill(payload: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
