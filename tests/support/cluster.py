"""A three-node Cluster without replicas."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import redis

from tests.support import wait_until
from tests.support.certificates import Certificates
from tests.support.server import Server, StartError, as_user, free_port

SLOTS = 16_384


class Cluster:
    """Three primaries on loopback ports, each with a third of the slots.

    ``nodes`` are the servers; stop or kill one to make its slots unavailable.
    """

    def __init__(self, binary: str, *, certificates: Certificates | None = None) -> None:
        self._binary = binary
        self._certificates = certificates
        self.nodes: list[Server] = []

    @property
    def url(self) -> str:
        """The URL of the user with minimal rights."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        if self._certificates is not None:
            return as_user(f"rediss+cluster://{hosts}?{self._certificates.query}")
        return as_user(f"redis+cluster://{hosts}")

    def start(self) -> None:
        try:
            for _ in range(3):
                self.nodes.append(self._start_node())
            self._join()
            wait_until(self.agreed, 30, "three nodes that agree on their slots")
        except BaseException:
            self.close()
            raise

    def client(self) -> redis.RedisCluster:
        """A new client, which the caller closes."""
        return redis.RedisCluster.from_url(self.nodes[0].url)

    def slot_of(self, key: str) -> int:
        with self.client() as client:
            return int(client.keyslot(key))

    def node_of(self, key: str) -> Server:
        """The primary of the key's slot."""
        with self.client() as client:
            node: Any = client.get_node_from_key(key)
        return next(server for server in self.nodes if server.port == node.port)

    def flush(self) -> None:
        """Start the nodes that a test stopped, and empty all nodes."""
        for node in self.nodes:
            node.start()
        wait_until(self.agreed, 30, "three nodes that agree on their slots")
        for node in self.nodes:
            with node.client() as client:
                client.flushall()

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start_node(self) -> Server:
        for attempt in range(5):
            options = {"cluster-enabled": "yes", "cluster-node-timeout": "2000"}
            if self._certificates is not None:
                options["tls-cluster"] = "yes"
            node = Server(
                self._binary, port=free_port(), options=options, certificates=self._certificates
            )
            try:
                node.start()
            except StartError:
                # Another process took the port in between.
                node.close()
                if attempt == 4:
                    raise
            else:
                return node
        raise AssertionError("unreachable")

    def _join(self) -> None:
        for index, node in enumerate(self.nodes):
            first, last = SLOTS * index // 3, SLOTS * (index + 1) // 3
            with node.client() as client:
                # ADDSLOTSRANGE would need Redis 7.
                client.execute_command("CLUSTER ADDSLOTS", *range(first, last))
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", index + 1)
                if index:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)

    def agreed(self) -> bool:
        """Whether all nodes are up and agree on the owners of the slots."""
        ports = {node.port for node in self.nodes}
        for node in self.nodes:
            with node.client() as client:
                info = client.execute_command("CLUSTER INFO")
                if info["cluster_state"] != "ok" or int(info["cluster_known_nodes"]) != 3:
                    return False
                owners = client.execute_command("CLUSTER SLOTS")
                if {owner[2][1] for owner in owners} != ports:
                    return False
        return True
