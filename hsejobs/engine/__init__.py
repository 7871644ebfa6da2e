"""The engine: the only code that imports huey."""

import hsejobs.engine.without_postgres  # noqa: F401
from hsejobs.engine.context import JobContext, current_job
from hsejobs.engine.follow import follow_up
from hsejobs.engine.huey import JobHuey
from hsejobs.engine.huey_api import crontab
from hsejobs.engine.signatures import AddKeywords
from hsejobs.errors import JobFailed, JobTimeout, Postpone, Unrecoverable
from hsejobs.handle import Job
from hsejobs.masking import Secret

__all__ = [
    "AddKeywords",
    "Job",
    "JobContext",
    "JobFailed",
    "JobHuey",
    "JobTimeout",
    "Postpone",
    "Secret",
    "Unrecoverable",
    "crontab",
    "current_job",
    "follow_up",
]
