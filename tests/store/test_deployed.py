"""Connections as in production: TLS, logins and keepalive, to real servers of each kind."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
from redis.exceptions import RedisClusterException

from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.model import State
from hsejobs.store import connect
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter, NewJob
from tests.support.certificates import Certificates
from tests.support.cluster import Cluster
from tests.support.sentinel import SentinelSet
from tests.support.server import Server, as_user, binary_of, free_port

PASSWORD = "s3nt/nel?%41#+"


@pytest.fixture(scope="module")
def deployed() -> Iterator[Callable[[str], Any]]:
    """Deployments by kind, each started when first asked for: only Debian's Redis has TLS."""
    with ExitStack() as stack:
        started: dict[str, Any] = {}

        def get(kind: str) -> Any:
            if kind not in started:
                binary, made = binary_of("redis"), Certificates.shared()
                if kind == "server":
                    one: Any = Server(binary, port=free_port(), certificates=made)
                elif kind == "cluster":
                    one = Cluster(binary, certificates=made)
                else:
                    one = SentinelSet(binary, certificates=made, password=PASSWORD)
                started[kind] = stack.enter_context(one)
            return started[kind]

        yield get


def url_of(deployed: Callable[[str], Any], kind: str) -> str:
    one = deployed(kind)
    return str(one.user_url if kind == "server" else one.url)


@pytest.fixture
def plain() -> Iterator[Server]:
    """A server whose only door is a port without TLS."""
    with Server(binary_of("redis"), port=free_port()) as server:
        yield server


def said(url: str, patience: float = 0.0) -> str:
    """What a command on this URL ends with, or an empty text when it is answered."""
    client = RedisClient(url)
    try:
        client.command("GET", "t:{q}:paused", patience=patience)
    except (JobsError, RedisClusterException) as error:
        return str(error)
    finally:
        client.close()
    return ""


KINDS = pytest.mark.parametrize("kind", ["server", "sentinel", "cluster"])


@KINDS
def test_jobs_over_tls_as_the_least_user(deployed: Callable[[str], Any], kind: str) -> None:
    client = RedisClient(url_of(deployed, kind), wait_replicas=1 if kind == "sentinel" else 0)
    writer, reader = JobWriter(client, "t"), JobReader(client, "t")
    news = [NewJob(f"j{n}", "m.task", b"{}", 3, 1, 0, 0, delay=n % 2 * 9000) for n in range(10)]
    assert all(made.created for made in writer.add_many("q", news))
    assert reader.page("q", State.DELAYED).total == 5
    assert reader.recent_events("q")[1]
    reader.events("q", "0-0", block_ms=10)
    assert client.cluster == (kind == "cluster")
    writer.obliterate("q", force=True)
    client.close()


@KINDS
def test_the_certificate_is_checked(deployed: Callable[[str], Any], kind: str) -> None:
    url, made = url_of(deployed, kind), Certificates.shared()
    assert said(url) == ""
    # The sentinels are the first to be spoken to, and they show the same certificate.
    assert "CERTIFICATE_VERIFY_FAILED" in said(url.replace(str(made.ca), str(made.stranger)))
    unchecked = url.replace(f"ssl_ca_certs={made.ca}", "ssl_cert_reqs=none")
    assert said(unchecked) == ""
    # Names that the certificate does not have: 127.0.0.2 answers on Linux as 127.0.0.1 does.
    shown = url.replace("ssl_certfile", "ssl_cert_reqs=none&ssl_certfile")
    assert said(shown) == ""


@KINDS
def test_the_client_shows_a_certificate(deployed: Callable[[str], Any], kind: str) -> None:
    made = Certificates.shared()
    bare = url_of(deployed, kind).replace(f"&ssl_certfile={made.certificate}", "")
    client = RedisClient(bare.replace(f"&ssl_keyfile={made.key}", ""))
    with pytest.raises((RedisUnavailable, RedisClusterException)):
        client.command("GET", "t:{q}:paused", patience=0)
    client.close()


def test_a_certificate_for_another_host() -> None:
    made = Certificates.shared()
    options = {"tls-cert-file": str(made.elsewhere)}
    port = free_port()
    # The server's own probe would refuse it as well.
    server = Server(binary_of("redis"), port=port, options=options, certificates=made)
    server.probe_options = {"ssl_check_hostname": False}
    with server:
        assert "IP address mismatch" in said(server.user_url)
        assert said(f"{server.user_url}&ssl_check_hostname=false") == ""


def test_tls_on_one_side_only(deployed: Callable[[str], Any], plain: Server) -> None:
    made = Certificates.shared()
    secure = f"rediss://127.0.0.1:{plain.port}?{made.query}"
    # A server without TLS waits for the end of what it takes for a command.
    assert "Redis does not answer" in said(as_user(secure))
    open_ = url_of(deployed, "server").partition("?")[0].replace("rediss", "redis")
    assert "Redis does not answer" in said(open_)


def test_the_sentinels_have_a_login_of_their_own(deployed: Callable[[str], Any]) -> None:
    url = url_of(deployed, "sentinel")
    assert said(url) == ""
    without, _, _ = url.partition("&sentinel_username")
    # The sentinels' requirepass, which is the password of their default user.
    assert said(f"{without}&sentinel_password={quote(PASSWORD, safe='')}") == ""
    for wrong in (without, f"{without}&sentinel_username=hse&sentinel_password=wr0ng"):
        # A machine that is busy may be too slow for one try, which is another answer.
        text = said(wrong, patience=5)
        assert "login" in text or "sentinel_password" in text
        assert "wr0ng" not in text


def test_a_tls_fail_over(deployed: Callable[[str], Any]) -> None:
    with SentinelSet(
        binary_of("redis"), certificates=Certificates.shared(), password=PASSWORD
    ) as sentinels:
        client = RedisClient(sentinels.url)
        writer = JobWriter(client, "t")
        assert writer.add("q", NewJob("a", "m.task", b"{}", 3, 1, 0, 0)).created
        client.command("WAIT", 1, 1000)
        sentinels.fail_over()
        assert writer.add("q", NewJob("b", "m.task", b"{}", 3, 1, 0, 0)).created
        assert JobReader(client, "t").page("q", State.WAITING).total == 2
        client.close()


def connections(url: str) -> list[Any]:
    """What a client of this kind connects to: a server, and the sentinels."""
    client = RedisClient(url)
    found = [client.blocking("t:{q}:bell")]
    pool = getattr(client.driver, "connection_pool", None)
    manager = getattr(pool, "sentinel_manager", None)
    for sentinel in manager.sentinels if manager else ():
        found.append(sentinel.connection_pool.get_connection())
    for connection in found:
        if not connection.is_connected:
            connection.connect()
    return found


@KINDS
def test_idle_connections_are_kept_alive(deployed: Callable[[str], Any], kind: str) -> None:
    made = connections(url_of(deployed, kind))
    assert len(made) == (4 if kind == "sentinel" else 1)
    for connection in made:
        sock = connection._sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for option, value in connect.keepalive_options().items():
            assert sock.getsockopt(socket.IPPROTO_TCP, option) == value
        connection.disconnect()
    idle = connect.KEEPALIVE_IDLE + connect.KEEPALIVE_EVERY * connect.KEEPALIVE_PROBES
    # The shortest patience of a cloud's load balancer, Azure's, is 4 minutes.
    assert idle < 240
    assert len(connect.keepalive_options()) == 3
