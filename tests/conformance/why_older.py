"""The queue "causes" in an older release, which has none of its tasks."""

from __future__ import annotations

from typing import Any

from hsejobs.engine import JobHuey

huey = JobHuey("causes")


@huey.task()
def former(payload: dict[str, Any]) -> None:
    """A task that the newer release does not have."""
