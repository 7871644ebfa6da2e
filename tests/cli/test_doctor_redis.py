"""The Redis checks of ``hsejobs doctor``: rights, TLS, roles, and what could not be checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.cli.test_commands import run
from tests.support.certificates import Certificates
from tests.support.cluster import Cluster
from tests.support.sentinel import SentinelSet
from tests.support.server import PASSWORD, USER, Server, as_user, binary_of, free_port


def checks(url: str, *, status: int | None = None, **env: str) -> dict[str, str | None]:
    """Returns each check of Redis with its todo (None: passed)."""
    done = run("doctor", "--json", QUEUE_REDIS_URL=url, **env)
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert status is None or done.returncode == status, done.stdout
    return {check["check"]: check["todo"] for check in json.loads(done.stdout)["checks"]}


def one(seen: dict[str, str | None], beginning: str) -> str | None:
    """Returns the todo of the only check that begins with this text."""
    (found,) = (todo for what, todo in seen.items() if what.startswith(beginning))
    return found


def acl(client: redis.Redis, *words: str) -> None:
    ask: Any = client.execute_command
    ask("ACL", "SETUSER", USER, *words)


@pytest.fixture
def appendonly(redis_server: Server) -> Iterator[Server]:
    redis_server.restart(appendonly=True)
    yield redis_server
    redis_server.reset()


def test_the_least_user_passes_all_checks(appendonly: Server) -> None:
    seen = checks(appendonly.user_url, status=0)
    assert one(seen, "rights") is None
    assert one(seen, "no TLS") is None
    with appendonly.client() as client:
        assert client.keys("*") == []
        assert client.acl_log() == []


def test_each_missing_right_is_named(appendonly: Server, redis_client: redis.Redis) -> None:
    acl(redis_client, "-zadd", "-subscribe", "resetchannels")
    try:
        todo = one(checks(appendonly.user_url, status=1), "rights")
    finally:
        redis_client.acl_load()
    assert todo is not None
    for word in ("+zadd", "+subscribe", "&hsejobs:*", "delayed jobs"):
        assert word in todo


def test_a_right_that_only_saves_time_is_named_and_not_missed(
    appendonly: Server, redis_client: redis.Redis
) -> None:
    acl(redis_client, "-copy")
    try:
        seen = checks(appendonly.user_url, status=0)
    finally:
        redis_client.acl_load()
    assert one(seen, "rights of the user (without +copy,") is None


def test_skipped_checks_are_reported(appendonly: Server, redis_client: redis.Redis) -> None:
    acl(redis_client, "-info")
    try:
        seen = checks(appendonly.user_url, status=1)
    finally:
        redis_client.acl_load()
    assert "+info" in (one(seen, "rights") or "")
    assert one(seen, "version, memory and persistence: not checked") is None


def test_a_full_server_is_checked(appendonly: Server, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory", "1mb")
    try:
        seen = checks(appendonly.user_url, status=1)
    finally:
        redis_client.config_set("maxmemory", "0")
    assert one(seen, "rights") is None
    assert "clean" in (one(seen, "memory") or "")


def test_a_replica_and_missing_replicas(appendonly: Server, redis_client: redis.Redis) -> None:
    seen = checks(appendonly.user_url, status=1, QUEUE_REDIS_WAIT_REPLICAS="1")
    assert "every add" in (one(seen, "replicas") or "")
    redis_client.config_set("min-replicas-to-write", "1")
    try:
        seen = checks(appendonly.user_url, status=1)
        assert "NOREPLICAS" in (one(seen, "min-replicas-to-write") or "")
    finally:
        redis_client.config_set("min-replicas-to-write", "0")
    redis_client.replicaof("127.0.0.1", "1")
    try:
        seen = checks(appendonly.user_url, status=1)
    finally:
        redis_client.replicaof("NO", "ONE")
    assert "replica" in (one(seen, "role") or "")


def test_a_wrong_login(redis_server: Server) -> None:
    url = as_user(redis_server.url).replace(f"{USER}:", f"{USER}:x")
    assert "rejects the login" in (one(checks(url, status=3), "Redis at") or "")


def test_tls_is_reported_and_its_errors_explained() -> None:
    made = Certificates.shared()
    with Server(binary_of("redis"), port=free_port(), certificates=made) as server:
        server.restart(appendonly=True)
        url = server.user_url
        seen = checks(url, status=0)
        assert "TLSv1.3, the server's certificate is verified" in seen
        assert [what for what in seen if what.endswith(f"ssl_keyfile={made.key}")]
        unchecked = url.replace(f"ssl_ca_certs={made.ca}", "ssl_cert_reqs=none")
        assert any("not verified" in what for what in checks(unchecked, status=0))
        strange = url.replace(str(made.ca), str(made.stranger))
        assert "ssl_ca_certs" in (one(checks(strange, status=3), "Redis at") or "")
        bare = url.partition("&ssl_certfile")[0]
        assert "ssl_certfile" in (one(checks(bare, status=3), "Redis at") or "")


def test_sentinels_and_their_login() -> None:
    with SentinelSet(binary_of("redis"), password="p@ss") as sentinels:
        seen = checks(sentinels.url, status=1, QUEUE_REDIS_WAIT_REPLICAS="1")
        assert one(seen, "sentinels: 3 of 3 answer") is None
        assert one(seen, "replicas: 1 online") is None
        assert [todo for what, todo in seen.items() if what.startswith("sentinel ")] == [None] * 3
        sentinels.sentinels[0].kill()
        sentinels.sentinels[1].kill()
        seen = checks(sentinels.url, status=1)
        assert "failover" in (one(seen, "sentinels: 1 of 3 answer") or "")
        without = sentinels.url.partition("?")[0]
        seen = checks(without, status=3)
        assert "sentinel_password" in (one(seen, "Redis at") or "")


def test_a_cluster_and_a_node_used_as_single_server(cluster: Cluster) -> None:
    seen = checks(cluster.url, status=1)
    assert one(seen, "rights") is None
    assert len([what for what in seen if what.startswith("version")]) == 3
    # The least user lacks the right, an administrator has it.
    assert one(seen, "Cluster state: not checked") is None
    hosts = cluster.url.partition("@")[2]
    assert one(checks(f"redis+cluster://{hosts}", status=1), "Cluster state ok") is None
    seen = checks(cluster.nodes[0].user_url, status=1)
    assert "redis+cluster" in (one(seen, "kind of server") or "")
    for node in cluster.nodes:
        with node.client() as client:
            acl(client, "-cluster|slots", "-cluster")
    try:
        assert "+cluster|slots" in (one(checks(cluster.url, status=3), "Redis at") or "")
    finally:
        for node in cluster.nodes:
            with node.client() as client:
                client.acl_load()
