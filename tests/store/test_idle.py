"""An idle connection that was dropped silently costs one retry, also on a Cluster and by Sentinel.

Nothing is measured in seconds here: without patience, a call that waited for a reply on a silent
connection is refused, and one that asked first and connected again is answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from hsejobs.store.client import RedisClient
from tests.support import wait_until
from tests.support.cluster import Cluster
from tests.support.proxy import FlakyProxy
from tests.support.server import ConfigServer, Server, as_user, free_port


@contextmanager
def proxied(cluster: Cluster) -> Iterator[list[FlakyProxy]]:
    """A proxy in front of each node, where the nodes say they are."""
    with ExitStack() as stack:
        proxies = []
        for node in cluster.nodes:
            proxies.append(stack.enter_context(FlakyProxy(node.url)))
            stack.callback(announce, node, 0)
            announce(node, proxies[-1].port)
        ports = {proxy.port for proxy in proxies}
        wait_until(lambda: all(seen(node) == ports for node in cluster.nodes), 20, "the ports")
        yield proxies
    ports = {node.port or 0 for node in cluster.nodes}
    wait_until(lambda: all(seen(node) == ports for node in cluster.nodes), 20, "the old ports")


def announce(node: Server, port: int) -> None:
    with node.client() as admin:
        admin.config_set("cluster-announce-port", port)


def seen(node: Server) -> set[int]:
    with node.client() as admin:
        owners: Any = admin.execute_command("CLUSTER SLOTS")
        return {owner[2][1] for owner in owners}


def test_on_a_cluster(cluster: Cluster) -> None:
    with proxied(cluster) as proxies:
        hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies)
        client = RedisClient(as_user(f"redis+cluster://{hosts}"), probe_after=0.0)
        for number in range(30):
            client.command("SET", f"t:{number}", number)
        client.ping(patience=0)
        for _ in range(2):
            before = [proxy.connections for proxy in proxies]
            for proxy in proxies:
                proxy.silence()
            assert [client.command("GET", f"t:{n}", patience=0) for n in range(30)] == [
                b"%d" % n for n in range(30)
            ]
            assert [proxy.connections for proxy in proxies] == [n + 1 for n in before]
            client.ping(patience=0)
        client.close()
        client.driver.close()


def test_by_sentinel(redis_server: Server) -> None:
    """The connection to the server, and what is kept of those to the sentinels."""
    with ExitStack() as stack:
        port = free_port()
        server = stack.enter_context(Server(redis_server.binary, port=port))
        front = stack.enter_context(FlakyProxy(server.url))
        sentinel = ConfigServer(
            redis_server.binary,
            port=free_port(),
            config=f"sentinel monitor main 127.0.0.1 {front.port} 1\n",
            arguments=("--sentinel",),
        )
        stack.enter_context(sentinel)
        door = stack.enter_context(FlakyProxy(sentinel.url))
        client = RedisClient(
            as_user(f"redis+sentinel://127.0.0.1:{door.port}/main"), probe_after=0.0
        )
        client.command("SET", "t:x", "1")
        for _ in range(2):
            front.silence()
            door.silence()
            assert client.command("GET", "t:x", patience=0) == b"1"
            client.ping(patience=0)
        client.close()
