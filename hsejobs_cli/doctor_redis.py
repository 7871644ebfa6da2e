"""The Redis checks of ``hsejobs doctor``: with the settings' own user, and without writing jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsejobs.redis_url import RedisURL
    from hsejobs.settings import Settings
    from hsejobs.store.client import RedisClient

#: Called with whether a check passed, what was checked, and how to fix it.
Report = Callable[..., None]
#: A part of an error's text, and how to fix it; the first match counts.
_HINTS = (
    (
        "CERTIFICATE_VERIFY_FAILED: certificate",
        "set ssl_ca_certs to the certificate authority's file",
    ),
    ("mismatch", "the certificate is for another host: connect by the name in the certificate"),
    ("CERTIFICATE_VERIFY_FAILED", "set ssl_ca_certs to the certificate authority's file"),
    ("WRONG_VERSION", "the port does not speak TLS: begin the URL with redis instead"),
    (
        "certificate required",
        "the server requires a client certificate: set ssl_certfile and ssl_keyfile",
    ),
    (
        "EOF occurred",
        "if the server requires a client certificate, set ssl_certfile and ssl_keyfile",
    ),
    ("sentinel_password", "the sentinels reject the login: check their user and password"),
    ("no sentinel names", "check the sentinels' addresses and the name of the service"),
    (
        "Cluster mode is not enabled",
        "the server is not a Cluster (begin the URL with redis:// or rediss://),"
        " or the user lacks +cluster|slots",
    ),
    ("username-password", "the server rejects the login: check the user and the password"),
    ("WRONGPASS", "the server rejects the login: check the user and the password"),
    ("NOAUTH", "the server requires a login: set user and password in QUEUE_REDIS_URL"),
    ("no permissions", "the user lacks the right to connect: see the rule in docs/redis.md"),
)


def examine(settings: Settings, report: Report) -> Exception | None:
    """Runs all checks and reports each; returns the error if there is no connection."""
    from redis.exceptions import RedisClusterException, RedisError

    from hsejobs.redis_url import parse_redis_url, redact_url
    from hsejobs.settings import redis_target
    from hsejobs.store import keys
    from hsejobs.store.client import RedisClient

    url = redis_target(settings)
    parsed, client = parse_redis_url(url), RedisClient(url)
    what = f"Redis at {redact_url(url)}"
    try:
        connection = client.blocking(keys.doctor(settings.redis_prefix))
        report(True, what)
        report(True, _transport(parsed, connection))
        _rights(client, settings, report)
        if parsed.scheme == "redis+sentinel":
            _sentinels(client, report)
        if client.cluster:
            _cluster(client, report)
        for place, info in _infos(client, report):
            _server(info, place, settings, report, client)
    except (RedisError, RedisClusterException, OSError) as error:
        report(False, what, _hint(error))
        return error
    finally:
        client.close()
    return None


def _hint(error: Exception) -> str:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    for part, fix in _HINTS:
        if part in text:
            return f"{text}; {fix}"
    return f"{text}; start the server, check network and TLS, or set QUEUE_REDIS_URL"


def _transport(parsed: RedisURL, connection: Any) -> str:
    if parsed.tls is None:
        near = parsed.scheme == "unix" or all(_loopback(host) for host, _ in parsed.hosts)
        return "no TLS" + ("" if near else ": passwords and jobs cross the network unencrypted")
    version = getattr(connection._sock, "version", lambda: "TLS")() or "TLS"
    checked = "verified" if parsed.tls.verify else "not verified (ssl_cert_reqs=none)"
    if parsed.tls.verify and not parsed.tls.check_hostname:
        checked += ", but its host name is not"
    return f"{version}, the server's certificate is {checked}"


def _loopback(host: str) -> bool:
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _rights(client: RedisClient, settings: Settings, report: Report) -> None:
    from hsejobs.store.permissions import try_permissions

    found = try_permissions(client, settings.redis_prefix)
    fix = f"the user lacks {' '.join(found.missing)}"
    if any(word.startswith("&") or word in ("+subscribe", "+publish") for word in found.missing):
        fix += " (without channels, delayed jobs start late)"
    if found.untried:
        fix += f"; not checked: {' '.join(found.untried)}"
    what = "rights of the user"
    if found.slower:
        what += f" (without {' '.join(found.slower)}, bulk adds take Redis longer)"
    report(not found.missing, what, f"{fix}; docs/redis.md has the full rule")


def _sentinels(client: RedisClient, report: Report) -> None:
    """Checks each sentinel: one is enough to connect, but a failover needs the majority."""
    from redis.exceptions import RedisError

    manager = client.driver.connection_pool.sentinel_manager
    name = client.driver.connection_pool.service_name
    answered = total = 0
    for sentinel in manager.sentinels:
        options = sentinel.connection_pool.connection_kwargs
        what = f"sentinel {options['host']}:{options['port']}"
        try:
            known = sentinel.sentinel_masters().get(name)
        except (RedisError, OSError) as error:
            report(False, what, _hint(error))
            continue
        finally:
            sentinel.close()
        fix = f"the sentinel does not know the service {name}"
        report(known is not None, what, fix)
        if known is not None:
            answered, total = answered + 1, max(total, int(known["num-other-sentinels"]) + 1)
    report(
        answered > total // 2,
        f"sentinels: {answered} of {total} answer",
        "a failover needs the majority of them; start the others, and name all of them in the URL",
    )


def _cluster(client: RedisClient, report: Report) -> None:
    from redis.exceptions import ResponseError

    state = ""
    with suppress(ResponseError):
        info = client.driver.execute_command("CLUSTER INFO", target_nodes=_primaries(client)[0])
        state = str(info.get("cluster_state", ""))
    if not state:
        report(True, "Cluster state: not checked (the user lacks +cluster|info)")
        return
    fix = "some slots are not served; see CLUSTER INFO and CLUSTER SHARDS on a node"
    report(state == "ok", f"Cluster state {state}", fix)


def _primaries(client: RedisClient) -> list[Any]:
    return list(client.driver.get_primaries())


def _infos(client: RedisClient, report: Report) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields INFO of each primary, with a suffix that names it; skips those that refuse INFO."""
    from redis.exceptions import ResponseError

    if not client.cluster:
        connections = [("", client.blocking(""))]
    else:
        connections = [
            (f" of {node.name}", client.driver.get_redis_connection(node).connection_pool)
            for node in _primaries(client)
        ]
    for place, one in connections:
        connection = one.connection_class(**one.connection_kwargs) if client.cluster else one
        try:
            if not connection.is_connected:
                connection.connect()
            connection.send_command("INFO")
            text = connection.read_response().decode("utf-8", "replace")
        except ResponseError:
            report(
                True,
                f"version, memory and persistence{place}: not checked (the user lacks +info)",
            )
            continue
        finally:
            connection.disconnect()
        pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
        yield place, {name: value for name, _, value in pairs}


def _server(
    info: dict[str, str], place: str, settings: Settings, report: Report, client: RedisClient
) -> None:
    version = info.get("valkey_version") or info.get("redis_version", "0")
    kind = "Valkey" if "valkey_version" in info else "Redis"
    recent = kind == "Valkey" or _numbers(version) >= (6, 2)
    report(recent, f"version {version} of {kind}{place}", "use 6.2 or newer")
    if info.get("cluster_enabled") == "1" and not client.cluster:
        report(
            False,
            "kind of server",
            "the server is a Cluster node: begin the URL with redis+cluster or rediss+cluster",
        )
    policy = info.get("maxmemory_policy", "noeviction")
    report(
        policy == "noeviction",
        f"eviction policy {policy}{place}",
        "Redis may evict jobs; set maxmemory-policy noeviction",
    )
    _memory(info, place, report)
    _persistence(info, place, report)
    _replicas(info, place, settings, report)


def _memory(info: dict[str, str], place: str, report: Report) -> None:
    used, most = (int(info.get(name) or 0) for name in ("used_memory", "maxmemory"))
    if most:
        report(
            used < most * 0.9,
            f"memory{place}: {used >> 20} of {most >> 20} MB",
            "Redis refuses new jobs when it is full; clean finished jobs or raise maxmemory",
        )


def _persistence(info: dict[str, str], place: str, report: Report) -> None:
    if "loading" not in info:
        report(True, f"persistence{place}: not checked")
        return
    kept = info.get("aof_enabled") == "1"
    # A server that saves snapshots has counted or is making one; with `save ""` it never does.
    snapshots = info.get("rdb_saves", "0") != "0" or info.get("rdb_bgsave_in_progress") == "1"
    fix = "set appendonly yes: " + (
        "with snapshots alone, a restart loses every job added since the last one"
        if snapshots
        else "without it, a restart loses all jobs"
    )
    report(kept, f"append-only file{place}", fix)
    bad = [
        name.split("_", 1)[0].upper()
        for name in ("aof_last_write_status", "rdb_last_bgsave_status", "aof_last_bgrewrite_status")
        if info.get(name, "ok") != "ok"
    ]
    if bad:
        report(
            False,
            f"writing to disk{place}",
            f"the last write of the {' and '.join(dict.fromkeys(bad))} file failed; check for a"
            " full or read-only disk: until then, Redis refuses writes",
        )


def _replicas(info: dict[str, str], place: str, settings: Settings, report: Report) -> None:
    if info.get("role", "master") != "master":
        report(
            False,
            f"role{place}",
            "the server is a replica and refuses writes; connect to its primary, through"
            " redis+sentinel:// or a host name that always leads to the primary",
        )
        return
    replicas = sum(
        1
        for name, value in info.items()
        if name.startswith("slave") and name[5:].isdigit() and "state=online" in value
    )
    wanted = settings.wait_replicas
    if wanted or replicas:
        fix = f"QUEUE_REDIS_WAIT_REPLICAS is {wanted}, so every add would be refused"
        report(replicas >= wanted, f"replicas{place}: {replicas} online", fix)
    # INFO has this field only when min-replicas-to-write is set.
    good = info.get("min_slaves_good_slaves")
    if good is not None:
        report(
            int(good) > 0,
            f"min-replicas-to-write{place} is set, {good} replicas are in sync",
            "Redis refuses writes (NOREPLICAS) until a replica is in sync again",
        )


def _numbers(version: str) -> tuple[int, ...]:
    parts = (part for part in version.split(".")[:2])
    return tuple(int(part) if part.isdigit() else 0 for part in parts)
