"""The demo's data: complete, free of faults, and the same for the same time and seed."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from hsejobs.control import history, why
from hsejobs.control.actors import Actor
from hsejobs.model import State
from hsejobs.store.circuits import Circuits
from hsejobs.store.read import JobReader
from hsejobs.store.verify import RecordVerifier
from hsejobs_cli import demo
from hsejobs_cli.demo import scene
from tests.support.server import Server
from tests.support.stopped import StoppedClient

NOW = 1_799_967_024_000
OPERATOR = Actor("cli")
#: How a key of each type is read.
READS = {
    b"hash": ("HGETALL",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"list": ("LRANGE", 0, -1),
    b"set": ("SMEMBERS",),
    b"stream": ("XRANGE", "-", "+"),
    b"string": ("GET",),
}


@pytest.fixture
def client(redis_server: Server) -> StoppedClient:
    return StoppedClient(redis_server.url, NOW)


def everything(client: redis.Redis) -> dict[bytes, Any]:
    """The contents of all keys, except the times at which descriptions were written."""
    every: Any = client.keys("*")
    names = sorted(key for key in every if b":releases" not in key)
    pipe: Any
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.type(name)
        kinds = pipe.execute()
        for name, kind in zip(names, kinds, strict=True):
            words = READS[kind]
            pipe.execute_command(words[0], name, *words[1:])
        return dict(zip(names, pipe.execute(), strict=True))


def test_it_is_the_same_for_the_same_time_and_seed(
    client: StoppedClient, redis_client: redis.Redis, redis_server: Server
) -> None:
    filled = demo.fill(client, "t", NOW, still=True)
    first = everything(redis_client)
    redis_server.reset()
    assert demo.fill(client, "t", NOW, still=True) == filled
    assert everything(redis_client) == first
    assert len(first) > 10_000


def test_it_has_no_faults_and_tells_its_story(client: StoppedClient) -> None:
    filled = demo.fill(client, "t", NOW)
    reader = JobReader(client, "t")
    stats = {one.name: one for one in reader.stats(list(scene.FLOWS))}
    for name in scene.FLOWS:
        assert RecordVerifier(client, "t").verify(name).faults == [], name
    assert 0.29 < stats["billing"].window().failure_ratio < 0.33
    assert stats["crm-sync"].waiting == 40
    assert stats["webhooks"].delayed == 178
    assert stats["onboarding"].is_paused
    for state in set(State) - {State.ACTIVE}:
        assert sum(getattr(one, state.value) for one in stats.values()), state
    assert [one.state for one in Circuits(client, "t").all()] == ["closed", "open"]
    wanted = history.span(NOW, "3h")
    found = history.read(client, "t", ["billing"], wanted, OPERATOR, by="error")
    assert {one.name for one in found.series} == {
        "error ConnectionRefusedError: [Errno <n>] Connection refused",
        "error KeyError: <text>",
    }
    kinds = {one.kind for one in found.marks}
    assert kinds == {"deploy", "alert", "act"}
    whole = history.read(client, "t", ["email"], wanted, OPERATOR).series[0]
    assert all(minute.sampled for _, minute in whole.points[1:])
    held = next(iter(reader.walk("webhooks", State.DELAYED)))[0]
    told = why.read(reader, "webhooks", held.id, OPERATOR).why
    assert told is not None
    assert told["code"] == "circuit_open"
    assert filled.jobs.keys() == {"mail", "request", "payment", "waiting"}
