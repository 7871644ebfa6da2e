"""hsejobs under measurement: all of its API that the benchmarks use.

Worked by ``huey_consumer benchmarks.subject.huey``; filled by `benchmarks.adder`.
"""

from __future__ import annotations

from typing import Any

from benchmarks import bodies
from hsejobs.engine import JobHuey

huey = JobHuey("bench", attempts=3, backoff=5.0, timeout=60.0)


def mail(payload: dict[str, Any]) -> dict[str, Any]:
    return bodies.mail(payload)


def probe(payload: dict[str, Any]) -> dict[str, Any]:
    return bodies.probe(payload)


def nap(payload: dict[str, Any]) -> dict[str, Any]:
    return bodies.nap(payload)


TASKS: dict[str, Any] = {body.__name__: huey.task()(body) for body in (mail, probe, nap)}


def add(
    task: str, payload: dict[str, Any], organization: str | None, delay: float | None = None
) -> None:
    options: dict[str, Any] = {}
    if organization is not None:
        options["organization_id"] = organization
    if delay is not None:
        options["delay"] = delay
    TASKS[task].add(payload, **options)


def add_many(task: str, payloads: list[dict[str, Any]], organization: str | None) -> None:
    if organization is None:
        TASKS[task].add_many(payloads)
    else:
        TASKS[task].add_many(payloads, organization_id=organization)
