"""The tasks of `benchmarks.stops`. They note begin and end in the file ``STOPS_LEDGER``."""

from __future__ import annotations

import os
import time
from typing import Any

from hsejobs.engine import JobHuey

huey = JobHuey(os.environ.get("STOPS_QUEUE", "stops"), attempts=1)


def _note(word: str, number: int) -> None:
    ledger = os.open(os.environ["STOPS_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, f"{word} {number}\n".encode())
    os.close(ledger)


@huey.task()
def work(payload: dict[str, Any]) -> None:
    """Runs for ``ms``."""
    _note("begin", payload["n"])
    time.sleep(payload["ms"] / 1000)
    _note("end", payload["n"])


@huey.task(timeout=0.2)
def hang(payload: dict[str, Any]) -> None:
    """Does not end at its deadline: a consumer whose threads all hang restarts itself."""
    time.sleep(600)
