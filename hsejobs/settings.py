"""Configuration: every environment variable, read and checked once, at startup.

Imports only the standard library and leaf modules, so that importing it is cheap.
An empty variable counts as not set. No message repeats a value, because it may be a secret.
``docs/settings.md`` explains the variables to operators.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import quote

from hsejobs.environment import EnvironReader
from hsejobs.errors import SettingsError
from hsejobs.rates import MOST_AT_ONCE, Rate
from hsejobs.redis_url import redact_url
from hsejobs.setting_list import SETTINGS, Setting, variable_part

__all__ = [
    "SETTINGS",
    "QueueOverrides",
    "Setting",
    "Settings",
    "ensure_home",
    "live_socket",
    "load_settings",
    "redact_url",
    "redis_target",
]

Workers = Literal["threads", "processes"]
LogFormat = Literal["json", "console"]

DAY_MS = 86_400_000
MOST_JOBS, MOST_MB = 1_000_000_000, 10_000_000
SOCKET_NAME = "redis.sock"
SOCKET_NOTE = "redis.sock.path"


_QUEUE_VARIABLE = re.compile(
    r"QUEUE_([A-Z][A-Z0-9_]*)_(CONCURRENCY|ATTEMPTS|BACKOFF_DELAY|TIMEOUT|WORKERS|MAX_JOBS|MAX_RSS"
    r"|FAIR|AGEING|LIMIT|RATE|TENANT_BACKLOG)"
)
#: Of a queue `x`; it is the LIMIT of a queue `x-tenant`, too: only one of them is likely to exist.
_TENANT_VARIABLE = re.compile(r"QUEUE_([A-Z][A-Z0-9_]*)_TENANT_LIMIT")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class QueueOverrides:
    """The environment's options for one queue, or for all queues; ``None``: not set.

    ``attempts`` counts all attempts; ``backoff_ms``, ``timeout_ms`` and ``ageing_ms`` are
    milliseconds; ``max_rss`` is in MB. ``limit`` and ``tenant_limit`` are jobs at once, 0 for none.
    """

    concurrency: int | None = None
    attempts: int | None = None
    backoff_ms: int | None = None
    timeout_ms: int | None = None
    workers: Workers | None = None
    max_jobs: int | None = None
    max_rss: int | None = None
    fair: bool | None = None
    ageing_ms: int | None = None
    limit: int | None = None
    rate: Rate | None = None
    tenant_limit: int | None = None
    #: Waiting and delayed jobs that one organization may have; 0: no limit.
    tenant_backlog: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked. Durations whose names end in ``_ms`` are milliseconds.

    ``max_rss`` is in MB; for it and ``max_jobs``, 0 is no limit.

    ``concurrency``, ``attempts`` and ``backoff_ms`` hold the value of ``QUEUE_*`` or the built-in
    default; ``global_overrides`` holds only what ``QUEUE_*`` set, because a value in the queue's
    code takes precedence over the default and not over ``QUEUE_*``.
    """

    redis_url: str | None = field(repr=False)
    redis_host: str | None
    redis_port: int | None
    redis_password: str | None = field(repr=False)
    redis_db: int
    redis_prefix: str
    wait_replicas: int
    app: str | None
    release: str | None
    concurrency: int
    attempts: int
    backoff_ms: int
    lease_ms: int
    max_stalls: int
    shutdown_grace_ms: int
    max_jobs: int
    max_rss: int
    cancel_grace_ms: int
    jobs_home: Path
    http_host: str
    http_port: int
    worker_metrics_host: str
    worker_metrics_port: int | None
    http_viewers: int
    http_viewers_share: int | None
    http_connections: int
    http_head_timeout_ms: int
    http_body_timeout_ms: int
    http_body_rate: int
    http_idle_timeout_ms: int
    trusted_proxies: tuple[str, ...]
    public_url: str | None
    jwt_secrets: tuple[str, ...] = field(repr=False)
    jwt_public_key: str | None = field(repr=False)
    jwt_audience: str | None
    jwt_issuer: str | None
    metrics_token: str | None = field(repr=False)
    alert_waiting: int | None
    alert_failed_percent: int | None
    alert_stalled_ms: int | None
    alert_no_worker_ms: int | None
    alert_oldest_ms: int | None
    alert_redis_ms: int | None
    alert_webhook_url: str | None = field(repr=False)
    alert_webhook_secret: str | None = field(repr=False)
    alert_mail_to: tuple[str, ...]
    secret_keys: tuple[str, ...] = field(repr=False)
    platform_database_url: str | None = field(repr=False)
    platform_invite_url: str | None
    smtp_url: str | None = field(repr=False)
    smtp_from: str | None
    smtp_from_allowed: tuple[str, ...]
    artifacts_url: str | None = field(repr=False)
    webhook_allow_private: bool
    log_format: LogFormat
    log_level: str
    global_overrides: QueueOverrides
    queue_overrides: Mapping[str, QueueOverrides]

    @property
    def secret_key(self) -> str | None:
        """The key that seals secret payload fields; None: they are stored plain."""
        return self.secret_keys[0] if self.secret_keys else None

    @property
    def jwt_secret(self) -> str | None:
        """The key that signs tokens."""
        return self.jwt_secrets[0] if self.jwt_secrets else None

    def queue(self, name: str) -> QueueOverrides:
        """The values of ``QUEUE_<NAME>_*`` for the queue *name*, such as ``data-exports``."""
        return self.queue_overrides.get(variable_part(name), QueueOverrides())


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Reads and checks every setting from *env* (the process's environment by default).

    Creates no folder and opens no connection to a server; reads only the files that
    ``JOBS_JWT_PUBLIC_KEY`` and ``QUEUE_REDIS_URL`` name. Raises SettingsError, which names the
    variable.
    """
    env = os.environ if env is None else env
    read = EnvironReader(env)
    concurrency = read.optional_integer("QUEUE_CONCURRENCY", 1, 1000)
    attempts = read.optional_integer("QUEUE_MAX_RETRIES", 1, 1000)
    backoff_ms = read.optional_integer("QUEUE_BACKOFF_DELAY", 0, 30 * DAY_MS)
    smtp_from = read.address("SMTP_FROM")
    return Settings(
        redis_url=read.redis_url("QUEUE_REDIS_URL"),
        redis_host=read.host("QUEUE_REDIS_HOST"),
        redis_port=read.optional_integer("QUEUE_REDIS_PORT", 1, 65535),
        redis_password=read.text("QUEUE_REDIS_PASSWORD"),
        redis_db=read.integer("QUEUE_REDIS_DB", 0, 0, 1_000_000),
        redis_prefix=read.prefix("QUEUE_REDIS_PREFIX", "hsejobs"),
        wait_replicas=read.integer("QUEUE_REDIS_WAIT_REPLICAS", 0, 0, 100),
        app=read.module("QUEUE_APP"),
        release=read.release("QUEUE_RELEASE"),
        concurrency=5 if concurrency is None else concurrency,
        attempts=3 if attempts is None else attempts,
        backoff_ms=5000 if backoff_ms is None else backoff_ms,
        lease_ms=read.integer("QUEUE_LEASE_MS", 30_000, 100, DAY_MS),
        max_stalls=read.integer("QUEUE_MAX_STALLS", 3, 0, 1000),
        shutdown_grace_ms=read.integer("QUEUE_SHUTDOWN_GRACE_MS", 10_000, 0, DAY_MS),
        max_jobs=read.integer("QUEUE_MAX_JOBS", 0, 0, MOST_JOBS),
        max_rss=read.integer("QUEUE_MAX_RSS", 0, 0, MOST_MB),
        cancel_grace_ms=read.integer("QUEUE_CANCEL_GRACE_MS", 5_000, 0, DAY_MS),
        jobs_home=_home(read),
        http_host=read.host("JOBS_HTTP_HOST") or "127.0.0.1",
        http_port=read.integer("JOBS_HTTP_PORT", 8090, 0, 65535),
        http_viewers=read.integer("JOBS_HTTP_VIEWERS", 10, 0, 1000),
        http_viewers_share=read.optional_integer("JOBS_HTTP_VIEWERS_SHARE", 0, 1000),
        http_connections=read.integer("JOBS_HTTP_CONNECTIONS", 1000, 16, 100_000),
        http_head_timeout_ms=read.integer("JOBS_HTTP_HEAD_TIMEOUT", 10_000, 100, DAY_MS),
        http_body_timeout_ms=read.integer("JOBS_HTTP_BODY_TIMEOUT", 30_000, 100, DAY_MS),
        http_body_rate=read.integer("JOBS_HTTP_BODY_RATE", 1000, 1, 1_000_000_000),
        http_idle_timeout_ms=read.integer("JOBS_HTTP_IDLE_TIMEOUT", 75_000, 100, DAY_MS),
        trusted_proxies=read.networks("JOBS_TRUSTED_PROXIES"),
        public_url=read.public_url("JOBS_PUBLIC_URL"),
        jwt_secrets=read.keys("JOBS_JWT_SECRET", 32),
        jwt_public_key=read.public_key("JOBS_JWT_PUBLIC_KEY"),
        jwt_audience=read.text("JOBS_JWT_AUDIENCE"),
        jwt_issuer=read.text("JOBS_JWT_ISSUER"),
        **_watching(read),
        secret_keys=read.keys("JOBS_SECRET_KEY", 1),
        platform_database_url=read.url("PLATFORM_DATABASE_URL"),
        platform_invite_url=read.public_url("PLATFORM_INVITE_URL"),
        smtp_url=read.url("SMTP_URL", "smtp", "smtps"),
        smtp_from=smtp_from,
        smtp_from_allowed=read.domains("SMTP_FROM_ALLOWED", smtp_from),
        artifacts_url=read.artifacts_url("ARTIFACTS_URL"),
        webhook_allow_private=read.flag("WEBHOOK_ALLOW_PRIVATE"),
        log_format=cast(LogFormat, read.choice("JOBS_LOG_FORMAT", "json", "console") or "json"),
        log_level=read.choice("JOBS_LOG_LEVEL", *_LEVELS) or "INFO",
        global_overrides=QueueOverrides(concurrency, attempts, backoff_ms),
        queue_overrides=_queues(read, env),
    )


def _watching(read: EnvironReader) -> dict[str, Any]:
    """The settings of metrics and alerts."""
    return {
        "worker_metrics_host": read.host("JOBS_WORKER_METRICS_HOST") or "127.0.0.1",
        "worker_metrics_port": read.optional_integer("JOBS_WORKER_METRICS_PORT", 0, 65535),
        "metrics_token": read.text("JOBS_METRICS_TOKEN"),
        "alert_waiting": read.limit("JOBS_ALERT_WAITING", 100, 1_000_000_000),
        "alert_failed_percent": read.limit("JOBS_ALERT_FAILED_PERCENT", 10, 100),
        "alert_stalled_ms": read.limit("JOBS_ALERT_STALLED_MS", 30_000, DAY_MS),
        "alert_no_worker_ms": read.limit("JOBS_ALERT_NO_WORKER_MS", 30_000, DAY_MS),
        "alert_oldest_ms": read.limit("JOBS_ALERT_OLDEST_MS", 600_000, DAY_MS),
        "alert_redis_ms": read.limit("JOBS_ALERT_REDIS_MS", 10_000, DAY_MS),
        "alert_webhook_url": read.url("JOBS_ALERT_WEBHOOK_URL", "http", "https"),
        "alert_webhook_secret": read.text("JOBS_ALERT_WEBHOOK_SECRET"),
        "alert_mail_to": read.addresses("JOBS_ALERT_MAIL_TO"),
    }


def redis_target(settings: Settings) -> str:
    """The URL of the Redis to use, password and database included.

    In this order: ``QUEUE_REDIS_URL``; host and port if either is set; a live socket in
    ``JOBS_HOME``; localhost:6379. The socket belongs to the embedded server, which has no password
    and rejects clients that send one, so none is sent there.
    """
    if settings.redis_url is not None:
        return settings.redis_url
    if settings.redis_host is None and settings.redis_port is None:
        path = live_socket(settings.jobs_home)
        if path is not None:
            return f"unix://{quote(path)}?db={settings.redis_db}"
    host = settings.redis_host or "localhost"
    if ":" in host:
        host = f"[{host}]"
    user = ""
    if settings.redis_password is not None:
        user = f":{quote(settings.redis_password, safe='')}@"
    return f"redis://{user}{host}:{settings.redis_port or 6379}/{settings.redis_db}"


def live_socket(home: Path) -> str | None:
    """The path of the embedded server's socket for *home* if it accepts a connection, else None.

    If the path of *home* is too long for a socket, the socket is elsewhere, and the file
    ``redis.sock.path`` in *home* holds its path.
    """
    for path in _sockets(home):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(path)
            except (OSError, ValueError):
                continue
            return path
    return None


def is_embedded(settings: Settings) -> bool:
    """Whether the Redis is the embedded one of ``JOBS_HOME``, whose clients share one environment.

    Opens no connection.
    """
    if settings.redis_url is None:
        return settings.redis_host is None and settings.redis_port is None
    named = settings.redis_url.partition("?")[0]
    return any(named == f"unix://{quote(path)}" for path in _sockets(settings.jobs_home))


def _sockets(home: Path) -> list[str]:
    found = [str(home / SOCKET_NAME)]
    with contextlib.suppress(OSError, UnicodeDecodeError):
        found.insert(0, (home / SOCKET_NOTE).read_text().strip())
    return found


def ensure_home(settings: Settings) -> Path:
    """Creates ``JOBS_HOME`` with mode 0700 if it is missing, and returns it.

    The mode of an existing folder is not changed: it may have other uses.
    Raises SettingsError when the folder cannot be created.
    """
    home = settings.jobs_home
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        problem = f"the folder cannot be created: {error.strerror}"
        raise SettingsError("JOBS_HOME", problem) from None
    return home


def _home(read: EnvironReader) -> Path:
    value = read.text("JOBS_HOME")
    user = read.text("HOME") or os.path.expanduser("~")
    if value is not None:
        path = Path(user + value[1:] if re.match(r"~(/|\Z)", value) else value)
    elif sys.platform == "darwin":
        path = Path(user, "Library", "Application Support", "hsejobs")
    else:
        data = read.text("XDG_DATA_HOME")
        # The XDG specification says to ignore a relative path.
        base = Path(data) if data and os.path.isabs(data) else Path(user, ".local", "share")
        path = base / "hsejobs"
    return path.absolute()


def _queues(read: EnvironReader, env: Mapping[str, str]) -> Mapping[str, QueueOverrides]:
    patterns = (_QUEUE_VARIABLE, _TENANT_VARIABLE)
    parts = {match[1] for one in patterns for match in map(one.fullmatch, env) if match}
    return {
        part: QueueOverrides(
            concurrency=read.optional_integer(f"QUEUE_{part}_CONCURRENCY", 1, 1000),
            attempts=read.optional_integer(f"QUEUE_{part}_ATTEMPTS", 1, 1000),
            backoff_ms=read.optional_integer(f"QUEUE_{part}_BACKOFF_DELAY", 0, 30 * DAY_MS),
            timeout_ms=read.optional_integer(f"QUEUE_{part}_TIMEOUT", 1, 30 * DAY_MS),
            workers=cast(
                Workers | None, read.choice(f"QUEUE_{part}_WORKERS", "threads", "processes")
            ),
            max_jobs=read.optional_integer(f"QUEUE_{part}_MAX_JOBS", 0, MOST_JOBS),
            max_rss=read.optional_integer(f"QUEUE_{part}_MAX_RSS", 0, MOST_MB),
            fair=read.optional_flag(f"QUEUE_{part}_FAIR"),
            ageing_ms=read.optional_integer(f"QUEUE_{part}_AGEING", 0, 30 * DAY_MS),
            limit=read.most(f"QUEUE_{part}_LIMIT", MOST_AT_ONCE),
            rate=read.rate(f"QUEUE_{part}_RATE"),
            tenant_limit=read.most(f"QUEUE_{part}_TENANT_LIMIT", MOST_AT_ONCE),
            tenant_backlog=read.optional_integer(f"QUEUE_{part}_TENANT_BACKLOG", 0, MOST_JOBS),
        )
        for part in sorted(parts)
    }
