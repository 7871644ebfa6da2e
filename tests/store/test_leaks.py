"""The checker of leaked keys finds each kind of leak."""

from __future__ import annotations

import pytest
import redis

from hsejobs.store.circuits import Circuits
from hsejobs.store.client import RedisClient
from hsejobs.store.write import JobWriter, NewJob
from tests.support.leaks import find_leaks


@pytest.fixture
def client(redis_url: str, redis_client: redis.Redis) -> redis.Redis:
    """A Redis with one good job, a failing circuit and one held open in it."""
    writing = RedisClient(redis_url)
    JobWriter(writing, "t").add(
        "q",
        NewJob("a", "m.task", b"{}", 3, 1, 0, 0, organization_id="one"),
    )
    circuits = Circuits(writing, "t")
    circuits.open("smtp:held:25")
    circuits.report("smtp:failed:25", "token", "fail", threshold=3, open_ms=1000, longest_ms=1000)
    writing.close()
    assert find_leaks(redis_client, "t") == []
    return redis_client


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("SET t:{q}:r:gone 1", "r:gone: its job does not exist"),
        ("SADD t:{q}:k:gone m", "k:gone: its job does not exist"),
        ("HSET t:{q}:j:b am 1", "half a record"),
        ("DEL t:{q}:p:a", "a: a record without a payload"),
        ("ZADD t:{q}:failed 1 a", "failed: holds ['a']"),
        ("ZREM t:{q}:waiting a", "waiting: holds []"),
        ("ZADD t:{q}:o:waiting:two 1 a", "o:waiting:two: holds ['a']"),
        ("DEL t:{q}:o:waiting:one", "o:waiting:one: holds []"),
        ("ZINCRBY t:{q}:o:waiting:one 1 a", "other scores"),
        ("SET t:{q}:kv:x 1", "a value that never expires"),
        ("SET t:{q}:n:x 1", "never expires"),
        ("SET t:{q}:novel 1", "no name of ours"),
        ("SET other 1", "no name of ours"),
        ("SET t:other 1", "no name of ours"),
        ("SET t:{_circuits}:novel 1", "novel: no name of ours"),
        ("HSET t:{_circuits}:c:smtp:a:25 s c", "c:smtp:a:25: never expires"),
        ("HSET t:{_circuits}:c:smtp:a:25 s h", "c:smtp:a:25: not in the list"),
        ("PERSIST t:{_circuits}:c:smtp:failed:25", "c:smtp:failed:25: never expires"),
        ("PEXPIRE t:{_circuits}:c:smtp:held:25 9000", "expires while open manually"),
        ("ZADD t:{_circuits}:circuits 5 smtp:held:25", "at another time"),
        ("ZREM t:{_circuits}:circuits smtp:failed:25", "not in the list"),
    ],
)
def test_a_leak_is_reported(client: redis.Redis, command: str, told: str) -> None:
    client.execute_command(*command.split())  # type: ignore[no-untyped-call]
    assert any(told in leak for leak in find_leaks(client, "t"))


def test_shared_keys_and_keys_that_expire_are_not_leaks(client: redis.Redis) -> None:
    client.set("t:{q}:kv:x", "1", ex=60)
    client.set("t:{q}:n:x", "1", ex=60)
    client.set("t:lock:x", "1")
    client.hset("t:alerts", "waiting:q", "{}")
    client.hset("t:{q}:lastends", "m.task", "c 1 2 a")
    assert find_leaks(client, "t") == []
