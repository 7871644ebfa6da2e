"""The application's second release, for ``benchmarks/rolling.py``."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import redis
from pydantic import BaseModel, ConfigDict

import hsejobs
from hsejobs.engine import JobHuey, current_job

# The process must run the tree that this part compares.
assert hsejobs.__path__[0].startswith(os.environ["ROLLING_TREE"])

huey = JobHuey("rolling", attempts=3, backoff=0.05)


class Mail(BaseModel):
    model_config = ConfigDict(extra="forbid")

    to: str
    password: str = ""
    copies: list[str] = []


@cache
def _client() -> Any:
    return redis.Redis.from_url(os.environ["QUEUE_REDIS_URL"])


def note() -> None:
    """Counts the run."""
    _client().hincrby(os.environ["QUEUE_REDIS_PREFIX"] + "-runs", current_job().id, 1)


@huey.task()
def send(payload: Mail) -> None:
    note()


@huey.task(aliases=["former"])
def renamed(payload: dict[str, Any]) -> None:
    note()


@huey.task()
def added(payload: dict[str, Any]) -> None:
    note()


#: What a producer of this release may send: the task and a payload.
SENDS = {
    "plain": (send, {"to": "ann", "password": "hunter2"}),
    "new_field": (send, {"to": "ann", "copies": ["ben"]}),
    "renamed": (renamed, {"n": 1}),
    "new_task": (added, {"n": 1}),
}
