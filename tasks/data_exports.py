"""The data-exports queue: one export a job."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hsejobs.engine import Job, JobHuey, Unrecoverable
from hsejobs.services.fields import Identifier, MailText, Payload


def _role(payload: Any) -> str:
    """Personal data is for administrators."""
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


Entity = Literal["stations", "audits", "incidents", "work-permits", "contractors", "users"]


class DataExportPayload(Payload):
    """Which entities, in which format."""

    organization_id: Identifier | None = None
    entities: list[Entity] = Field(min_length=1, max_length=6)
    format: Literal["json", "csv"] = "json"
    user_id: Identifier | None = None
    notify_email: MailText | None = None


@huey.task()
def export_data(payload: DataExportPayload) -> None:
    """Exports entities of one organisation."""
    raise Unrecoverable("this version has no processor for the data-exports queue yet")


def queue_data_export(payload: Any, **options: Any) -> Job:
    """Adds an export; options and errors as for ``export_data.add``."""
    return export_data.add(payload, **options)
