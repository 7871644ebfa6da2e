"""hsejobs: background jobs on Huey and Redis. No job is lost, and the state of each is always visible.

The names below are imported on first use, which keeps ``import hsejobs`` cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hsejobs.version import VERSION as __version__

if TYPE_CHECKING:
    from hsejobs.engine import JobHuey, crontab, current_job, follow_up
    from hsejobs.errors import JobCancelled, Postpone, Unrecoverable
    from hsejobs.masking import Secret

__all__ = [
    "JobCancelled",
    "JobHuey",
    "Postpone",
    "Secret",
    "Unrecoverable",
    "__version__",
    "crontab",
    "current_job",
    "follow_up",
]

_HOME = {
    "JobCancelled": "hsejobs.errors",
    "JobHuey": "hsejobs.engine",
    "Postpone": "hsejobs.errors",
    "Secret": "hsejobs.masking",
    "Unrecoverable": "hsejobs.errors",
    "crontab": "hsejobs.engine",
    "current_job": "hsejobs.engine",
    "follow_up": "hsejobs.engine",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hsejobs' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
