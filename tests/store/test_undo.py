"""The undo of a removal: the job is back as it was, whatever belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from hsejobs.store.work import Done
from hsejobs.store.write import Cancel
from tests.store.test_acts import Store


@pytest.fixture
def store(redis_url: str, no_leaks: None) -> Store:
    return Store(redis_url)


def test_an_undo_brings_back_every_key(store: Store, redis_client: redis.Redis) -> None:
    """Whatever belongs to a job is in the copy: what is forgotten there is lost by an undo."""

    def contents() -> dict[Any, Any]:
        read: dict[Any, Callable[[Any], Any]] = {
            b"string": redis_client.get,
            b"hash": redis_client.hgetall,
            b"list": lambda key: redis_client.lrange(key, 0, -1),
            b"set": redis_client.smembers,
            b"zset": lambda key: redis_client.zrange(key, 0, -1, withscores=True),
        }
        found = {
            key: read[kind](key)
            for key in redis_client.keys("t:{q}:*")
            if (kind := redis_client.type(key)) in read and b":m:" not in key
        }
        # When it was restored.
        for record in found.values():
            record.pop(b"re", None) if isinstance(record, dict) else None
        return found

    store.add("failed", organization_id="org", extras=b'{"chord_config":[]}')
    (pair,) = store.claim()
    store.work.log(*pair, ["one", "two"])
    store.work.mark(*pair, "m", put=True)
    store.work.checkpoint(*pair, b'{"row":900}')
    assert store.writer.cancel_many("q", ["failed"], Cancel("ann")) == []
    assert store.fail(pair) == "k"
    store.add("completed", organization_id="org")
    (pair,) = store.claim()
    store.work.step([Done(*pair, 5, b'"' + b"x" * 100 + b'"')], 0, "", 0)
    store.add("delayed", delay=60_000, priority=1)
    redis_client.hset("t:{q}:revoked", "r:delayed", "until a time")
    redis_client.expire("t:{q}:revoked", 60)
    before = contents()
    every = {b"ended", b"revoked", b"cp:failed", b"x:failed", b"l:failed", b"k:failed"}
    for name in ("failed", "completed", "delayed"):
        store.writer.restore(store.writer.remove("q", name))
    assert contents() == before
    assert {key.removeprefix(b"t:{q}:") for key in before} >= every
    store.writer.retry("q", "failed")
    assert store.work.checkpointed("failed") == b'{"row":900}'
