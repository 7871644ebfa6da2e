"""Windows by place: the anchor keeps its row however the jobs around it move."""

from __future__ import annotations

import pytest

from hsejobs.model import State
from hsejobs.store.read_live import LiveReader
from tests.store.test_acts import Store


@pytest.fixture
def store(redis_url: str) -> Store:
    return Store(redis_url)


def test_a_window_follows_its_anchor(store: Store) -> None:
    for n in range(30):
        store.add(f"j{n:02}")
    live = LiveReader(store.redis, "t")
    seen = live.window("q", State.WAITING, offset=10, limit=5, anchor="j12", anchor_row=2)
    assert (seen.total, seen.offset, seen.place) == (30, 10, 12)
    assert [job.id for job in seen.rows if job] == ["j10", "j11", "j12", "j13", "j14"]
    store.writer.remove_many("q", ["j00", "j01"])
    seen = live.window("q", State.WAITING, offset=10, limit=5, anchor="j12", anchor_row=2)
    assert (seen.offset, seen.place) == (8, 10)
    store.writer.remove("q", "j12")
    seen = live.window("q", State.WAITING, offset=8, limit=5, anchor="j12", anchor_row=2)
    assert (seen.offset, seen.place) == (8, None)
    last = live.window("q", State.WAITING, offset=10_000, limit=5, reverse=True)
    assert [job.id for job in last.rows if job] == ["j06", "j05", "j04", "j03", "j02"]


def test_a_window_of_an_organization_has_its_jobs_only(store: Store) -> None:
    store.add("a", organization_id="one")
    store.add("b", organization_id="two")
    live = LiveReader(store.redis, "t", "one")
    seen = live.window("q", State.WAITING, anchor="b")
    assert ([job.id for job in seen.rows if job], seen.place) == (["a"], None)
    assert live.jobs("q", ["a", "b"])[1] is None
