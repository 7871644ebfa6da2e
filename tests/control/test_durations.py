"""Durations: one notation, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs.control.durations import LONGEST_MS, duration, parse_duration
from hsejobs.errors import InvalidOption


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("0", 0),
        ("90", 90_000),
        ("250ms", 250),
        ("1.5h", 5_400_000),
        (" 7 d ", 604_800_000),
        ("15m", 900_000),
        ("15min", 900_000),
        ("15 min", 900_000),
        ("1.001s", 1001),
        ("0.3s", 300),
        ("3660d", LONGEST_MS),
    ],
)
def test_a_text_is_read(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text",
    ["", "h", "-1s", "1 week", "1H", "1e3s", "3661d", "9" * 400, "²s", "1.s", "nan", "1s 2s"],
)
def test_an_invalid_duration_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(
        InvalidOption, match=r"^grace: must be a duration such as 30s, 15m, 1h or 7d$"
    ):
        parse_duration(text, "grace")


@given(st.integers(1, LONGEST_MS))
def test_what_is_written_can_be_read_again(ms: int) -> None:
    shown = duration(ms)
    assert len(shown) <= 5
    assert abs(parse_duration(shown) - ms) <= ms * 0.5
    assert duration(parse_duration(shown)) == shown
