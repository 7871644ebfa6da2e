"""Several jobs are claimed at once only while all of them together stay below 2 ms."""

from __future__ import annotations

import pytest

from hsejobs.engine.pace import BUDGET_US, MOST, Pace


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
