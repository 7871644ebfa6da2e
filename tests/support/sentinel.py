"""A primary, its replica and the three sentinels that monitor them."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis

from hsejobs.store import permissions
from tests.support import wait_until
from tests.support.certificates import Certificates
from tests.support.server import USER, ConfigServer, Server, StartError, as_user, free_port

SERVICE = "main"

_SENTINEL_CONFIG = f"""\
sentinel monitor {SERVICE} 127.0.0.1 {{port}} 2
sentinel down-after-milliseconds {SERVICE} 500
sentinel failover-timeout {SERVICE} 3000
"""


class SentinelSet:
    """Two servers and three sentinels; a lost primary is replaced within a few seconds.

    ``servers`` are both data servers, ``sentinels`` the sentinels. With *password* the sentinels
    require it, and it is also the password of their user with minimal rights.
    """

    def __init__(
        self, binary: str, *, certificates: Certificates | None = None, password: str = ""
    ) -> None:
        self._binary = binary
        self._certificates = certificates
        self.password = password
        self.servers: list[Server] = []
        self.sentinels: list[Server] = []

    @property
    def url(self) -> str:
        """The URL of the user with minimal rights."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        url = as_user(f"redis+sentinel://{hosts}/{SERVICE}/0")
        query = []
        if self._certificates is not None:
            url = url.replace("redis", "rediss", 1)
            query.append(self._certificates.query)
        if self.password:
            query.append(f"sentinel_username={USER}&sentinel_password={quote(self.password, '')}")
        return "?".join([url, *filter(None, ["&".join(query)])])

    @property
    def primary(self) -> Server:
        """The server that most sentinels name as the primary."""
        ports = sorted(self._named_primaries())
        return next(server for server in self.servers if server.port == ports[len(ports) // 2])

    def start(self) -> None:
        try:
            primary = self._start("")
            self.servers.append(primary)
            self.servers.append(self._start(f"replicaof 127.0.0.1 {primary.port}\n"))
            config = _SENTINEL_CONFIG.format(port=primary.port)
            if self.password:
                config += (
                    f"requirepass {self.password}\n"
                    f"sentinel sentinel-pass {self.password}\n"
                    f"user {USER} on >{self.password} {permissions.sentinel_rule()}\n"
                )
            for _ in range(3):
                self.sentinels.append(self._start(config, "--sentinel"))
            wait_until(self._ready, 30, "sentinels that know each other and a synced replica")
        except BaseException:
            self.close()
            raise

    def fail_over(self) -> Server:
        """Kill the primary, wait until the replica has replaced it, and return the new primary."""
        old = self.primary
        old.kill()
        return self._successor(old)

    def hand_over(self) -> Server:
        """Have the sentinels replace the primary with the replica (``SENTINEL FAILOVER``)."""
        old = self.primary

        def begun() -> bool:
            with self.sentinels[0].client() as client, contextlib.suppress(redis.ResponseError):
                return bool(client.execute_command("SENTINEL FAILOVER", SERVICE))
            return False

        wait_until(begun, 20, "a failover that the sentinels begin")
        return self._successor(old)

    def _successor(self, old: Server) -> Server:
        new = next(server for server in self.servers if server is not old)

        def promoted() -> bool:
            if self._named_primaries() != [new.port] * 3:
                return False
            with new.client() as client:
                return bool(client.info("replication")["role"] == "master")

        wait_until(promoted, 30, "the replica in the place of the primary")
        return new

    def close(self) -> None:
        # Stop the sentinels first, or they would start a failover.
        for server in [*self.sentinels, *self.servers]:
            server.close()

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

    def _start(self, config: str, *arguments: str) -> Server:
        if not arguments:
            # Sends the data to a replica at once instead of after 5 s.
            config += 'save ""\nrepl-diskless-sync-delay 0\n'
        for attempt in range(5):
            server = ConfigServer(
                self._binary,
                port=free_port(),
                config=config,
                arguments=arguments,
                certificates=self._certificates,
                password=self.password if arguments else "",
            )
            try:
                server.start()
            except StartError:
                # Another process took the port meanwhile.
                server.close()
                if attempt == 4:
                    raise
            else:
                return server
        raise AssertionError("unreachable")

    def _named_primaries(self) -> list[int]:
        ports = []
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                address = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)
                ports.append(int(address[1]))
        return ports

    def _ready(self) -> bool:
        with self.servers[1].client() as client:
            if client.info("replication").get("master_link_status") != "up":
                return False
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                try:
                    client.execute_command("SENTINEL CKQUORUM", SERVICE)
                except redis.ResponseError:
                    return False
                state = client.sentinel_master(SERVICE)
            if state["num-other-sentinels"] != 2 or state["num-slaves"] != 1:
                return False
        return True
