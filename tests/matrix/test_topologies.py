"""The matrix' core on a Cluster and by Sentinel, and behind one address that leads elsewhere."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from hsejobs.engine.runtime import reset_runtime
from hsejobs.errors import RedisUnavailable
from hsejobs.model import State
from hsejobs.store import keys
from tests.engine import jobs
from tests.engine.conftest import Consumer, counts
from tests.matrix.test_matrix import ALL, LONG, begun, told, words
from tests.support import wait_until
from tests.support.cluster import Cluster
from tests.support.proxy import FlakyProxy
from tests.support.sentinel import SentinelSet
from tests.support.server import Server, binary_of, free_port

Start = Callable[..., Consumer]
BASE = keys.base("hsejobs", "trial")
#: Seconds for which all nodes are down.
GONE = 5.0


def append_only(node: Server) -> None:
    with node.client() as admin:
        admin.config_set("appendonly", "yes")
        wait_until(lambda: admin.info("persistence")["aof_rewrite_in_progress"] == 0, what="AOF")


@contextlib.contextmanager
def away(cluster: Cluster, *nodes: Server) -> Iterator[None]:
    """These nodes end and restart with their data; returns when all agree again."""
    for node in nodes:
        append_only(node)
    for node in nodes:
        node.stop()
    rest = [node for node in cluster.nodes if node not in nodes]
    try:
        wait_until(lambda: all(state_of(node) == "fail" for node in rest), 20, "nodes that say so")
        yield
    finally:
        for node in nodes:
            node.start(appendonly=True)
        wait_until(cluster.agreed, 30, "nodes that agree again")
        for node in nodes:
            with node.client() as admin:
                admin.config_set("appendonly", "no")
            node.appendonly = False


def state_of(node: Server) -> str:
    with node.client() as client:
        return str(client.cluster("info")["cluster_state"])


@contextlib.contextmanager
def cluster_fault(cluster: Cluster, name: str) -> Iterator[None]:
    own = cluster.node_of(BASE)
    nodes = {
        "its node": [own],
        "another node": [node for node in cluster.nodes if node is not own][:1],
        "all nodes": cluster.nodes,
    }[name]
    with away(cluster, *nodes):
        time.sleep(GONE if name == "all nodes" else LONG)  # how long they are refused
        with pytest.raises(RedisUnavailable):
            jobs.echo.add({"n": 1})
        yield


def play(
    start: Start,
    trial: Path,
    kind: str,
    fault: contextlib.AbstractContextManager[None],
    *,
    acts: int,
    perhaps_twice: int = 0,
) -> None:
    """Jobs that run with progress and logs, are claimed and finish while the fault is on."""
    one = start("-k", kind, "-w", "3", JOBS_LOG_FORMAT="json")
    two = start("-k", kind, "-w", "2", JOBS_LOG_FORMAT="json")
    wait_until(lambda: len(told(one.log, "processor started")) == 2, what="two consumers")
    assert jobs.echo.add({"n": 0, "say": "hi"}).wait(20) == "hi"
    long = jobs.steady.add_many([{"n": n, "seconds": 3.0} for n in range(2)])
    late = jobs.careful.add_many([{"n": n, "seconds": 1.0} for n in range(10, 12)])
    wait_until(lambda: begun(trial, 4), what="four jobs that run")
    short = jobs.work.add_many([{"n": n, "seconds": 0.03} for n in range(100, 140)])
    soon = jobs.work.add_many([{"n": n, "seconds": 0} for n in range(200, 210)], delay=1.0)
    wait_until(lambda: begun(trial, 10), what="ten jobs that run or ran")
    with fault:
        pass
    over = time.monotonic()
    assert jobs.echo.add({"n": 0, "say": "again"}, priority=1).wait(20) == "again"
    back = time.monotonic() - over
    made = [*long, *late, *short, *soon]
    wait_until(
        lambda: all(job.refresh().status is State.COMPLETED for job in made),
        timeout=40,
        what="all jobs completed",
    )
    records = [job.refresh() for job in made]
    assert [record.id for record in records if record.errors] == []
    ran = Counter(words(trial, "begin"))
    assert len(ran) == len(made)
    again = {n: times for n, times in ran.items() if times > 1}
    assert len(again) <= perhaps_twice, again
    if not perhaps_twice:
        assert {record.attempts_made for record in records} == {1}
        assert not any(record.stalls for record in records)
        assert Counter(words(trial, "call").values()) == {1: len(late)}
    wait_until(
        lambda: not any(n for state, n in counts().items() if state != "completed"), what="the rest"
    )
    assert one.process.poll() is two.process.poll() is None
    assert len(told(one.log, "processor started")) == 2
    failed = [line for line in told(one.log, "duty failed") if line["duty"] != "listen"]
    assert failed + told(one.log, "worker") == []
    begins, ends = told(one.log, "redis away"), told(one.log, "redis back")
    assert len(begins) == len(ends) <= 2 * acts
    print(json.dumps({"kind": kind, "backAfter": round(back, 2), "again": again}))
    assert one.stop() == two.stop() == 0


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_REDIS_URL", url)
    reset_runtime()
    jobs.huey._registered = None


CLUSTER = [
    ("redis", "another node", "thread"),
    ("redis", "all nodes", "process"),
    ("valkey", "its node", "thread"),
]
SERVERS, KINDS = ("redis", "valkey"), ("thread", "process")
if ALL:
    CLUSTER = [
        (server, fault, kind)
        for server in SERVERS
        for fault in ("its node", "another node", "all nodes")
        for kind in KINDS
    ]


@pytest.mark.parametrize(("cluster", "fault", "kind"), CLUSTER, indirect=["cluster"])
def test_a_cluster_without_nodes(
    cluster: Cluster,
    consumer: Start,
    trial: Path,
    fault: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(cluster.url, monkeypatch)
    play(consumer, trial, kind, cluster_fault(cluster, fault), acts=1)


def copied(primary: redis.Redis, replica: redis.Redis) -> None:
    """Returns when the replica has what the primary has now."""
    offset = primary.info("replication")["master_repl_offset"]
    wait_until(lambda: replica.info("replication")["slave_repl_offset"] >= offset, what="a copy")


@contextlib.contextmanager
def failed_over(sentinels: SentinelSet, how: str) -> Iterator[None]:
    primary = sentinels.primary
    replica = next(server for server in sentinels.servers if server is not primary)
    with primary.client() as admin, replica.client() as other:
        copied(admin, other)
    if how == "killed":
        sentinels.fail_over()
    else:
        sentinels.hand_over()
    yield


SENTINEL = [("redis", "handed over", "thread"), ("valkey", "killed", "process")]
if ALL:
    SENTINEL = [
        (server, how, kind)
        for server in SERVERS
        for how in ("handed over", "killed")
        for kind in KINDS
    ]


@pytest.mark.parametrize(("sentinels", "how", "kind"), SENTINEL, indirect=["sentinels"])
def test_a_fail_over_by_sentinel(
    sentinels: SentinelSet,
    consumer: Start,
    trial: Path,
    how: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the old primary took and the new one does not have may run again: that is at least once.

    Whatever was added has reached the replica before.
    """
    use(sentinels.url, monkeypatch)
    play(consumer, trial, kind, failed_over(sentinels, how), acts=2, perhaps_twice=5)


@contextlib.contextmanager
def readdressed(proxy: FlakyProxy, old: Server, new: Server) -> Iterator[None]:
    """A failover by DNS: connections stay with the old server, new ones lead to the new one."""
    with old.client() as admin, new.client() as other:
        admin.execute_command("CLIENT", "PAUSE", 10_000, "WRITE")
        copied(admin, other)
        other.replicaof("NO", "ONE")
        admin.replicaof("127.0.0.1", str(new.port))
        admin.client_unpause()
        time.sleep(LONG)  # how long all are READONLY
        proxy.lead_to(new.url)
    yield


@pytest.mark.parametrize(
    ("server", "kind"), [(s, k) for s in SERVERS for k in KINDS] if ALL else [("redis", "process")]
)
def test_one_address_that_leads_to_another_server(
    server: str, kind: str, consumer: Start, trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = binary_of(server)
    with (
        Server(binary, port=free_port()) as old,
        Server(binary, port=free_port(), options={"repl-diskless-sync-delay": "0"}) as new,
        FlakyProxy(old.user_url) as proxy,
    ):
        with new.client() as client:
            client.replicaof("127.0.0.1", str(old.port))
            wait_until(
                lambda: client.info("replication")["master_link_status"] == "up", 20, "a replica"
            )
        use(proxy.url, monkeypatch)
        play(consumer, trial, kind, readdressed(proxy, old, new), acts=1)
