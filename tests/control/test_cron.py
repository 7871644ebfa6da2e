"""Cron texts mean what Huey's ``crontab()`` means, and one that means nothing hides no other."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

import pytest
from huey.api import crontab
from hypothesis import given
from hypothesis import strategies as st

from hsejobs.control import cron
from hsejobs.engine.periodic import cron_text
from hsejobs.errors import InvalidOption

MINUTE = datetime.timedelta(minutes=1)
START = datetime.datetime(2026, 11, 24, 7, 24)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "* * * * *"),
        ({"minute": "0"}, "0 * * * *"),
        ({"minute": "0", "hour": "0", "day_of_week": "0"}, "0 0 * * 0"),
        ({"minute": "0", "hour": "0", "day_of_week": "7"}, "0 0 * * 0"),
        ({"minute": "*/5", "hour": "3"}, "*/5 3 * * *"),
        ({"minute": "1,2", "day_of_week": "1-5"}, "1,2 * * * 1-5"),
        ({"minute": "30", "hour": "6", "day": "1", "month": "*/3"}, "30 6 1 */3 *"),
        ({"minute": "0", "hour": "4", "day_of_week": "0,3,6"}, "0 4 * * 0,3,6"),
        ({"minute": "0", "hour": "4", "day_of_week": "0,2,4,6"}, "0 4 * * 0,2,4,6"),
        ({"minute": "0", "hour": "22-2", "day_of_week": "5-1"}, "0 0,1,2,22,23 * * 0,1,5,6"),
    ],
)
def test_the_text_says_what_the_function_does(fields: dict[str, str], text: str) -> None:
    valid = crontab(**fields)
    assert cron_text(valid) == text
    expected = START + MINUTE
    while not valid(expected):
        expected += MINUTE
    assert cron.parse(text).next_run(START) == expected


def _fields(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    step = st.integers(1, high + 5).map(str)
    span = st.tuples(number, number).map("-".join)
    piece = st.one_of(
        st.just("*"), number, span, st.tuples(span, step).map("/".join), step.map("*/{}".format)
    )
    wild = st.text("0123456789*-/,", max_size=6)
    return st.lists(piece | wild, min_size=1, max_size=3).map(",".join)


ROW = st.tuples(*(_fields(*limits) for limits in ((0, 61), (0, 25), (0, 33), (0, 13), (0, 8))))
TIMES = st.datetimes(datetime.datetime(2024, 1, 1), datetime.datetime(2033, 12, 31))


@given(row=ROW, at=TIMES)
def test_any_text_means_what_it_means_to_huey(row: tuple[str, ...], at: datetime.datetime) -> None:
    names = ("minute", "hour", "day", "month", "day_of_week")
    theirs: Any = None
    with contextlib.suppress(ValueError):
        theirs = crontab(**dict(zip(names, row, strict=True)), strict=True)
    ours = None
    with contextlib.suppress(InvalidOption):
        ours = cron.parse(" ".join(row))
    if theirs is None:
        # Steps of weekdays, which records of older releases have, are all that ours takes beside.
        assert ours is None or "*/" in row[4]
        return
    assert ours is not None
    assert ours.matches(at) == theirs(at)
    again = cron.parse(cron_text(theirs))
    assert again == ours
    found = ours.next_run(at)
    if found is None:
        first = datetime.datetime(2024, 1, 1, ours.hours[0], ours.minutes[0])
        assert not any(theirs(first + datetime.timedelta(days=n)) for n in range(40 * 366))
        return
    assert theirs(found)
    assert found > at
    probe = min(found, at.replace(second=0, microsecond=0) + MINUTE * 3000)
    assert not any(theirs(probe - MINUTE * n) for n in range(1, 3000) if probe - MINUTE * n > at)


@pytest.mark.parametrize(
    ("text", "after", "found"),
    [
        ("0 0 29 2 *", "2026-11-24T07:24", "2028-02-29T00:00"),
        ("0 0 29 2 1", "2026-11-24T07:24", "2044-02-29T00:00"),
        ("30 6 31 * *", "2026-11-30T07:00", "2026-12-31T06:30"),
        ("* * * * *", "2026-12-31T23:59", "2027-01-01T00:00"),
        ("15 3 * * 0", "2026-11-29T03:15", "2026-12-06T03:15"),
        ("15 3 * * */3", "2026-11-26T04:00", "2026-11-28T03:15"),
    ],
)
def test_the_next_run(text: str, after: str, found: str) -> None:
    ms = [
        int(datetime.datetime.fromisoformat(one + "+00:00").timestamp() * 1000)
        for one in (after, found)
    ]
    assert cron.next_run(text, ms[0]) == ms[1]


@pytest.mark.parametrize(
    "text", ["", "0 0 31 2 *", "0 0 * *", "0 0 * * mon", "99 * * * *", "a b c d e", "* * * * */0"]
)
def test_what_never_comes_or_means_nothing_has_no_next_run(text: str) -> None:
    assert cron.next_run(text, 1_700_000_000_000) is None


def test_a_function_that_only_looks_like_a_crontab_has_no_text() -> None:
    hours = [1, 2, 3, 4, 5]
    assert cron_text(lambda at: at.hour in hours) == ""
