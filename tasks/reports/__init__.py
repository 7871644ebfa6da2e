"""The reports queue: each job makes one report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack

from pydantic import Field, JsonValue, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from hsejobs.engine import AddKeywords, Job, JobHuey, crontab, current_job
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidPayload
from hsejobs.services.artifacts import reference
from hsejobs.services.fields import Identifier, Payload
from hsejobs.services.mail.recipients import MailAddress
from hsejobs.settings import Settings
from tasks.reports import weekly
from tasks.reports.filters import filter_rules, parse_filters
from tasks.reports.make import CONTENT_TYPES, ReportResult, ReportSpec, make_report
from tasks.shared.fonts import named, scripts
from tasks.shared.output import Output
from tasks.shared.platform.database import database

huey = JobHuey(
    "reports",
    attempts=3,
    backoff=5.0,
    timeout=300.0,
    workers="processes",
    enqueue="member",
    # One that asks for ten at once leaves processes to the others.
    tenant_limit=2,
)


#: How long a report can be downloaded, in days.
KEPT_DAYS = 7


class ReportPayload(Payload):
    """The type of the report, its filters, and the format.

    ``docs/reports.md`` lists the filters of each type. They are checked here, so that no job is
    added for a report that cannot be made.
    """

    type: Literal["audits", "incidents", "work-permits", "compliance"]
    organization_id: Identifier | None = None
    filters: dict[str, JsonValue] = Field(default_factory=dict)
    format: Literal["json", "csv", "pdf", "xlsx"] = "json"
    user_id: Identifier | None = None
    notify_email: MailAddress | None = None

    @staticmethod
    def openapi_rules(settings: Settings) -> dict[str, Any]:
        """Return what the OpenAPI document adds to the fields: the filters of each type."""
        return {"anyOf": filter_rules()}

    @model_validator(mode="after")
    def _known_filters(self) -> ReportPayload:
        try:
            parse_filters(self.type, self.filters)
        except InvalidPayload as error:
            # A plain ValueError in a model validator would not name the field.
            raise ValidationError.from_exception_data(
                "ReportPayload",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("filters", problem.replace("{", "{{")),
                        loc=("filters", name.removeprefix("filters.")),
                        input=None,
                    )
                    for name, problem in error.problems
                ],
                hide_input=True,
            ) from None
        return self


@huey.task()
def generate_report(payload: ReportPayload) -> dict[str, Any]:
    """Make a report of one organization, store it as an artifact, and notify by mail."""
    job = current_job()
    output = Output(huey.name, payload.organization_id, "a report", KEPT_DAYS)
    spec = ReportSpec(
        payload.type, payload.format, parse_filters(payload.type, payload.filters), output.at
    )
    made = make_report(
        spec,
        output.tenant,
        lambda **more: output.open(spec.file_name, CONTENT_TYPES[payload.format], **more),
        home=output.home,
        check=job.check,
        progress=job.progress,
        open_scratch=output.scratch,
        resume=output.resume,
        checkpoint=output.checkpoint,
    )
    output.log(made, made.rows)
    result = _result(spec, made)
    if made.missing:
        job.log(
            f"no font has glyphs for {len(made.missing)} of the characters ({scripts(made.missing)}): "
            f"{named(made.missing)}; to add fonts see docs/reports.md"
        )
    if payload.notify_email is not None:
        result["notificationJobId"] = output.notify(
            payload.notify_email, "report-ready", made, made.rows, title=spec.title
        )
    return result


def _result(spec: ReportSpec, made: ReportResult) -> dict[str, Any]:
    result: dict[str, Any] = {
        "type": spec.kind,
        "format": spec.format,
        "artifact": reference(made.artifact),
        "rows": made.rows,
        "summary": made.figures,
    }
    if made.archival is not None:
        result["archival"] = made.archival
        result["missingGlyphs"] = [f"U+{ord(one):04X}" for one in made.missing[:100]]
    return result


@huey.periodic_task(crontab(minute="0", hour="0", day_of_week="0"))
def weekly_compliance() -> dict[str, Any]:
    """Add a PDF compliance report for every organization, once per week."""
    job, settings = current_job(), runtime().settings
    week, organizations, added, refused = weekly.week_of(job.created_at), 0, 0, 0
    for page in weekly.wanted(database(settings.platform_database_url, settings.jobs_home), week):
        job.check()
        valid = []
        for one in page:
            try:
                generate_report.data_of(one.payload)
            except InvalidPayload as error:
                # One organization with an invalid address must not affect the others.
                job.log(f"{one.organization_id}: {error}")
                refused += 1
            else:
                valid.append(one)
        # Low priority: after jobs that people wait for.
        added += sum(one.created for one in generate_report.add_system(valid, priority=5))
        organizations += len(page)
        job.progress(50, f"{organizations} organizations")
    return {"week": week, "organizations": organizations, "added": added, "refused": refused}


def queue_report(
    payload: ReportPayload | Mapping[str, Any], **options: Unpack[AddKeywords]
) -> Job[dict[str, Any]]:
    """Add a report; takes the options and raises the errors of ``generate_report.add``."""
    return generate_report.add(payload, **options)
