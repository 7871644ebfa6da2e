"""The reports queue: one report a job."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hsejobs.engine import Job, JobHuey, Unrecoverable, crontab, current_job
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidPayload
from hsejobs.services.fields import Identifier, MailText, Payload
from hsejobs.services.platform.database import database
from hsejobs.services.reports import weekly

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


@huey.periodic_task(crontab(minute="0", hour="0", day_of_week="0"))
def weekly_compliance() -> dict[str, Any]:
    """Adds a compliance report in PDF for every organisation, once a week each."""
    job, settings = current_job(), runtime().settings
    week, organizations, added, refused = weekly.week_of(job.created_at), 0, 0, 0
    for page in weekly.wanted(database(settings.platform_database_url, settings.jobs_home), week):
        job.check()
        good = []
        for one in page:
            try:
                generate_report.data_of(one.payload)
            except InvalidPayload as error:
                # One organisation without a usable address must not cost the others theirs.
                job.log(f"{one.organization_id}: {error}")
                refused += 1
            else:
                good.append(one)
        # After whatever people wait for.
        added += sum(one.created for one in generate_report.add_system(good, priority=5))
        organizations += len(page)
        job.progress(50, f"{organizations} organisations")
    return {"week": week, "organizations": organizations, "added": added, "refused": refused}


def queue_report(payload: Any, **options: Any) -> Job:
    """Adds a report; options and errors as for ``generate_report.add``."""
    return generate_report.add(payload, **options)
