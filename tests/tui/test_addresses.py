"""Addresses of the dashboard: each place and window there and back, and what is refused."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs.errors import InvalidOption
from hsejobs.model import QUEUE_NAME, RESERVED_QUEUE_NAMES, State
from hsejobs_tui import router
from hsejobs_tui.core.time_window import LENGTHS, TimeWindow
from hsejobs_tui.session.addresses import (
    DIVISIONS,
    OTHERS,
    ROOT,
    SCREENS,
    UnknownAddress,
    address_of,
    read_address,
)
from hsejobs_tui.session.places import (
    InsightPlace,
    JobPlace,
    ListPlace,
    MatchPlace,
    Place,
    QueuePlace,
)

NOW = 1_800_000_000_000
QUEUES = st.one_of(
    st.sampled_from([*SCREENS, *OTHERS, "jobs-x", "billing"]),
    st.from_regex(QUEUE_NAME, fullmatch=True),
).filter(lambda one: one not in RESERVED_QUEUE_NAMES)
IDS = st.from_regex(r"[A-Za-z0-9_:@+=][A-Za-z0-9._:@+=-]{0,199}", fullmatch=True)
QUERIES = st.sampled_from(
    [
        "",
        "error~timeout since=1h",
        'data.to="a b&c#d?e=%2F/../"',
        "<script>",
        "ünï\u202ecode",
        "+ %",
    ]
)
PLACES = st.one_of(
    st.builds(
        ListPlace, st.sampled_from(["overview", *(one for one in SCREENS if one != "insight")])
    ),
    st.builds(
        InsightPlace,
        st.none() | QUEUES,
        st.sampled_from(DIVISIONS),
        st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    ),
    st.builds(QueuePlace, QUEUES, st.none() | st.sampled_from(State), QUERIES),
    st.builds(JobPlace, QUEUES, IDS),
    st.builds(MatchPlace, QUERIES.filter(bool)),
)


@st.composite
def windows(draw: st.DrawFn) -> TimeWindow:
    name = draw(st.sampled_from(list(LENGTHS)))
    oldest = NOW - LENGTHS["30d"] + LENGTHS[name]
    ends = st.none() if name == "30d" else st.none() | st.integers(oldest, NOW - 1)
    return TimeWindow(name, draw(ends))


@given(PLACES, windows())
def test_there_and_back(place: Place, window: TimeWindow) -> None:
    address = address_of(place, window)
    assert address.isascii()
    assert address.startswith(ROOT)
    assert not set(address) & set(" <>\"'\\#")
    if isinstance(place, QueuePlace):
        place = QueuePlace(place.queue, place.state, place.query.strip())
    if isinstance(place, MatchPlace):
        place = MatchPlace(place.query.strip())
    assert read_address(address, NOW) == (place, window)


def test_addresses_that_people_write() -> None:
    for address, place in {
        "": ListPlace("overview"),
        "/": ListPlace("overview"),
        "/overview": ListPlace("overview"),
        "/failures": ListPlace("failures"),
        "/billing": QueuePlace("billing", State.FAILED),
        "/queues/billing?state=waiting": QueuePlace("billing", State.WAITING),
        "/queues/failures?where=error~timeout+since%3D1h": QueuePlace(
            "failures", State.FAILED, "error~timeout since=1h"
        ),
        "/queues?where=request=req-1": MatchPlace("request=req-1"),
        "/billing/jobs/a%3Ab": JobPlace("billing", "a:b"),
        "/failures/jobs/x?organizationId=o": JobPlace("failures", "x"),
    }.items():
        assert read_address(ROOT + address, NOW) == (place, TimeWindow()), address
    assert address_of(QueuePlace("ws", State.FAILED)) == f"{ROOT}/queues/ws?state=failed"
    assert address_of(JobPlace("mail", "org-1:x")) == f"{ROOT}/mail/jobs/org-1:x"


@pytest.mark.parametrize(
    ("query", "window"),
    [
        ("from=-3h", TimeWindow("3h")),
        ("from=3h", TimeWindow("3h")),
        ("from=2027-01-15T06:00Z&to=2027-01-15T07:00Z", TimeWindow("1h", NOW - 3_600_000)),
        # The shortest window that holds it, around its middle.
        ("from=2027-01-15T04:00Z&to=2027-01-15T06:00Z", TimeWindow("3h", NOW - 5_400_000)),
        ("from=2027-01-15T04:00Z&to=2028-01-01", TimeWindow("24h")),
        ("to=2027-01-15T07:00Z", TimeWindow("1h", NOW - 3_600_000)),
        ("from=60d&to=2h", TimeWindow("30d")),
    ],
)
def test_windows(query: str, window: TimeWindow) -> None:
    assert read_address(f"{ROOT}?{query}", NOW)[1] == window


@pytest.mark.parametrize(
    "path",
    [
        *(f"/{one}" for one in OTHERS if one != "overview"),
        "/Billing",
        "/-x",
        "/../stats",
        "//evil.example",
        "/billing/",
        "/billing/jobs",
        "/billing/jobs/",
        "/billing/jobs/x/logs",
        "/billing/jobs/..",
        "/billing/jobs/.%2e",
        "/billing/jobs/a%2fb",
        "/billing/jobs/%0d%0ax",
        "/billing/jobs/%ff",
        "/billing/jobs/" + "x" * 201,
        "/billing/job/x",
        "/queues",
        "/queues/",
        "/" + "x" * 9_000,
        "x",
    ],
)
def test_what_names_no_screen(path: str) -> None:
    with pytest.raises(UnknownAddress):
        read_address(ROOT + path, NOW)
    for other in (path, f"https://evil.example{ROOT}", "javascript:alert(1)"):
        with pytest.raises(UnknownAddress):
            read_address(other, NOW)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=gone", "state"),
        ("where=tries%3D", "where"),
        ("where=" + quote("a" * 3_000), "where"),
        ("from=never", "from"),
        ("from=1h&to=2h", "from"),
        ("from=1h&to=x", "to"),
        ("state=failed&state=failed", "state"),
        ("next=%2F%2Fevil.example", "next"),
        ("where=%ff", "address"),
    ],
)
def test_what_a_query_must_not_have(query: str, field: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        read_address(f"{ROOT}/billing?{query}", NOW)
    assert refused.value.problems[0][0] == field
    assert "evil" not in str(refused.value)


def test_only_queues_have_a_state() -> None:
    for path in ("", "/failures", "/billing/jobs/x"):
        with pytest.raises(InvalidOption, match="state"):
            read_address(f"{ROOT}{path}?state=failed", NOW)


def test_every_numbered_screen_has_an_address() -> None:
    assert {"overview", *SCREENS} == set(router.CLASSES)
