"""Tasks at the edges of the engine: they fork, are interrupted late, and only store checkpoints."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import redis

from hsejobs.engine import JobHuey, current_job
from hsejobs.engine.context import JobInterrupted

huey = JobHuey("trial")


@huey.task()
def whose(payload: dict[str, Any]) -> int:
    """The process that runs this."""
    time.sleep(payload["seconds"])
    return os.getpid()


@huey.task()
def forks(payload: dict[str, Any]) -> list[int]:
    """The child's id and its exit code."""
    child = os.fork()
    if not child:
        if payload["how"] == "raises":
            raise ValueError("in the child")
        if payload["how"] == "exits":
            sys.exit(3)
        return [0, 0]
    return [child, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


class Late(Exception):
    """Once the task has ended, the interrupt comes."""

    def __str__(self) -> str:
        if sys._getframe(1).f_code.co_name == "_describe":
            signal.raise_signal(signal.SIGUSR1)
        return "late"


@huey.task()
def late(payload: dict[str, Any]) -> None:
    with contextlib.suppress(JobInterrupted):
        time.sleep(60)
    raise Late


@huey.task()
def points(payload: dict[str, Any]) -> None:
    """Calls nothing but ``checkpoint``."""
    for number in range(2000):
        current_job().checkpoint(number)
        time.sleep(0.02)


@huey.task()
def ends_in_a_pause(payload: dict[str, Any]) -> None:
    """Once interrupted, or told to go on, it ends while Redis writes nothing for ``ms``: ``fails`` or not."""
    file = Path(os.environ["TRIAL_FILE"])
    try:
        _note("begun")
        while "go on" not in file.read_text():
            time.sleep(0.01)
    except JobInterrupted:
        _pause(payload["ms"])
        if payload["fails"]:
            raise ValueError("interrupted") from None
        raise
    _pause(payload["ms"])
    raise ValueError("told to go on")


def _pause(ms: int) -> None:
    with redis.Redis.from_url(os.environ["ROOT_URL"]) as client:
        client.client_pause(ms, all=False)
    _note("paused")


def _note(word: str) -> None:
    with Path(os.environ["TRIAL_FILE"]).open("a") as file:
        file.write(f"{word}\n")


@huey.task()
def deaf(payload: dict[str, Any]) -> None:
    """Hears no interrupt."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    _note("deaf")
    time.sleep(60)
