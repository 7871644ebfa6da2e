"""Windows by place: the anchor keeps its row however the jobs around it move."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs.model import State
from hsejobs.store import registry
from hsejobs.store.read_live import LiveReader, Minutes
from hsejobs.store.registry import QueueInfo, TaskInfo
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


def test_a_snapshot_decodes_again_only_what_redis_says_differently(store: Store) -> None:
    registry.save(store.redis, "t", QueueInfo("q", [TaskInfo("m.task", {}, [])], "m.task"))
    store.add("a")
    live = LiveReader(store.redis, "t")
    first, second = live.snapshot(), live.snapshot()
    assert second.infos["q"] is first.infos["q"]
    old, new = first.queues[0], second.queues[0]
    # A minute may have begun between them.
    moved = new.now // 60_000 - old.now // 60_000
    kept = zip(new.minutes[moved:], old.minutes, strict=False)
    assert all(one is before for one, before in kept)
    store.add("b")
    third = live.snapshot().queues[0]
    assert third.minutes == store.reader.stats(["q"], minutes=60)[0].minutes
    assert sum(one.added for one in third.minutes) == 2
    assert third.window().added == 2
    registry.save(store.redis, "t", QueueInfo("q", [TaskInfo("m.other", {}, [])], "m.other"))
    assert "m.other" in [one.name for one in live.snapshot().infos["q"].tasks]


def test_minutes_keep_their_place_when_the_next_one_begins() -> None:
    def reply(minute: int, *hashes: dict[bytes, bytes]) -> list[Any]:
        return [0] * 9 + [minute * 60_000, [], 0, *hashes]

    minutes = Minutes()
    one, two = minutes.decode(reply(7, {b"ad": b"1"}, {b"ad": b"2"}))
    # The newest goes on, a new one begins, and the oldest leaves; one that was folded late is read again.
    assert [each.added for each in minutes.decode(reply(7, {b"ad": b"5"}, {b"ad": b"2"}))] == [5, 2]
    later = minutes.decode(reply(8, {}, {b"ad": b"5"}))
    assert [each.added for each in later] == [0, 5]
    assert minutes.decode(reply(8, {}, {b"ad": b"6"}))[0] is later[0]
    assert [each.added for each in minutes.decode(reply(8, {}, {b"ad": b"6"}))] == [0, 6]
    # A clock that was set back, and an hour without a look.
    assert [each.added for each in minutes.decode(reply(6, {b"ad": b"9"}, {}))] == [9, 0]
    assert [each.added for each in minutes.decode(reply(66, {}, {b"ad": b"3"}))] == [0, 3]
    assert (one.added, two.added) == (1, 2)
