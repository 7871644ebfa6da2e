"""The data-exports queue: each job makes one export."""

from __future__ import annotations

import datetime
from typing import Any, Literal

from pydantic import Field, field_validator

from hsejobs.engine import Job, JobHuey, current_job, follow_up
from hsejobs.engine.runtime import runtime
from hsejobs.model import iso_time
from hsejobs.services.artifacts import reference
from hsejobs.services.artifacts.links import link_for
from hsejobs.services.artifacts.store import open_store
from hsejobs.services.fields import Identifier, Payload
from hsejobs.services.mail.recipients import MailAddress
from tasks.data_exports.make import CONTENT_TYPES, ExportResult, ExportSpec, make_export
from tasks.shared.platform.reading import organization_of, tenant_of
from tasks.shared.saving import Saved


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
    job, shared = current_job(), runtime()
    settings, home = shared.settings, shared.settings.jobs_home
    organization_id = organization_of(job.organization_id, payload.organization_id, "an export")
    now_ms = shared.reader.now(huey.name)
    expires_at = now_ms + KEPT_DAYS * 86_400_000
    saved = Saved.of(job.resumed_from, now_ms // 1000)
    at = datetime.datetime.fromtimestamp(saved.at, datetime.UTC)
    spec = ExportSpec(tuple(payload.entities), payload.format, at)
    tenant = tenant_of(settings.platform_database_url, home, organization_id)
    store = open_store(settings.artifacts_url, home)
    made = make_export(
        spec,
        tenant,
        lambda **more: store.write(
            organization_id,
            # The same in each attempt: a second run replaces the artifact of the first.
            job.artifact_id(expires_at),
            name=spec.file_name,
            content_type=CONTENT_TYPES[payload.format],
            expires_at=expires_at,
            queue=huey.name,
            job_id=job.id,
            **more,
        ),
        home=home,
        check=job.check,
        progress=job.progress,
        open_scratch=lambda **more: store.scratch(
            organization_id, job.artifact_id(expires_at), expires_at=expires_at, **more
        ),
        resume=saved.state,
        checkpoint=lambda state: job.checkpoint(saved.with_state(state)),
    )
    if made.resumed:
        job.log(f"continued after {made.resumed:,} rows that an earlier attempt had read")
    total = sum(made.rows.values())
    job.log(f"{made.artifact.name}: {total:,} rows, {made.artifact.bytes:,} bytes")
    if made.cut:
        job.log(
            f"texts truncated to the size of a cell: {made.cut:,}; JSON and CSV have the full text"
        )
    result: dict[str, Any] = {
        "format": payload.format,
        "artifact": reference(made.artifact),
        "rows": total,
        "entities": made.rows,
    }
    if payload.notify_email is not None:
        mail = _mail(payload.notify_email, made)
        result["notificationJobId"] = follow_up(
            "email", mail, key="notify", organization_id=organization_id
        ).id
    return result


def _mail(to: str, made: ExportResult) -> dict[str, Any]:
    return {
        "to": to,
        "template": "export-ready",
        "context": {
            # A subject must be one line, even if the name is not.
            "organization": " ".join(made.organization.split()),
            "file": made.artifact.name,
            "rows": f"{sum(made.rows.values()):,}",
            "until": (iso_time(made.artifact.expires_at) or "")[:10],
            "link": link_for(runtime().settings, made.artifact),
        },
    }


def queue_data_export(payload: Any, **options: Any) -> Job:
    """Add an export; takes the options and raises the errors of ``export_data.add``."""
    return export_data.add(payload, **options)
