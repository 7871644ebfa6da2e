"""Which variables of whoever runs the tests must not reach them."""

from __future__ import annotations

#: Settings of this system and of what it is made with, and how a terminal or a network is set up.
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
    """Whether a variable is the caller's own; proxies too, in either spelling."""
    return name.startswith(PREFIXES) or name in NAMES or name.lower().endswith("_proxy")
