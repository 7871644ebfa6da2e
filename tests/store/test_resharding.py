"""While a slot is on its way, no script writes on either node: half of its keys are on the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.exceptions import MovedError

from hsejobs.errors import RedisUnavailable
from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from tests.support.cluster import Cluster
from tests.support.resharding import Move

BASE = keys.base("t", "q")


@pytest.fixture
def client(cluster: Cluster) -> Iterator[RedisClient]:
    found = RedisClient(cluster.url)
    yield found
    found.close()
    found.driver.close()


def held(cluster: Cluster) -> list[bytes]:
    """The keys of all nodes; one that is on two nodes is there twice."""
    found: list[bytes] = []
    for node in cluster.nodes:
        with node.client() as client:
            found += client.keys("*")
    return sorted(found)


@pytest.mark.parametrize("moved", ["nothing", "half", "everything"])
def test_no_script_runs_while_its_slot_moves(
    cluster: Cluster, client: RedisClient, moved: str
) -> None:
    for name in ("queue", "seq", "j:1", "p:1"):
        client.command("SET", BASE + name, "1")
    before = held(cluster)
    with Move(cluster, BASE) as move:
        move.begin()
        there = sorted(move.keys())
        move.step(*there[: {"nothing": 0, "half": 2, "everything": 4}[moved]])
        for script in scripts.ALL:
            with pytest.raises(RedisUnavailable, match="ASK"):
                client.run(script, BASE, ["1"] * 12, patience=0)
            # A client that does not send ASKING is redirected by the other node, too.
            with move.target.client() as admin, pytest.raises(MovedError):
                admin.eval(script.text, 1, BASE)
        with pytest.raises(RedisUnavailable, match="ASK"):
            client.command("LPUSH", BASE + "bell", "1", patience=0)
        assert held(cluster) == before
        move.end()
    # Where it went is found at the next call.
    assert client.command("GET", BASE + "seq") == b"1"
    client.run(scripts.PAUSE, BASE, ["1", "", ""])
    assert set(held(cluster)) > set(before)
    assert len(held(cluster)) == len(set(held(cluster)))
