"""Huey's rate limit: jobs over it wait, in order, and none fails because of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from huey.exceptions import RateLimitExceeded

from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidOption, JobFailed
from tests.engine import jobs
from tests.engine.conftest import Consumer, wait_for
from tests.store.test_rates import crowded

Start = Callable[..., Consumer]
LIMIT, PER = 6, 0.4


def test_no_window_of_two_consumers_holds_more(consumer: Start, trial: Path) -> None:
    for _ in range(2):
        consumer("-w", "6")
    payload = {"limit": LIMIT, "per": PER}
    added = jobs.rated.add_many([payload] * 40, attempts=1)
    wait_for("completed", len(added))
    lines = [line.split() for line in trial.read_text().splitlines() if line.startswith("rated:")]
    begins = [(float(words[0].partition(":")[2]), float(words[1])) for words in lines]
    assert len(begins) == 40, "each ran once"
    assert crowded(begins, LIMIT, PER) == []
    assert {job.refresh().attempts_made for job in added} == {1}
    # Each gets the time of its own turn: not all come at the end of each window.
    feed = runtime().redis.command("XRANGE", f"{jobs.huey.base}events", "-", "+")
    postponed = sum(b"postponed" in fields for _, fields in feed)
    assert postponed < 40 * 4


def test_without_retry_it_fails(consumer: Start) -> None:
    consumer("-w", "1")
    payload = {"limit": 0, "per": 0.05, "retry": False}
    job = jobs.rated.add(payload, attempts=2, backoff=0.01)
    with pytest.raises(JobFailed, match=r'^Rate limit exceeded on "calls"') as failed:
        job.wait(20)
    assert failed.value.failure_code == "rate_limited"
    record = job.refresh()
    assert [error["code"] for error in record.errors] == ["rate_limited"] * 2


def test_outside_a_job(trial: Path) -> None:
    limiter = jobs.huey.rate_limit("program", 2, 60)

    @limiter
    def call() -> str:
        return "called"

    assert (call(), call(), limiter.current_usage()) == ("called", "called", 2)
    with pytest.raises(RateLimitExceeded) as full:
        call()
    assert 59 < full.value.delay <= 60.1
    assert full.value.retry
    limiter.reset()
    assert (limiter.current_usage(), call()) == (0, "called")
    limiter.reset()


@pytest.mark.parametrize(
    ("limit", "per", "field"),
    [(-1, 1, "limit"), (True, 1, "limit"), (1.5, 1, "limit"), (1, 0, "per"), (1, "1", "per")],
)
def test_values_that_make_no_sense(limit: int, per: float, field: str) -> None:
    with pytest.raises(InvalidOption, match=f"^{field}: "):
        jobs.huey.rate_limit("wrong", limit, per)
