"""Moves a slot from one Cluster node to another, as ``redis-cli --cluster`` does."""

from __future__ import annotations

from typing import Any

import redis

from tests.support import wait_until
from tests.support.cluster import Cluster
from tests.support.server import Server


class Move:
    """Moves the slot of *key* from its node to *target*; ``step`` moves some of its keys."""

    def __init__(self, cluster: Cluster, key: str, target: Server | None = None) -> None:
        self.cluster = cluster
        self.source = cluster.node_of(key)
        self.target = target or next(node for node in cluster.nodes if node is not self.source)
        self._at_source: Any = self.source.client()
        self._at_target: Any = self.target.client()
        self.slot = cluster.slot_of(key)

    def begin(self) -> None:
        """Starts the move: the source now replies ASK for keys that it does not have."""
        self._at_target.execute_command(
            "CLUSTER SETSLOT", self.slot, "IMPORTING", _id(self._at_source)
        )
        self._at_source.execute_command(
            "CLUSTER SETSLOT", self.slot, "MIGRATING", _id(self._at_target)
        )

    def keys(self) -> list[bytes]:
        """The keys that are still at the source."""
        return keys_in(self._at_source, self.slot)

    def step(self, *keys: bytes) -> None:
        """Moves these keys; skips keys that no longer exist."""
        assert self.target.port is not None
        for key in keys:
            self._at_source.execute_command("MIGRATE", "127.0.0.1", self.target.port, key, 0, 5000)

    def end(self) -> None:
        """Moves the remaining keys, and announces the new owner to all nodes."""
        while rest := self.keys():
            self.step(*rest)
        owner = _id(self._at_target)
        for node in sorted(self.cluster.nodes, key=lambda node: node is not self.target):
            with node.client() as client:
                client.execute_command("CLUSTER SETSLOT", self.slot, "NODE", owner)

    def whole(self) -> bool:
        """Moves the whole slot at once (Valkey 9); False if the server does not support it."""
        command = "CLUSTER MIGRATESLOTS SLOTSRANGE"
        try:
            self._at_source.execute_command(
                command, self.slot, self.slot, "NODE", _id(self._at_target)
            )
        except redis.ResponseError:
            return False
        wait_until(lambda: not self.keys(), 30, "a slot that has moved")
        return True

    def close(self) -> None:
        self._at_source.close()
        self._at_target.close()

    def __enter__(self) -> Move:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def keys_in(client: Any, slot: int) -> list[bytes]:
    """The keys of a slot at a node; of a pipeline, that is its reply."""
    found: list[bytes] = client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100_000)
    return found


def _id(client: Any) -> str:
    name = client.execute_command("CLUSTER MYID")
    return name.decode() if isinstance(name, bytes) else str(name)
