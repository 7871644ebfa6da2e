"""Queues whose jobs add others, in every way there is; a real ``huey_consumer`` imports them."""

from __future__ import annotations

from typing import Any

from hsejobs.engine import JobHuey, current_job, follow_up

huey = JobHuey("clan", attempts=1)
away = JobHuey("abroad", attempts=1)


@away.task()
def send(payload: dict[str, Any]) -> None:
    """Does nothing, elsewhere."""


@huey.task()
def leaf(payload: dict[str, Any]) -> None:
    """Does nothing."""


@huey.task()
def add_one(payload: dict[str, Any]) -> str:
    """Adds a job to its own queue, for its own organization or another."""
    added: str = leaf.add({}, organization_id=payload.get("for")).id
    return added


@huey.task()
def add_deeper(payload: dict[str, Any]) -> str:
    """Adds a job that adds a job, as often as its payload says."""
    task = add_deeper if payload["depth"] > 1 else leaf
    added: str = task.add({"depth": payload["depth"] - 1}).id
    return added


@huey.task()
def follow(payload: dict[str, Any]) -> str:
    """Adds a follow-up to another queue."""
    return follow_up("abroad", {}, key="report").id


@huey.task()
def many(payload: dict[str, Any]) -> list[str]:
    return [one.id for one in leaf.add_many([{}] * payload["n"])]


@huey.task()
def succeed(number: int) -> int:
    return number


@huey.task()
def break_down(number: int) -> None:
    raise ValueError("no")


@huey.task()
def after(*values: Any) -> str:
    """The follow-up of a pipeline, of an error, and of a chord."""
    return current_job().id
