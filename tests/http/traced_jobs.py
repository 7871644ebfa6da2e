"""A queue whose jobs have follow-ups, for a real ``huey_consumer``."""

from __future__ import annotations

from typing import Any

from hsejobs.engine import JobHuey, follow_up

huey = JobHuey("relay", attempts=1)


@huey.task()
def relay(payload: dict[str, Any]) -> None:
    """Sends a mail, and calls a webhook."""
    if payload.get("broken"):
        raise ValueError(payload["broken"])
    for queue in ("email", "webhooks"):
        follow_up(queue, payload[queue], key=queue)


@huey.task()
def leaf(number: int) -> int:
    return number


@huey.task()
def many(payload: dict[str, Any]) -> None:
    leaf.add_many([1, 2, 3])
