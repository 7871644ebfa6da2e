"""A queue whose tasks are held and let go; real consumers import it."""

from __future__ import annotations

import os
import time
from typing import Any

from hsejobs.engine import JobHuey

huey = JobHuey("held", attempts=3, backoff=0.05)


def _note(word: str) -> None:
    with open(os.environ["HELD_FILE"], "a") as file:
        file.write(f"{word}\n")


@huey.task()
def send(payload: dict[str, Any]) -> None:
    _note(f"send {payload['n']}")
    while payload.get("slow") and os.path.exists(os.environ["HELD_FILE"] + ".slow"):
        time.sleep(0.01)
    if payload.get("fails") and not os.path.exists(os.environ["HELD_FILE"] + ".works"):
        raise ValueError("not yet")


@huey.task()
def other(payload: dict[str, Any]) -> None:
    _note(f"other {payload['n']}")


QUEUES = {"held": huey}
