"""A queue whose tasks have limits by key; real consumers and shims import it."""

from __future__ import annotations

import time
from typing import Annotated, Any

from huey import crontab
from pydantic import BaseModel

from hsejobs.engine import JobHuey
from hsejobs.engine.follow import follow_up
from hsejobs.masking import Secret

huey = JobHuey("keyed", attempts=2, backoff=0.05)


class Call(BaseModel):
    host: str | None = None
    seconds: float = 0
    pin: Annotated[str | None, Secret()] = None


def place(call: Call, organization_id: str | None) -> str | None:
    if call.host == "raise":
        raise ValueError(call.pin)
    if call.host == "number":
        return 5  # type: ignore[return-value]
    if call.host == "pin":
        return f"pin {call.pin}"
    return call.host and f"{call.host} {organization_id or '-'}"


@huey.task(key=place, key_limit=2)
def call(payload: Call) -> str | None:
    time.sleep(payload.seconds)
    return payload.host


@huey.task(key=lambda payload: payload["to"], key_rate="5/s")
def mail(payload: dict[str, Any]) -> str:
    return str(payload["to"])


@huey.task(key=lambda payload: str(payload["args"]), key_limit=1)
def add(one: int, other: int) -> int:
    return one + other


@huey.task()
def hand_over(payload: dict[str, Any]) -> str:
    return follow_up("keyed", payload, key="next", task="call").id


@huey.periodic_task(crontab(minute="0"), key=lambda payload: f"tick{payload}", key_limit=1)
def tick() -> None:
    """Runs every hour."""


QUEUES = {"keyed": huey}
