"""The breaker around a call, with its real times; and the modules that its task loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hsejobs.errors import CircuitOpen
from hsejobs.services.breaker import Breaker
from hsejobs.store.circuits import Circuits

NAME = "webhook:-:a.example:443"


def breaker(circuits: Circuits, token: str) -> Breaker:
    return Breaker(circuits, NAME, token=token, seconds=29)


def fail(circuits: Circuits, token: str) -> None:
    with breaker(circuits, token) as one:
        one.failed("down")


def test_five_failures_postpone_for_a_minute(circuits: Circuits) -> None:
    for n in range(4):
        fail(circuits, f"t{n}")
    with breaker(circuits, "fine"):
        pass  # nothing learned: the count stays
    assert circuits.get(NAME).failures == 4
    fail(circuits, "t4")
    with (
        pytest.raises(CircuitOpen, match="consecutive failures") as caught,
        breaker(circuits, "t5"),
    ):
        raise AssertionError("a call through an open circuit")
    assert 59 < caught.value.delay <= 61
    assert caught.value.limit == 24 * 3600
    one = circuits.get(NAME)
    assert one.until is not None
    assert one.since is not None
    assert one.until - one.since == 60_000


def test_an_interrupted_trial_is_given_back(circuits: Circuits) -> None:
    client, base = circuits.redis, circuits.base
    for n in range(5):
        fail(circuits, f"t{n}")
    # The minute is over.
    client.command("HSET", f"{base}c:{NAME}", "un", 1)
    trial = breaker(circuits, "one")
    trial.__enter__()
    with pytest.raises(CircuitOpen, match="a trial is running"), breaker(circuits, "two"):
        raise AssertionError("a second trial")
    trial.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert circuits.get(NAME).state == "half-open"
    with breaker(circuits, "three") as one:
        one.failed("still down")
    found = circuits.get(NAME)
    assert found.state == "open"
    assert found.until is not None
    wait = circuits.enter(NAME, "four", 1000).wait_ms
    assert 119_000 < (wait or 0) <= 120_000


def test_a_job_is_added_without_loading_what_delivers_it() -> None:
    heavy = ("httpx", "httpcore", "h11", "idna", "sqlalchemy", "smtplib")
    code = (
        "import sys; from tasks.webhooks import deliver_webhook as task;"
        "task.data_of({'url': 'https://a.example/', 'payload': {}, 'eventType': 'x'});"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
