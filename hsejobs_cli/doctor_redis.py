"""The part of ``hsejobs doctor`` that looks at Redis, as the program's own user and without writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsejobs.redis_url import RedisURL
    from hsejobs.settings import Settings
    from hsejobs.store.client import RedisClient

#: Takes whether it is well, what was looked at, and what to do.
Say = Callable[..., None]
#: Part of the error, and what it asks of the operator; the first that fits.
_HINTS = (
    ("CERTIFICATE_VERIFY_FAILED: certificate", "name the server's authority in ssl_ca_certs"),
    ("mismatch", "the certificate is for another host: use the name that it has"),
    ("CERTIFICATE_VERIFY_FAILED", "name the server's authority in ssl_ca_certs"),
    ("WRONG_VERSION", "the server does not speak TLS there: begin the URL with redis instead"),
    ("certificate required", "set ssl_certfile and ssl_keyfile: the server wants a certificate"),
    ("EOF occurred", "set ssl_certfile and ssl_keyfile if the server wants a certificate"),
    ("sentinel_password", "the sentinels refuse the login"),
    ("no sentinel names", "check the sentinels' addresses and the name of the service"),
    (
        "Cluster mode is not enabled",
        "it is no Cluster (begin the URL with redis:// or rediss://),"
        " or the user lacks +cluster|slots",
    ),
    ("username-password", "the login is refused: check the user and the password"),
    ("WRONGPASS", "the login is refused: check the user and the password"),
    ("NOAUTH", "the server asks for a login: set user and password in QUEUE_REDIS_URL"),
    ("no permissions", "the user may not connect: see the rule in docs/redis.md"),
)


def examine(settings: Settings, say: Say) -> Exception | None:
    """Says what is well and what is not; the error when there is no connection."""
    from redis.exceptions import RedisClusterException, RedisError

    from hsejobs.redis_url import parse_redis_url, redact_url
    from hsejobs.settings import redis_target
    from hsejobs.store import keys
    from hsejobs.store.client import RedisClient

    url = redis_target(settings)
    parsed, link = parse_redis_url(url), RedisClient(url)
    what = f"Redis at {redact_url(url)}"
    try:
        connection = link.blocking(keys.doctor(settings.redis_prefix))
        say(True, what)
        say(True, _transport(parsed, connection))
        _rights(link, settings, say)
        if parsed.scheme == "redis+sentinel":
            _sentinels(link, say)
        if link.cluster:
            _cluster(link, say)
        for place, info in _infos(link, say):
            _server(info, place, settings, say, link)
    except (RedisError, RedisClusterException, OSError) as error:
        say(False, what, _hint(error))
        return error
    finally:
        link.close()
    return None


def _hint(error: Exception) -> str:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    for part, mend in _HINTS:
        if part in text:
            return f"{text}; {mend}"
    return f"{text}; start it, check network and TLS, or set QUEUE_REDIS_URL"


def _transport(parsed: RedisURL, connection: Any) -> str:
    if parsed.tls is None:
        near = parsed.scheme == "unix" or all(_loopback(host) for host, _ in parsed.hosts)
        return "no TLS" + ("" if near else ": passwords and jobs cross the network readable")
    version = getattr(connection._sock, "version", lambda: "TLS")() or "TLS"
    checked = "checked" if parsed.tls.verify else "not checked (ssl_cert_reqs=none)"
    if parsed.tls.verify and not parsed.tls.check_hostname:
        checked += ", its host name not"
    return f"{version}, the server's certificate is {checked}"


def _loopback(host: str) -> bool:
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _rights(link: RedisClient, settings: Settings, say: Say) -> None:
    from hsejobs.store.rights import try_rights

    found = try_rights(link, settings.redis_prefix)
    mend = f"the user lacks {' '.join(found.missing)}"
    if any(word.startswith("&") or word in ("+subscribe", "+publish") for word in found.missing):
        mend += " (without channels, delayed jobs begin late)"
    if found.untried:
        mend += f"; not tried: {' '.join(found.untried)}"
    say(not found.missing, "rights of the user", f"{mend}; docs/redis.md has the whole rule")


def _sentinels(link: RedisClient, say: Say) -> None:
    """Each sentinel for itself: one that answers is enough to work, but not for a fail-over."""
    from redis.exceptions import RedisError

    manager = link.client.connection_pool.sentinel_manager
    name = link.client.connection_pool.service_name
    answered = total = 0
    for sentinel in manager.sentinels:
        options = sentinel.connection_pool.connection_kwargs
        what = f"sentinel {options['host']}:{options['port']}"
        try:
            known = sentinel.sentinel_masters().get(name)
        except (RedisError, OSError) as error:
            say(False, what, _hint(error))
            continue
        finally:
            sentinel.close()
        mend = f"it does not know the service {name}"
        say(known is not None, what, mend)
        if known is not None:
            answered, total = answered + 1, max(total, int(known["num-other-sentinels"]) + 1)
    say(
        answered > total // 2,
        f"sentinels: {answered} of {total} answer",
        "a fail-over needs the most of them; start the others, and name them all in the URL",
    )


def _cluster(link: RedisClient, say: Say) -> None:
    from redis.exceptions import ResponseError

    state = ""
    with suppress(ResponseError):
        info = link.client.execute_command("CLUSTER INFO", target_nodes=_primaries(link)[0])
        state = str(info.get("cluster_state", ""))
    if not state:
        say(True, "state of the Cluster: could not be looked at (no right to CLUSTER INFO)")
        return
    mend = "slots are not served; see CLUSTER INFO and CLUSTER SHARDS on a node"
    say(state == "ok", f"state of the Cluster {state}", mend)


def _primaries(link: RedisClient) -> list[Any]:
    return list(link.client.get_primaries())


def _infos(link: RedisClient, say: Say) -> Iterator[tuple[str, dict[str, str]]]:
    """What INFO says of each primary, with words that tell which; nothing where it is refused."""
    from redis.exceptions import ResponseError

    if not link.cluster:
        connections = [("", link.blocking(""))]
    else:
        connections = [
            (f" of {node.name}", link.client.get_redis_connection(node).connection_pool)
            for node in _primaries(link)
        ]
    for place, one in connections:
        connection = one.connection_class(**one.connection_kwargs) if link.cluster else one
        try:
            if not connection.is_connected:
                connection.connect()
            connection.send_command("INFO")
            text = connection.read_response().decode("utf-8", "replace")
        except ResponseError:
            say(
                True,
                f"version, memory and persistence{place}: could not be looked at (INFO is refused)",
            )
            continue
        finally:
            connection.disconnect()
        pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
        yield place, {name: value for name, _, value in pairs}


def _server(
    info: dict[str, str], place: str, settings: Settings, say: Say, link: RedisClient
) -> None:
    version = info.get("valkey_version") or info.get("redis_version", "0")
    kind = "Valkey" if "valkey_version" in info else "Redis"
    recent = kind == "Valkey" or _numbers(version) >= (6, 2)
    say(recent, f"version {version} of {kind}{place}", "use 6.2 or newer")
    if info.get("cluster_enabled") == "1" and not link.cluster:
        say(
            False,
            "kind of server",
            "it is a node of a Cluster: begin the URL with redis+cluster or rediss+cluster",
        )
    policy = info.get("maxmemory_policy", "noeviction")
    say(
        policy == "noeviction",
        f"eviction policy {policy}{place}",
        "Redis would throw jobs away; set maxmemory-policy noeviction",
    )
    _memory(info, place, say)
    _persistence(info, place, say)
    _replicas(info, place, settings, say)


def _memory(info: dict[str, str], place: str, say: Say) -> None:
    used, most = (int(info.get(name) or 0) for name in ("used_memory", "maxmemory"))
    if most:
        say(
            used < most * 0.9,
            f"memory{place}: {used >> 20} of {most >> 20} MB",
            "adds are refused when it is full; clean finished jobs or raise maxmemory",
        )


def _persistence(info: dict[str, str], place: str, say: Say) -> None:
    if "loading" not in info:
        say(True, f"persistence{place}: could not be looked at")
        return
    kept = info.get("aof_enabled") == "1"
    # A server that saves snapshots has counted or made one; one with `save ""` never does.
    snapshots = info.get("rdb_saves", "0") != "0" or info.get("rdb_bgsave_in_progress") == "1"
    mend = "set appendonly yes: " + (
        "with snapshots alone a restart loses what came since the last one"
        if snapshots
        else "without it a restart loses jobs"
    )
    say(kept, f"append-only file{place}", mend)
    bad = [
        name.split("_", 1)[0].upper()
        for name in ("aof_last_write_status", "rdb_last_bgsave_status", "aof_last_bgrewrite_status")
        if info.get(name, "ok") != "ok"
    ]
    if bad:
        say(
            False,
            f"writing to disk{place}",
            f"the last write of the {' and '.join(dict.fromkeys(bad))} file failed; look for a"
            " full or read-only disk: Redis refuses writes meanwhile",
        )


def _replicas(info: dict[str, str], place: str, settings: Settings, say: Say) -> None:
    if info.get("role", "master") != "master":
        say(
            False,
            f"role{place}",
            "it is a replica and refuses writes; connect to its primary, by"
            " redis+sentinel:// or the name that always means the primary",
        )
        return
    replicas = sum(
        1
        for name, value in info.items()
        if name.startswith("slave") and name[5:].isdigit() and "state=online" in value
    )
    wanted = settings.wait_replicas
    if wanted or replicas:
        mend = f"QUEUE_REDIS_WAIT_REPLICAS is {wanted}: every add would be refused"
        say(replicas >= wanted, f"replicas{place}: {replicas} online", mend)
    # The line is there only when min-replicas-to-write is set.
    good = info.get("min_slaves_good_slaves")
    if good is not None:
        say(
            int(good) > 0,
            f"min-replicas-to-write{place} is set, {good} replicas are good",
            "writes are refused (NOREPLICAS) until a replica is back",
        )


def _numbers(version: str) -> tuple[int, ...]:
    parts = (part for part in version.split(".")[:2])
    return tuple(int(part) if part.isdigit() else 0 for part in parts)
