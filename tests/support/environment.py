"""Environment variables of the caller that must not reach the tests."""

from __future__ import annotations

#: Settings of this system and its dependencies, and variables of the terminal and the network.
PREFIXES = (
    "QUEUE_",
    "JOBS_",
    "SMTP_",
    "PLATFORM_",
    "ARTIFACTS_",
    "WEBHOOK_",
    "HSEJOBS_",
    "LC_",
    "XDG_",
    "TEXTUAL_THEME",
    "REDIS",
    "OTEL_",
    "PG",
)
NAMES = frozenset(
    {
        "LANG",
        "LANGUAGE",
        "TZ",
        "NO_COLOR",
        "FORCE_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "LINES",
        "EDITOR",
        "VISUAL",
        "PAGER",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    }
)


def is_callers_own(name: str) -> bool:
    """Whether a variable belongs to the caller; includes proxy variables in upper and lower case."""
    return name.startswith(PREFIXES) or name in NAMES or name.lower().endswith("_proxy")
