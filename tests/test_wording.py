"""Counts agree with their nouns and verbs."""

from __future__ import annotations

import pytest

from hsejobs.store.minutes import Minute
from hsejobs.store.read import QueueStats
from hsejobs.watch.rules import Limits, readings
from hsejobs.wording import all_of, counted, during, jobs_wait, verb


@pytest.mark.parametrize(
    ("count", "jobs", "every", "wait"),
    [
        (0, "0 jobs", "0 jobs", "0 jobs wait"),
        (1, "1 job", "1 job", "1 job waits"),
        (2, "2 jobs", "all 2 jobs", "2 jobs wait"),
        (1234, "1,234 jobs", "all 1,234 jobs", "1,234 jobs wait"),
    ],
)
def test_counts(count: int, jobs: str, every: str, wait: str) -> None:
    assert counted(count, "job") == jobs
    assert all_of(count, "job") == every
    assert jobs_wait(count) == wait


def test_an_irregular_plural_and_a_pronoun() -> None:
    assert counted(1, "kind of failure", "kinds of failures") == "1 kind of failure"
    assert counted(2, "kind of failure", "kinds of failures") == "2 kinds of failures"
    assert [verb(count, "it", "them") for count in (0, 1, 2)] == ["them", "it", "them"]


def test_alerts_about_one_job() -> None:
    stats = QueueStats("mail", 1, 0, 0, 0, 0, False, 60_000, 0, 0, 1_000_000, [Minute(refused=1)])
    limits = Limits(waiting=0, failed_percent=None, stalled_ms=0, no_worker_ms=0, oldest_ms=None)
    assert [one.message for one in readings(stats, 1, limits)] == [
        "1 job waits",
        "1 job stalled and no worker takes it over",
        "1 job waits and there is no worker",
        "1 add was refused in 5 minutes: an organization has reached its quota",
    ]


def test_a_job_that_was_cancelled_before_it_ran_had_no_attempt() -> None:
    assert during({"attempt": 0, "code": "cancelled"}) == "while it waited"
    assert during({"attempt": 1, "code": "cancelled", "startedAt": 5}) == "attempt 1"
    assert during({"attempt": 2, "code": "hidden"}) == "attempt 2"
