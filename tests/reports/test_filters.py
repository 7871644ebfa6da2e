"""Filters are checked when the job is added; each problem names its field and repeats no value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs.errors import InvalidPayload
from tasks.reports import generate_report
from tasks.reports.filters import FILTERS, Filters, parse_filters

SECRET = "Zx9-not-to-be-repeated"


@pytest.mark.parametrize(
    ("kind", "filters", "field"),
    [
        ("audits", {"color": SECRET}, "filters.color"),
        ("audits", {"severity": "High"}, "filters.severity"),
        ("compliance", {"status": "Completed"}, "filters.status"),
        ("audits", {"status": SECRET}, "filters.status"),
        ("audits", {"status": "Closed"}, "filters.status"),
        ("audits", {"status": []}, "filters.status"),
        ("audits", {"status": ["Completed", 7]}, "filters.status"),
        ("audits", {"status": {"not": SECRET}}, "filters.status"),
        ("incidents", {"severity": ["High", SECRET]}, "filters.severity"),
        ("audits", {"stationId": ""}, "filters.stationId"),
        ("audits", {"stationId": "a\x00b"}, "filters.stationId"),
        ("audits", {"stationId": ["s"] * 101}, "filters.stationId"),
        ("audits", {"startDate": "2026-02-30"}, "filters.startDate"),
        ("audits", {"startDate": "2026-01-31T08:00:00"}, "filters.startDate"),
        ("audits", {"startDate": 20260131}, "filters.startDate"),
        ("audits", {"endDate": SECRET}, "filters.endDate"),
        ("audits", {"endDate": "0001-01-01T00:00:00+14:00"}, "filters.endDate"),
        ("audits", {"startDate": "2026-02-01", "endDate": "2026-01-31"}, "filters.endDate"),
        ("audits", {"startDate": "2026-01-01", "start_date": "2026-01-02"}, "filters.start_date"),
    ],
)
def test_what_cannot_be_used_is_refused(kind: str, filters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        generate_report.data_of({"type": kind, "filters": filters})
    assert caught.value.field == field
    assert SECRET not in str(caught.value)


def test_every_problem_is_named() -> None:
    bad = {"status": "x", "startDate": "y", "shape": "z"}
    with pytest.raises(InvalidPayload) as caught:
        generate_report.data_of({"type": "audits", "filters": bad})
    assert {name for name, _ in caught.value.problems} == {f"filters.{name}" for name in bad}


def test_what_can_be_used() -> None:
    assert parse_filters("audits", {}) == Filters()
    assert parse_filters("audits", {"status": None}) == Filters()
    found = parse_filters(
        "incidents",
        {
            "status": ["open", "CLOSED", "Open"],
            "severity": "high",
            "station_id": "s-1",
            "start_date": "2026-01-31",
            "endDate": "2026-01-31",
        },
    )
    assert found == Filters(
        ("Open", "Closed"), ("High",), ("s-1",), "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z"
    )
    zoned = parse_filters("audits", {"startDate": "2026-01-31T23:30:00.5-02:00"})
    assert zoned.start == "2026-02-01T01:30:00Z"


def test_the_payload_is_stored_as_it_came() -> None:
    payload = {"type": "audits", "filters": {"status": "Completed"}, "format": "json"}
    assert generate_report.data_of(payload) == payload


@pytest.mark.parametrize("address", ["nobody", "a@b@c", "a b@c.example", "x@" + "y" * 300])
def test_a_report_with_an_invalid_notification_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        generate_report.data_of({"type": "audits", "notifyEmail": address})
    assert caught.value.field == "notifyEmail"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.sampled_from(sorted(FILTERS)),
    st.dictionaries(
        st.sampled_from(["status", "severity", "stationId", "startDate", "endDate"])
        | st.text(max_size=9),
        JSON,
    ),
)
def test_anything_is_either_taken_or_refused(kind: str, filters: dict[str, Any]) -> None:
    names: list[str] = []
    try:
        found = parse_filters(kind, filters)
    except InvalidPayload as error:
        names = [name for name, _ in error.problems]
    else:
        assert isinstance(found, Filters)
        assert filters.keys() <= FILTERS[kind].keys()
    assert all(name.startswith("filters.") for name in names)
