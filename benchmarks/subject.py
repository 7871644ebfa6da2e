"""hsejobs under measurement: all of its API that the benchmarks use.

Worked by ``huey_consumer benchmarks.subject.huey``; filled by `benchmarks.adder`.
"""

from __future__ import annotations

from typing import Any

from benchmarks import bodies
from hsejobs.engine import JobHuey

huey = JobHuey("bench", attempts=3, backoff=5.0, timeout=60.0)


def noop(payload: dict[str, Any]) -> None:
    bodies.mark()


def probe(payload: dict[str, Any]) -> None:
    bodies.probe(payload)


def nap(payload: dict[str, Any]) -> None:
    bodies.nap(payload)


TASKS: dict[str, Any] = {body.__name__: huey.task()(body) for body in (noop, probe, nap)}


def add(task: str, payload: dict[str, Any], delay: float | None = None) -> None:
    if delay is None:
        TASKS[task].add(payload)
    else:
        TASKS[task].add(payload, delay=delay)


def add_many(task: str, payloads: list[dict[str, Any]], organization: str | None) -> None:
    if organization is None:
        TASKS[task].add_many(payloads)
    else:
        TASKS[task].add_many(payloads, organization_id=organization)
