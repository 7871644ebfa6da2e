"""The cron text that is rebuilt from Huey's ``crontab``, and the next run by it."""

from __future__ import annotations

import datetime

import pytest

from hsejobs.engine import crontab
from hsejobs.engine.periodic import cron_text, next_run


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
    ],
)
def test_the_text_says_what_the_function_does(fields: dict[str, str], text: str) -> None:
    valid = crontab(**fields)
    assert cron_text(valid) == text
    start = datetime.datetime(2026, 11, 24, 7, 24)
    following = next_run(text, start)
    assert following is not None
    minute = datetime.timedelta(minutes=1)
    expected = start + minute
    while not valid(expected):
        expected += minute
    assert following == expected
