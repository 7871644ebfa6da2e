"""Create redis-py's client for a Redis URL: a single server, Sentinel or Cluster, with or without TLS."""

from __future__ import annotations

import socket
from functools import cache
from typing import Any

from hsejobs import forks
from hsejobs.redis_url import RedisURL, parse_redis_url

#: Seconds that a reply may take. Blocking commands wait for much less.
SOCKET_TIMEOUT = 5.0
CONNECT_TIMEOUT = 2.0
#: How long a caller's command is retried before RedisUnavailable, in seconds.
PATIENCE = 3.0
#: The same for a sentinel, and for a Cluster node asked for the topology: there are others to ask.
SENTINEL_TIMEOUT, MAP_TIMEOUT = 1.0, 2.0
#: TCP keepalive: seconds until the first probe, seconds between probes, and failed probes until the
#: connection counts as lost. Load balancers and firewalls drop connections idle for 4 minutes or more.
KEEPALIVE_IDLE, KEEPALIVE_EVERY, KEEPALIVE_PROBES = 30, 5, 3


def connect(url: str) -> Any:
    """A client for the URL, in any form of QUEUE_REDIS_URL. Does no I/O, except for a Cluster.

    Raises ValueError for an invalid URL.
    """
    parsed = parse_redis_url(url)
    common, login = _common(parsed), _login(parsed.username, parsed.password)
    if parsed.scheme == "redis+cluster":
        import redis.cluster

        # redis-py's types cover its sync and async clients at once and fit neither.
        module: Any = redis.cluster
        nodes = [module.ClusterNode(host, port) for host, port in parsed.hosts]
        return module.RedisCluster(
            startup_nodes=nodes,
            dynamic_startup_nodes=True,
            **{**common, **login, "socket_timeout": MAP_TIMEOUT},
        )
    if parsed.scheme == "redis+sentinel":
        sentinel = _sentinels()(
            parsed.hosts,
            sentinel_kwargs={
                **common,
                **_login(parsed.sentinel_username, parsed.sentinel_password),
                "socket_timeout": SENTINEL_TIMEOUT,
                "socket_connect_timeout": SENTINEL_TIMEOUT,
            },
            **common,
            **login,
        )
        return sentinel.master_for(parsed.service, db=parsed.db)
    return Server(_pool(parsed, common | login))


class Server:
    """redis-py's client of a single server: its pool, and what else is asked for.

    The client imports every command of Redis, which takes longer than all else that a short program does.
    """

    def __init__(self, pool: Any) -> None:
        self.connection_pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    # Python looks for these at the class.
    def __enter__(self) -> Any:
        return self._client.__enter__()

    def __exit__(self, *error: object) -> None:
        self._client.__exit__(*error)

    def __repr__(self) -> str:
        return repr(self._client)

    @forks.cached_property
    def _client(self) -> Any:
        from redis.client import Redis

        return Redis.from_pool(self.connection_pool)


def _pool(parsed: RedisURL, options: dict[str, Any]) -> Any:
    """The pool that redis-py's client of a single server would make."""
    from redis.connection import (
        Connection,
        ConnectionPool,
        SSLConnection,
        UnixDomainSocketConnection,
    )

    tls = options.pop("ssl", False)
    if parsed.scheme == "unix":
        kind: Any = UnixDomainSocketConnection
        options["path"] = parsed.path
    else:
        kind = SSLConnection if tls else Connection
        options["host"], options["port"] = parsed.hosts[0]
    pool: Any = ConnectionPool
    return pool(connection_class=kind, db=parsed.db, **options)


@cache
def _sentinels() -> Any:
    """A subclass of redis-py's Sentinel with short errors about a missing primary."""
    import redis.sentinel
    from redis.exceptions import (
        AuthenticationError,
        ConnectionError,
        NoPermissionError,
        ResponseError,
        TimeoutError,
    )

    base: Any = redis.sentinel.Sentinel
    no_primary: Any = redis.sentinel.MasterNotFoundError

    class Sentinels(base):  # type: ignore[misc]
        """redis-py's own errors print client objects, and report a refused login as a missing primary."""

        def discover_master(self, service_name: str) -> tuple[str, int]:
            """The primary's address from the first sentinel that knows it; that one is asked first next time.

            Raises AuthenticationError when a sentinel refuses the login, else MasterNotFoundError.
            """
            reasons: list[Exception] = []
            for place, sentinel in enumerate(self.sentinels):
                try:
                    state = sentinel.sentinel_masters().get(service_name)
                except (ConnectionError, TimeoutError, ResponseError) as error:
                    reasons.append(error)
                    continue
                finally:
                    # Sentinels are asked rarely: an idle connection would be dropped unnoticed.
                    sentinel.connection_pool.disconnect(inuse_connections=False)
                if state and self.check_master_state(state, service_name):
                    self.sentinels[0], self.sentinels[place] = sentinel, self.sentinels[0]
                    return state["ip"], state["port"]
            why = "; ".join(dict.fromkeys(map(str, reasons))) or "no sentinel knows one"
            if any(isinstance(e, AuthenticationError | NoPermissionError) for e in reasons):
                raise AuthenticationError(
                    "Authentication at the sentinels failed: check sentinel_username and"
                    f" sentinel_password ({why})"
                )
            raise no_primary(f"no sentinel names a primary for {service_name!r}: {why}")

    return Sentinels


def _common(parsed: RedisURL) -> dict[str, Any]:
    """The options of every connection, to servers and sentinels."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        # It would cost two round trips per connection, and a permission that nothing else needs.
        "driver_info": None,
    }
    if parsed.scheme != "unix":
        options |= {"socket_keepalive": True, "socket_keepalive_options": keepalive_options()}
    tls = parsed.tls
    if tls is not None:
        options |= {
            "ssl": True,
            "ssl_ca_certs": tls.ca_certs,
            "ssl_certfile": tls.certfile,
            "ssl_keyfile": tls.keyfile,
            "ssl_cert_reqs": "required" if tls.verify else "none",
            "ssl_check_hostname": tls.check_hostname,
        }
    return options


def keepalive_options() -> dict[int, int]:
    """The TCP keepalive options that this platform supports."""
    # macOS has another name for the first one.
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
    every = getattr(socket, "TCP_KEEPINTVL", None)
    probes = getattr(socket, "TCP_KEEPCNT", None)
    values = ((idle, KEEPALIVE_IDLE), (every, KEEPALIVE_EVERY), (probes, KEEPALIVE_PROBES))
    return {option: value for option, value in values if option is not None}


def _login(username: str | None, password: str | None) -> dict[str, str]:
    login = {"username": username, "password": password}
    return {name: value for name, value in login.items() if value}
