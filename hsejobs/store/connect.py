"""redis-py's client for a Redis URL: one server, Sentinel or Cluster."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

#: Seconds a reply may take. Blocking waits stay well below it.
SOCKET_TIMEOUT = 5.0
CONNECT_TIMEOUT = 2.0


def connect(url: str) -> Any:
    """A client for the URL (schemes of the setting QUEUE_REDIS_URL). Does no I/O, but for Cluster."""
    import redis.cluster
    import redis.sentinel
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # redis-py types its commands for both of its clients at once, which fits neither.
    module: Any = redis
    parts = urlsplit(url)
    common: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
    }
    if parts.scheme == "redis+cluster":
        nodes = [module.cluster.ClusterNode(host, port) for host, port in _nodes(parts.netloc)]
        return module.cluster.RedisCluster(
            startup_nodes=nodes, **common, **_login(parts.netloc), dynamic_startup_nodes=True
        )
    if parts.scheme == "redis+sentinel":
        service, _, db = parts.path.lstrip("/").partition("/")
        login = _login(parts.netloc)
        sentinel = module.sentinel.Sentinel(
            _nodes(parts.netloc),
            sentinel_kwargs={k: v for k, v in common.items() if k != "protocol"},
            **common,
            **login,
        )
        return sentinel.master_for(service, db=int(db or 0))
    options = dict(parse_qsl(parts.query))
    known = {"db"} & options.keys()
    query = "&".join(f"{name}={options[name]}" for name in known)
    return module.Redis.from_url(url.partition("?")[0] + (f"?{query}" if query else ""), **common)


def _nodes(netloc: str) -> list[tuple[str, int]]:
    found = []
    for place in netloc.rpartition("@")[2].split(","):
        host, _, port = place.rpartition(":")
        found.append((host.strip("[]"), int(port)))
    return found


def _login(netloc: str) -> dict[str, str]:
    user, _, password = netloc.rpartition("@")[0].partition(":")
    login = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in login.items() if value}
