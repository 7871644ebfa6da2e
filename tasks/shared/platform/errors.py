"""What the platform's database can cause; another attempt may do."""

from __future__ import annotations

from hsejobs.errors import JobsError


class PlatformUnavailable(JobsError):
    """The platform's database did not answer, or refused a statement; tried again."""

    code = "platform_unavailable"
