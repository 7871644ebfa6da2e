"""The data-exports queue: each job makes one export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack

from pydantic import Field, field_validator

from hsejobs.engine import AddKeywords, Job, JobHuey, current_job
from hsejobs.services.artifacts import reference
from hsejobs.services.fields import Identifier, Payload
from hsejobs.services.mail.recipients import MailAddress
from tasks.data_exports.make import CONTENT_TYPES, ExportSpec, make_export
from tasks.shared.output import Output


def _role(payload: Any) -> str:
    """Return the least role that may add the job: personal data requires an administrator."""
    return "admin" if "users" in payload["entities"] else "member"


huey = JobHuey(
    "data-exports",
    attempts=2,
    backoff=5.0,
    timeout=600.0,
    workers="processes",
    enqueue="member",
    # One that asks for ten at once leaves processes to the others.
    tenant_limit=2,
    payload_role=_role,
)

#: How long an export can be downloaded, in days.
KEPT_DAYS = 7

Entity = Literal["stations", "audits", "incidents", "work-permits", "contractors", "users"]


class DataExportPayload(Payload):
    """The entities to export, and the format.

    ``csv`` is a zip with one file per entity, ``xlsx`` a workbook with one sheet per entity.
    """

    organization_id: Identifier | None = None
    entities: list[Entity] = Field(
        min_length=1, max_length=6, json_schema_extra={"uniqueItems": True}
    )
    format: Literal["json", "csv", "xlsx"] = "json"
    user_id: Identifier | None = None
    notify_email: MailAddress | None = None

    @field_validator("entities")
    @classmethod
    def _once(cls, entities: list[Entity]) -> list[Entity]:
        if len(set(entities)) < len(entities):
            raise ValueError("must not name an entity twice")
        return entities


@huey.task()
def export_data(payload: DataExportPayload) -> dict[str, Any]:
    """Export entities of one organization, store them as an artifact, and notify by mail."""
    job = current_job()
    output = Output(huey.name, payload.organization_id, "an export", KEPT_DAYS)
    spec = ExportSpec(tuple(payload.entities), payload.format, output.at)
    made = make_export(
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
    total = sum(made.rows.values())
    output.log(made, total)
    result: dict[str, Any] = {
        "format": payload.format,
        "artifact": reference(made.artifact),
        "rows": total,
        "entities": made.rows,
    }
    if payload.notify_email is not None:
        result["notificationJobId"] = output.notify(
            payload.notify_email, "export-ready", made, total
        )
    return result


def queue_data_export(
    payload: DataExportPayload | Mapping[str, Any], **options: Unpack[AddKeywords]
) -> Job[dict[str, Any]]:
    """Add an export; takes the options and raises the errors of ``export_data.add``."""
    return export_data.add(payload, **options)
