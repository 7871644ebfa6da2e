"""The reports queue: one report a job."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hsejobs.engine import Job, JobHuey, Unrecoverable
from hsejobs.services.fields import Identifier, MailText, Payload

huey = JobHuey(
    "reports",
    attempts=3,
    backoff=5.0,
    timeout=300.0,
    workers="processes",
    enqueue="member",
)


class ReportPayload(Payload):
    """Which report, of what, in which format."""

    type: Literal["audits", "incidents", "work-permits", "compliance"]
    organization_id: Identifier | None = None
    filters: dict[str, Any] = Field(default_factory=dict)
    format: Literal["json", "csv", "pdf"] = "json"
    user_id: Identifier | None = None
    notify_email: MailText | None = None


@huey.task()
def generate_report(payload: ReportPayload) -> None:
    """Makes a report of one organisation."""
    raise Unrecoverable("this version has no processor for the reports queue yet")


def queue_report(payload: Any, **options: Any) -> Job:
    """Adds a report; options and errors as for ``generate_report.add``."""
    return generate_report.add(payload, **options)
