"""Errors of the platform's database."""

from __future__ import annotations

from hsejobs.errors import JobsError


class PlatformUnavailable(JobsError):
    """The platform's database did not respond, or refused a statement; another attempt may succeed."""

    code = "platform_unavailable"
