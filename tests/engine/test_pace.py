"""Several jobs are claimed at once only while all of them together stay below 2 ms."""

from __future__ import annotations

import pytest

from hsejobs.engine.pace import (
    BUDGET_US,
    MOST,
    MOST_FAR,
    SLOW_JOB,
    SLOW_OUTCOMES,
    TINY_US,
    WAIT_US,
    Pace,
)


def paced(*runs_us: int) -> Pace:
    pace = Pace()
    for run_us in runs_us:
        pace.ran(run_us)
    return pace


def test_the_first_job_is_claimed_alone() -> None:
    assert Pace().batch == 1


@pytest.mark.parametrize("run_us", [2_000, 5_000, 60_000_000])
def test_a_job_of_2_ms_or_more_is_claimed_alone(run_us: int) -> None:
    assert paced(*[1] * 500, run_us).batch == 1


@pytest.mark.parametrize("run_us", [1, 50, 100, 333, 700, 1_500])
def test_the_longest_of_the_recent_times_their_number_stays_in_the_budget(run_us: int) -> None:
    pace = paced(*[run_us] * 500)
    assert pace.batch * run_us <= BUDGET_US == 2_000
    assert pace.batch == min(MOST, BUDGET_US // run_us)


def test_one_long_job_is_remembered_for_some_time() -> None:
    pace = paced(*[10] * 500)
    assert pace.batch == MOST
    pace.ran(1_500)
    pace.ran(10)
    assert pace.batch == 1
    for _ in range(100):
        pace.ran(10)
    assert pace.batch == MOST


def test_who_waits_for_replies_claims_more_and_no_more_than_the_budget_allows() -> None:
    pace = paced(*[5] * 2_000)
    for _ in range(3):
        assert pace.batch == MOST
        pace.waited(WAIT_US + 1)
    assert pace.batch == MOST_FAR
    # One that came in time is no sign that Redis is near: the batch was larger.
    pace.waited(WAIT_US)
    assert pace.batch == MOST_FAR
    for _ in range(5_000):
        pace.ran(50)
    assert pace.batch == BUDGET_US // 50
    pace.ran(BUDGET_US)
    assert pace.batch == 1


def far(run_us: int) -> Pace:
    pace = paced(*[run_us] * 2_000)
    for _ in range(3):
        pace.waited(WAIT_US + 1)
    return pace


@pytest.mark.parametrize("wrote_us", [300, 1_500, 12_000])
def test_a_failing_job_now_and_then_changes_nothing(wrote_us: int) -> None:
    pace = far(5)
    for _ in range(100):
        pace.ended(100, 1, wrote_us)
        assert pace.batch == MOST_FAR
    # The first of a few.
    pace.ended(4, 1, wrote_us)
    assert pace.batch >= 100


@pytest.mark.parametrize(
    ("wrote_us", "batch"), [(300, 33), (1_500, 6), (2_500, 4), (12_000, 4), (500_000, 4)]
)
def test_of_failing_jobs_a_batch_has_what_can_be_written_in_10_ms_and_at_least_four(
    wrote_us: int, batch: int
) -> None:
    pace = far(5)
    tries = 0
    while pace.batch > batch + 1:
        # After 10 ms and four outcomes, the rest is given back.
        jobs = min(pace.batch, max(SLOW_OUTCOMES, int(SLOW_JOB * 1e6 / wrote_us)))
        pace.ended(jobs, jobs, jobs * wrote_us)
        tries += 1
    assert tries < 40
    for _ in range(200):
        pace.ended(batch, batch, batch * wrote_us)
    assert pace.batch == batch
    for _ in range(10):
        pace.ended(min(pace.batch, 32), 0, 0)
    assert pace.batch > MOST


def test_a_wait_now_and_then_changes_nothing() -> None:
    pace = paced(*[5] * 2_000)
    for _ in range(20):
        pace.waited(WAIT_US + 1)
        for _ in range(20):
            pace.waited(0)
            assert pace.batch == MOST
    for _ in range(20):
        pace.waited(1e6)
    assert pace.batch == MOST_FAR
    for _ in range(40):
        pace.waited(0)
    assert pace.batch == MOST


def test_an_interruption_of_a_tiny_job_is_not_how_long_the_next_ones_take() -> None:
    pace = paced(*[8] * 2_000)
    for _ in range(20):
        pace.waited(1e6)
    pace.ran(TINY_US)
    assert pace.batch > BUDGET_US // 10
    # But a job that is not tiny is.
    pace.ran(4 * TINY_US)
    assert pace.batch == BUDGET_US // (4 * TINY_US)


def test_long_jobs_between_many_tiny_ones_have_their_part_in_what_is_expected() -> None:
    """With one of 5 ms in fifty, twenty jobs take 2 ms."""
    pace = Pace()
    for _ in range(20):
        pace.waited(1e6)
    claimed = []
    for number in range(5_000):
        pace.ran(5_000 if number % 50 == 49 else 5)
        claimed.append(pace.batch)
    assert max(claimed[500:]) <= 25


def test_one_job_of_a_minute_is_forgotten_like_one_of_20_ms() -> None:
    """It is not the mean of thousands after it: these would be claimed one by one."""
    calls = []
    for long_us in (20_000, 60_000_000):
        pace = paced(*[10] * 3_000, long_us)
        for _ in range(20):
            pace.waited(1e6)
        count = left = 0
        while left < 2_000:
            batch = pace.batch
            count, left = count + 1, left + batch
            for _ in range(batch):
                pace.ran(10)
        calls.append(count)
    assert calls[1] <= calls[0] + 80
    assert calls[1] < 200
