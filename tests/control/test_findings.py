"""Spans of time, and what they show: the field of ``t``, and the report's findings."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs.control.findings import time_of
from hsejobs.control.moments import parse_span
from hsejobs.errors import InvalidOption
from hsejobs.model import JobRecord, State

MINUTE = 60_000
DAY = 1_440 * MINUTE
#: 2027-01-15 08:00 UTC.
NOW = 1_800_000_000_000


def at(clock: str, days: int = 0) -> int:
    hour, minute = map(int, clock.split(":"))
    return NOW - NOW % DAY + (hour * 60 + minute) * MINUTE - days * DAY


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("03:00 to 03:10", (at("03:00"), at("03:10"))),
        ("07:50  to  08:30", (at("07:50"), NOW)),
        ("23:50 to 00:10", (at("23:50", 1), at("00:10"))),
        ("yesterday 14:00 to 15:00", (at("14:00", 1), at("15:00", 1))),
        ("3h to 2h", (NOW - 180 * MINUTE, NOW - 120 * MINUTE)),
        ("03:00-03:10", (at("03:00"), at("03:10"))),
        ("03:00 - 03:10", (at("03:00"), at("03:10"))),
        ("03:05", (at("03:05"), at("03:05"))),
    ],
)
def test_spans(text: str, span: tuple[int, int]) -> None:
    assert parse_span(text, NOW) == span


@pytest.mark.parametrize("text", ["03:00 to", "2h to 3h", "to 03:10", "03:00 to noon"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(InvalidOption):
        parse_span(text, NOW)


def job(**values: Any) -> JobRecord:
    return JobRecord(
        "a",
        "q",
        "m.t",
        State.COMPLETED,
        None,
        None,
        3,
        values.pop("made", 1),
        3,
        0,
        0,
        1_000,
        **values,
    )


def test_times_of_a_job() -> None:
    once = job(processed_at=4_000, finished_at=9_000)
    assert (time_of(once, waiting=True), time_of(once, waiting=False)) == (3_000, 5_000)
    # What a later attempt waited is a backoff.
    again = job(made=2, processed_at=60_000, finished_at=61_000)
    assert (time_of(again, waiting=True), time_of(again, waiting=False)) == (None, 1_000)
    assert time_of(job(), waiting=True) is None
