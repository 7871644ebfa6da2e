"""Marks in the history: kept in order, for a time, up to a limit, once for a release."""

from __future__ import annotations

import pytest
import redis

from hsejobs.store import keys
from hsejobs.store.marks import Marks, note_release
from tests.store.test_acts import Store

KEY = "t:{_marks}:notes"


@pytest.fixture
def marks(redis_url: str) -> Marks:
    store = Store(redis_url)
    return Marks(store.redis, "t")


def test_the_newest_are_kept_for_a_time(marks: Marks, redis_client: redis.Redis) -> None:
    now = marks.now()
    old = now - keys.MARKS_TTL * 1000 - 1
    rows: dict[str, float] = {f'{{"id":"{n}"}}': now - 10_000 + n for n in range(keys.MARKS_KEPT)}
    redis_client.zadd(KEY, rows | {'{"id":"old"}': old})
    made = marks.add("deploy", "deploy 4f1c", "ann", queue="email", organization_id="one")
    assert marks.between(made.at, made.at) == [made]
    assert redis_client.zcard(KEY) == keys.MARKS_KEPT
    assert redis_client.zscore(KEY, '{"id":"old"}') is None
    assert redis_client.zscore(KEY, '{"id":"0"}') is None
    assert redis_client.zscore(KEY, '{"id":"1"}') is not None
    assert 0 < redis_client.ttl(KEY) <= keys.MARKS_TTL
    assert marks.between(made.at + 1, made.at + 1000) == []


def test_a_release_is_marked_when_it_is_another_one(marks: Marks) -> None:
    start = marks.now()
    for release in ("1", "1", "2", "2", "1"):
        note_release(marks.redis, "t", release)
    found = [one.text for one in marks.between(start, marks.now())]
    assert sorted(found) == ["release 1", "release 1", "release 2"]
