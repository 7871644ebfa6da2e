"""The list of all environment variables; ``settings`` reads and checks them."""

from __future__ import annotations

from typing import NamedTuple


class Setting(NamedTuple):
    """One environment variable, as ``docs/settings.md`` lists it."""

    name: str
    default: str
    meaning: str


def variable_part(queue_name: str) -> str:
    """The ``<NAME>`` of a queue's own variables."""
    return queue_name.upper().replace("-", "_")


SETTINGS: tuple[Setting, ...] = (
    Setting("QUEUE_REDIS_URL", "", "URL of Redis; takes precedence over host and port"),
    Setting("QUEUE_REDIS_HOST", "", "host name or address"),
    Setting("QUEUE_REDIS_PORT", "", "1-65535"),
    Setting("QUEUE_REDIS_PASSWORD", "", "password, used without QUEUE_REDIS_URL"),
    Setting("QUEUE_REDIS_DB", "0", "database number, used without QUEUE_REDIS_URL"),
    Setting("QUEUE_REDIS_PREFIX", "hsejobs", "prefix of every key"),
    Setting("QUEUE_REDIS_WAIT_REPLICAS", "0", "replicas that must confirm an added job"),
    Setting(
        "QUEUE_APP",
        "huey_config, if it is in the working folder",
        "module that defines the queues to run",
    ),
    Setting("QUEUE_RELEASE", "", "the application's release, such as 1.4.2: the highest describes"),
    Setting("QUEUE_CONCURRENCY", "5", "workers per queue, 1-1000"),
    Setting("QUEUE_MAX_RETRIES", "3", "attempts in all, 1-1000"),
    Setting("QUEUE_BACKOFF_DELAY", "5000", "ms before the second attempt"),
    Setting("QUEUE_LEASE_MS", "30000", "ms until an unrenewed lease expires"),
    Setting("QUEUE_MAX_STALLS", "3", "stalls after which a job fails"),
    Setting("QUEUE_SHUTDOWN_GRACE_MS", "10000", "ms that running jobs get when a worker stops"),
    Setting("QUEUE_MAX_JOBS", "0", "jobs after which a worker is replaced; 0: never"),
    Setting("QUEUE_MAX_RSS", "0", "MB of memory beyond which a worker is replaced; 0: never"),
    Setting("QUEUE_CANCEL_GRACE_MS", "5000", "ms that a cancelled job gets to end by itself"),
    Setting("QUEUE_<NAME>_CONCURRENCY", "", "workers of that queue, 1-1000"),
    Setting("QUEUE_<NAME>_ATTEMPTS", "", "attempts in all, 1-1000"),
    Setting("QUEUE_<NAME>_BACKOFF_DELAY", "", "ms before the second attempt"),
    Setting("QUEUE_<NAME>_TIMEOUT", "", "ms that one attempt may take"),
    Setting("QUEUE_<NAME>_WORKERS", "", "threads or processes"),
    Setting("QUEUE_<NAME>_MAX_JOBS", "", "jobs after which a worker is replaced; 0: never"),
    Setting("QUEUE_<NAME>_MAX_RSS", "", "MB of memory beyond which a worker is replaced; 0: never"),
    Setting("QUEUE_<NAME>_FAIR", "1", "organizations take turns; 0: in the order of arrival"),
    Setting("QUEUE_<NAME>_AGEING", "900000", "ms of waiting that raise the priority; 0: never"),
    Setting("QUEUE_<NAME>_LIMIT", "", "jobs at once over all consumers, or none"),
    Setting("QUEUE_<NAME>_RATE", "", "jobs in a second, minute or hour, such as 50/s, or none"),
    Setting("QUEUE_<NAME>_TENANT_LIMIT", "", "jobs of one organization at once, or none"),
    Setting(
        "QUEUE_<NAME>_TENANT_BACKLOG", "", "waiting jobs an organization may have; 0: no limit"
    ),
    Setting("JOBS_HOME", "the user's data folder + /hsejobs", "folder for this machine's files"),
    Setting("JOBS_HTTP_HOST", "127.0.0.1", "address the HTTP shim listens on"),
    Setting("JOBS_HTTP_PORT", "8090", "port that the HTTP shim listens on, 0-65535"),
    Setting("JOBS_HTTP_VIEWERS", "10", "browsers that one shim shows the TUI to, 0-1000"),
    Setting(
        "JOBS_HTTP_VIEWERS_SHARE",
        "",
        "of these, one organization's members and admins; unset: half of what all of them may have",
    ),
    Setting(
        "JOBS_HTTP_CONNECTIONS", "1000", "connections of one shim; half may come from one address"
    ),
    Setting("JOBS_HTTP_HEAD_TIMEOUT", "10000", "ms in which a request's head must arrive"),
    Setting("JOBS_HTTP_BODY_TIMEOUT", "30000", "ms in which a request's body must arrive"),
    Setting("JOBS_HTTP_BODY_RATE", "1000", "bytes of a body that extend its time by a second"),
    Setting("JOBS_HTTP_IDLE_TIMEOUT", "75000", "ms that a connection may be idle"),
    Setting("JOBS_TRUSTED_PROXIES", "", "addresses and networks whose X-Forwarded-For is trusted"),
    Setting("JOBS_PUBLIC_URL", "", "http(s) URL that links in mails begin with"),
    Setting("JOBS_JWT_SECRET", "", "keys of 32 bytes or more: the first signs, all verify"),
    Setting("JOBS_JWT_PUBLIC_KEY", "", "PEM text, or the path of a PEM file"),
    Setting("JOBS_JWT_AUDIENCE", "", "the aud claim that tokens must have"),
    Setting("JOBS_JWT_ISSUER", "", "the iss claim that tokens must have"),
    Setting("JOBS_METRICS_TOKEN", "", "bearer token of /metrics"),
    Setting("JOBS_WORKER_METRICS_HOST", "127.0.0.1", "address that a consumer serves /metrics on"),
    Setting("JOBS_WORKER_METRICS_PORT", "", "port that a consumer serves /metrics on, 0-65535"),
    Setting("JOBS_ALERT_WAITING", "100", "alert when more jobs of a queue wait, or off"),
    Setting(
        "JOBS_ALERT_FAILED_PERCENT", "10", "alert when more of them failed in 5 minutes, or off"
    ),
    Setting("JOBS_ALERT_STALLED_MS", "30000", "alert when a job is stalled for longer, or off"),
    Setting(
        "JOBS_ALERT_NO_WORKER_MS", "30000", "alert when jobs wait longer with no worker, or off"
    ),
    Setting(
        "JOBS_ALERT_OLDEST_MS", "600000", "alert when a job waits longer despite workers, or off"
    ),
    Setting("JOBS_ALERT_REDIS_MS", "10000", "alert when Redis is unavailable for longer, or off"),
    Setting("JOBS_ALERT_WEBHOOK_URL", "", "http(s) URL that alerts are posted to"),
    Setting("JOBS_ALERT_WEBHOOK_SECRET", "", "key that signs the alerts posted there"),
    Setting("JOBS_ALERT_MAIL_TO", "", "mail addresses, comma-separated"),
    Setting(
        "JOBS_SECRET_KEY", "", "keys for secret payload fields: the first encrypts, all decrypt"
    ),
    Setting("PLATFORM_DATABASE_URL", "", "database URL of the platform"),
    Setting("PLATFORM_INVITE_URL", "", "URL of the page where an invited user starts"),
    Setting("SMTP_URL", "", "smtp:// or smtps://"),
    Setting("SMTP_FROM", "", "sender of mails that do not name one"),
    Setting(
        "SMTP_FROM_ALLOWED", "the domain of SMTP_FROM", "sender domains allowed, comma-separated"
    ),
    Setting("ARTIFACTS_URL", "", "URL of the artifact store"),
    Setting("WEBHOOK_ALLOW_PRIVATE", "0", "1 lets webhooks call private addresses"),
    Setting("JOBS_LOG_FORMAT", "json", "json or console"),
    Setting("JOBS_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
)
